# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the functions of a release do what they are for. Their bodies are the product's, so what is tried is their effect.

They are code of the set and run with the rights of a superuser, so they are tried in a sandbox only. Nothing of it stays.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import typing as t

from .._caracal.schema.schema_facts import Key
from .._drivers.postgres.server import Session
from .._errors import BackupError, PermissionMissing
from .._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, Check

CHECK_ID = "schema.caracal.function_effects"
# Tables whose rows never change, and the column that a trigger protects.
IMMUTABLE = {"policy_versions": "content", "policy_set_versions": "manifest_sha256"}
# What the function that drops audit partitions must refuse.
KEPT = ("zones", "audit_events")
ENSURE, DROP = "audit_partition_ensure(date)", "audit_partition_drop(text)"
# A month in which no deployment has a partition.
_MONTH, _PARTITION = "2095-01-15", "audit_events_y2095m01"
_BOUND = "FOR VALUES FROM ('2095-01-01 00:00:00+00') TO ('2095-02-01 00:00:00+00')"
_PARTITIONS = """
    SELECT c.relname::text, pg_catalog.pg_get_expr(c.relpartbound, c.oid) FROM pg_catalog.pg_inherits i
      JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'public.audit_events'::pg_catalog.regclass"""
# Seconds for all of them. They take milliseconds.
_LIMIT = 30.0
# As the services call them, since a name that is not found would look like a refusal.
_PATH = "SET LOCAL search_path = public"


def check(session: Session, expected: t.Collection[Key]) -> Check:
    """`expected` are the facts of the release. The session is in no transaction."""
    wrong, tried = [], 0
    watch = threading.Timer(_LIMIT, session.abandon)
    watch.start()
    try:
        for name, effect in _effects(expected).items():
            problem = effect(session)
            tried += problem is not None
            wrong += [f"{name}: {problem}"] if problem else []
    except BackupError as exc:
        return Check(CHECK_ID, UNPROVEN, f"the functions of the release could not be tested: {exc.msg}")
    finally:
        watch.cancel()
    if wrong:
        words = f"{len(wrong)} function(s) behave differently than in this release; first: {wrong[0]}"
        return Check(CHECK_ID, FAIL, words, details={"functions": wrong})
    if not tried:
        return Check(CHECK_ID, NOT_APPLICABLE, "this release has no function to test, or no rows to test it with")
    return Check(CHECK_ID, PASS, f"{tried} effect(s) of functions are as in the release")


Effect = t.Callable[[Session], "str | None"]


def _effects(expected: t.Collection[Key]) -> dict[str, Effect]:
    """What to try, by a name for people. An effect gives what is wrong, nothing, or None where there is nothing to try it on."""
    triggers = {key.of for key in expected if key.kind == "trigger"}
    found: dict[str, Effect] = {
        f"the trigger of {table}": functools.partial(_refuses_update, table, column)
        for table, column in IMMUTABLE.items()
        if table in triggers
    }
    if Key("function", DROP, "") in expected:
        found[DROP] = _refuses_drop
    if Key("function", ENSURE, "") in expected:
        found[ENSURE] = _makes_partition
    return found


def _refuses_update(table: str, column: str, session: Session) -> str | None:
    if not session.value(f"SELECT EXISTS (SELECT FROM public.{table})"):
        return None
    update = f"UPDATE public.{table} SET {column} = {column} || ' ' WHERE ctid = (SELECT min(ctid) FROM public.{table})"
    return "" if _refused(session, update) else f"a change of {column} is not refused"


def _refuses_drop(session: Session) -> str:
    dropped = [name for name in KEPT if not _refused(session, "SELECT public.audit_partition_drop(%s)", name)]
    return f"table {dropped[0]} could be dropped" if dropped else ""


def _makes_partition(session: Session) -> str:
    with _undone(session):
        before = dict(session.rows(_PARTITIONS))
        try:
            session.rows("SELECT public.audit_partition_ensure(%s::date)", (_MONTH,))
        except BackupError as exc:
            _raise_what_is_no_answer(exc)
            return "it fails"
        after = dict(session.rows(_PARTITIONS))
    made = {name: bound for name, bound in after.items() if before.get(name) != bound}
    return "" if made == {_PARTITION: _BOUND} and before.keys() < after.keys() else "it does not create the partition of the month"


def _refused(session: Session, statement: str, *parameters: str) -> bool:
    with _undone(session):
        try:
            session.rows(statement, parameters)
        except BackupError as exc:
            _raise_what_is_no_answer(exc)
            return True
    return False


def _raise_what_is_no_answer(error: BackupError) -> None:
    """A session that ended, since a function took too long, or a full disk."""
    if not isinstance(error, PermissionMissing) and "sqlstate" not in error.details:
        raise error


@contextlib.contextmanager
def _undone(session: Session) -> t.Iterator[None]:
    session.rows("BEGIN")
    try:
        session.rows(_PATH)
        yield
    finally:
        session.rows("ROLLBACK")
