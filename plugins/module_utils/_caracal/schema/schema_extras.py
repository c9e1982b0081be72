# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects that no Caracal release creates: views, event triggers, default rights, rights to create objects, settings of
roles.

An operator may add them. Some undo the isolation of zones, or prevent a service from writing. Those are failures.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ..._errors import printable
from ..._report.check import FAIL, PASS, WARN, Check
from ..inventory.inventory import Reader
from .schema_facts import PUBLIC

SHOWN = 50
# Check → name of its kind of objects.
KINDS = {
    "views": "views",
    "event_triggers": "event triggers",
    "publications": "publications",
    "default_rights": "default rights",
    "create_rights": "rights to create objects",
    "settings": "settings of roles and of the database that change what a service may do",
}


@dataclasses.dataclass(frozen=True, order=True)
class Extra:
    """An extra object. `name` is its name in `schema_additions`. `role` is the role that gets a right or setting: empty
    for none, `PUBLIC` for all.
    """

    kind: str
    name: str
    value: str
    role: str
    harmful: bool

    def is_harmful(self, services: t.Collection[str]) -> bool:
        """Return whether it gives a service, or all roles, more than the product does."""
        return self.harmful and self.role in {PUBLIC, *services}

    def __str__(self) -> str:
        return f"{self.name}: {self.value}" if self.value else self.name


_OURS = """n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (
    SELECT FROM pg_depend e WHERE e.objid = {0}.oid AND e.classid = {0}.tableoid AND e.deptype = 'e')"""
_VIEWS = f"pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND c.relkind IN ('v', 'm') AND {_OURS.format('c')}"
_VIEW = "CASE n.nspname WHEN 'public' THEN '' ELSE quote_ident(n.nspname) || '.' END || quote_ident(c.relname)"
_GRANTEE = "CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END"
_RIGHTS = """string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type COLLATE "C")"""
# A view reads with the rights of its owner, bypassing row security, unless `security_invoker` is set.
_INVOKER = """coalesce((SELECT o.option_value::boolean FROM pg_options_to_table(c.reloptions) o
    WHERE o.option_name = 'security_invoker'), false)"""
_OBJECTS = """CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types'
    ELSE 'schemas' END"""
_SETTING = """CASE lower(substring(one FROM '^[^=]+'))
    WHEN 'session_replication_role' THEN lower(substring(one FROM '=(.*)$')) = 'replica'
    WHEN 'row_security' THEN NOT substring(one FROM '=(.*)$')::boolean
    WHEN 'default_transaction_read_only' THEN substring(one FROM '=(.*)$')::boolean
    WHEN 'search_path' THEN substring(one FROM '=(.*)$') !~ '^("\\$user", *)?"?public"?( *,|$)' OR one ~ 'pg_catalog'
    WHEN 'caracal.zone_id' THEN true
    WHEN 'role' THEN lower(substring(one FROM '=(.*)$')) <> 'none'
    ELSE false END"""

# Each returns kind, name, value, role, and whether it is harmful if a service has it.
_QUERIES = (
    f"SELECT 'views', 'view ' || {_VIEW}, '', '', false FROM {_VIEWS}",
    f"""SELECT 'views', 'grant on view ' || {_VIEW} || ' to ' || {_GRANTEE}, {_RIGHTS}, {_GRANTEE}, bool_and(NOT {_INVOKER})
          FROM {_VIEWS} CROSS JOIN LATERAL aclexplode(c.relacl) a WHERE a.grantee <> c.relowner
         GROUP BY c.oid, n.nspname, c.relname, a.grantee""",
    f"""SELECT 'views', 'grant on columns of view ' || {_VIEW} || ' to ' || {_GRANTEE}, {_RIGHTS}, {_GRANTEE}, bool_and(NOT {_INVOKER})
          FROM {_VIEWS} JOIN pg_attribute f ON f.attrelid = c.oid CROSS JOIN LATERAL aclexplode(f.attacl) a WHERE a.grantee <> c.relowner
         GROUP BY c.oid, n.nspname, c.relname, a.grantee""",
    """SELECT 'event_triggers', 'event trigger ' || quote_ident(evtname), evtevent || ' calls ' || evtfoid::regproc::text, '', false
         FROM pg_event_trigger x WHERE NOT EXISTS (
              SELECT FROM pg_depend e WHERE e.objid = x.oid AND e.classid = x.tableoid AND e.deptype = 'e')""",
    "SELECT 'publications', 'publication ' || quote_ident(pubname), '', '', false FROM pg_publication",
    f"""SELECT 'default_rights',
               format('default right on %s of %s to %s', {_OBJECTS}, quote_ident(pg_get_userbyid(d.defaclrole)), {_GRANTEE}),
               {_RIGHTS}, {_GRANTEE}, d.defaclobjtype IN ('r', 'S')
          FROM pg_default_acl d CROSS JOIN LATERAL aclexplode(d.defaclacl) a
         WHERE a.grantee <> d.defaclrole AND NOT (d.defaclobjtype IN ('f', 'T') AND a.grantee = 0)
         GROUP BY d.defaclobjtype, d.defaclrole, a.grantee""",
    f"""SELECT 'create_rights', 'right of ' || {_GRANTEE} || ' to create in schema public', '', {_GRANTEE}, true
          FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) a
         WHERE n.nspname = 'public' AND a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner""",
    f"""SELECT 'create_rights', 'right of ' || {_GRANTEE} || ' to create schemas', '', {_GRANTEE}, true
          FROM pg_database b CROSS JOIN LATERAL aclexplode(b.datacl) a
         WHERE b.datname = current_database() AND a.privilege_type = 'CREATE' AND a.grantee <> b.datdba""",
    f"""SELECT 'settings', concat('setting ', substring(one FROM '^[^=]+'), CASE setrole WHEN 0 THEN ' of all roles'
                 ELSE ' of ' || quote_ident(pg_get_userbyid(setrole)) END, CASE setdatabase WHEN 0 THEN '' ELSE ' in this database' END),
               substring(one FROM '=(.*)$'), CASE setrole WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(setrole)) END, true
          FROM pg_db_role_setting CROSS JOIN unnest(setconfig) one
         WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) AND {_SETTING}""",
)


def read(reader: Reader) -> list[Extra]:
    """Return all extra objects of one database, sorted."""
    rows = (row for query in _QUERIES for row in reader.rows(query))
    return sorted(Extra(kind, name, value, role, harmful) for kind, name, value, role, harmful in rows)


def checks(database: str, found: t.Sequence[Extra], services: t.Collection[str], additions: t.Collection[str]) -> list[Check]:
    """Return one check of each kind, `schema.<database>.<kind>`. `additions` are names that the operator expects."""
    return [_check(f"schema.{database}.{kind}", _of(kind, found, services, additions), services, noun) for kind, noun in KINDS.items()]


def _of(kind: str, found: t.Sequence[Extra], services: t.Collection[str], additions: t.Collection[str]) -> list[Extra]:
    """Return the unexpected extras of one kind, harmful ones first. Settings of roles outside Caracal are ignored."""
    unexpected = [one for one in found if one.kind == kind and one.name not in additions]
    if kind == "settings":
        unexpected = [one for one in unexpected if one.is_harmful(services)]
    return sorted(unexpected, key=lambda one: not one.is_harmful(services))


def _check(check_id: str, found: t.Sequence[Extra], services: t.Collection[str], noun: str) -> Check:
    details = {"extras": [str(one) for one in found[:SHOWN]], "number": len(found)}
    if not found:
        return Check(check_id, PASS, f"no {noun} beyond those in the release", details=details)
    more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
    if found[0].is_harmful(services):
        words = f"{printable(str(found[0]))}{more}: not part of any release, and it changes what a service can do; remove it"
        return Check(check_id, FAIL, words, details=details)
    words = (
        f"{printable(str(found[0]))}{more}: not part of any release; if it is yours, add '{printable(found[0].name)}' to schema_additions"
    )
    return Check(check_id, WARN, words, required=False, details=details)
