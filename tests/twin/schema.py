# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Convert facts to SQL: one generic renderer for every release, in the order that makes a bulk load fast.

`before_data` creates what the rows need. `after_data` adds what is cheaper to build or to check once over all rows, and
what would block a load (row security, foreign keys, triggers).
"""

from __future__ import annotations

import datetime as dt
import typing as t

from .facts import Database, Function, Release, Table


def quote(name: str) -> str:
    """Return an identifier, always quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a string constant (`standard_conforming_strings` is on)."""
    return "'" + text.replace("'", "''") + "'"


def roles(release: Release, verifiers: t.Mapping[str, str]) -> t.Iterator[str]:
    """Create or update the service roles; `verifiers` has a SCRAM verifier for each role that can log in."""
    for role, attributes in release.roles.items():
        yield (
            f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {literal(role)}) "
            f"THEN CREATE ROLE {quote(role)}; END IF; END $$"
        )
        fixed = "NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS"
        password = literal(verifiers[role]) if role in verifiers else "NULL"
        yield f"ALTER ROLE {quote(role)} {attributes} {fixed} PASSWORD {password}"


def create_database(database: Database) -> str:
    """Create the database with the encoding and locale of the cluster. Only UTF-8 clusters give a correct twin."""
    return f"CREATE DATABASE {quote(database.name)} OWNER {quote(database.owner)} TEMPLATE template0 ENCODING 'UTF8' STRATEGY file_copy"


def before_data(database: Database, months: t.Sequence[dt.date] = ()) -> t.Iterator[str]:
    """Create extensions, functions, sequences, tables without constraints, and partitions (`months`: first days)."""
    yield from (f"CREATE EXTENSION {quote(name)} WITH SCHEMA public" for name in database.extensions)
    for name, sequence in database.sequences.items():
        yield f"CREATE SEQUENCE public.{quote(name)} AS {sequence.type}"
    for name, table in database.tables.items():
        yield _table(name, table)
    for name, sequence in database.sequences.items():
        table_name, column = sequence.owned_by.split(".")
        yield f"ALTER SEQUENCE public.{quote(name)} OWNED BY public.{quote(table_name)}.{quote(column)}"
    for identity, function in database.functions.items():
        yield from _function(identity, function, database.owner)
    for name, parent in database.default_partitions.items():
        yield f"CREATE TABLE public.{quote(name)} PARTITION OF public.{quote(parent)} DEFAULT"
    yield from (_leaf(month) for month in months)


def _leaf(month: dt.date) -> str:
    """Create a monthly partition. Most releases have no function for it and leave it to the audit service."""
    end = (month + dt.timedelta(days=31)).replace(day=1)
    bounds = f"FROM ({literal(month.isoformat())}) TO ({literal(end.isoformat())})"
    return f"CREATE TABLE public.{quote(month.strftime('audit_events_y%Ym%m'))} PARTITION OF public.audit_events FOR VALUES {bounds}"


def after_data(database: Database) -> t.Iterator[str]:
    """Create keys, indexes and at last foreign keys, then row security, triggers and permissions."""
    ranks = ("PRIMARY KEY", "UNIQUE", "FOREIGN KEY")
    for rank in ranks[:2]:
        yield from _constraints(database, rank)
    for name, table in database.tables.items():
        for index, definition in table.indexes.items():
            unique, method = ("UNIQUE ", definition[7:]) if definition.startswith("UNIQUE ") else ("", definition)
            yield f"CREATE {unique}INDEX {quote(index)} ON public.{quote(name)} USING {method}"
    yield from _constraints(database, ranks[2])
    for name, table in database.tables.items():
        yield from _table_security(name, table)
    for name, sequence in database.sequences.items():
        yield from _acl(f"SEQUENCE public.{quote(name)}", sequence.acl, database.owner, {"r": "SELECT", "w": "UPDATE", "U": "USAGE"})


def statistics(database: Database) -> t.Iterator[str]:
    """Update statistics and hint bits, so that the first reader does not pay for the load."""
    yield from (f"VACUUM (ANALYZE) public.{quote(name)}" for name in database.tables)


def _table(name: str, table: Table) -> str:
    checks = [f"CONSTRAINT {quote(c)} {d}" for c, d in table.constraints.items() if d.startswith("CHECK") and not d.endswith("NOT VALID")]
    partition = f" PARTITION BY {table.partition_by}" if table.partition_by else ""
    return f"CREATE TABLE public.{quote(name)} ({', '.join([*table.columns, *checks])}){partition}"


def _constraints(database: Database, rank: str) -> t.Iterator[str]:
    for name, table in database.tables.items():
        for constraint, definition in table.constraints.items():
            # A check that was added NOT VALID can only be created with ALTER TABLE. It is created with the unique constraints.
            late = rank == "UNIQUE" and definition.endswith("NOT VALID")
            if definition.startswith(rank) or late:
                yield f"ALTER TABLE public.{quote(name)} ADD CONSTRAINT {quote(constraint)} {definition}"


def _function(identity: str, function: Function, owner: str) -> t.Iterator[str]:
    arguments = identity[identity.index("(") :]
    name = identity[: identity.index("(")]
    definer = " SECURITY DEFINER" if function.security_definer else ""
    path = f" SET search_path TO {literal(function.search_path)}" if function.search_path else ""
    signature = f"public.{quote(name)}{arguments}"
    yield f"CREATE FUNCTION {signature} RETURNS {function.returns} LANGUAGE plpgsql{definer}{path} AS $body${function.body}$body$"
    if function.acl:
        yield f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC"
        yield from _acl(f"FUNCTION {signature}", function.acl, owner, {"X": "EXECUTE"})


def _acl(target: str, acl: str, owner: str, letters: t.Mapping[str, str]) -> t.Iterator[str]:
    for item in acl.strip("{}").split(","):
        grantee, rights = item.split("/")[0].split("=")
        if grantee != owner:
            yield f"GRANT {', '.join(letters[right] for right in rights)} ON {target} TO {quote(grantee)}"


def _table_security(name: str, table: Table) -> t.Iterator[str]:
    target = f"public.{quote(name)}"
    for policy, expression in table.policies.items():
        yield f"CREATE POLICY {quote(policy)} ON {target} USING ({expression}) WITH CHECK ({expression})"
    if table.row_security:
        yield f"ALTER TABLE {target} ENABLE ROW LEVEL SECURITY"
    for trigger, definition in table.triggers.items():
        events, action = definition.split(" FOR EACH ", 1)
        yield f"CREATE TRIGGER {quote(trigger)} {events} ON {target} FOR EACH {action}"
    for role, rights in table.grants.items():
        yield f"GRANT {rights} ON {target} TO {quote(role)}"
