# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test whether the functions of a release have their intended effect. The product defines the code, so only the effect is
tested.

The functions are code from the set and run with superuser rights, so they are only tested in a sandbox. All changes are
rolled back.
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
# Tables with immutable rows, and the column that a trigger protects.
IMMUTABLE = {"policy_versions": "content", "policy_set_versions": "manifest_sha256"}
# Tables that the function for dropping audit partitions must refuse to drop.
KEPT = ("zones", "audit_events")
ENSURE, DROP = "audit_partition_ensure(date)", "audit_partition_drop(text)"
# A month for which no deployment has a partition.
_MONTH, _PARTITION = "2095-01-15", "audit_events_y2095m01"
_BOUND = "FOR VALUES FROM ('2095-01-01 00:00:00+00') TO ('2095-02-01 00:00:00+00')"
_PARTITIONS = """
    SELECT c.relname::text, pg_catalog.pg_get_expr(c.relpartbound, c.oid) FROM pg_catalog.pg_inherits i
      JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'public.audit_events'::pg_catalog.regclass"""
# Time limit in seconds for all tests. They take milliseconds.
_LIMIT = 30.0
# The search path of the services. Without it, an unknown name would look like a refusal.
_PATH = "SET LOCAL search_path = public"


def check(session: Session, expected: t.Collection[Key]) -> Check:
    """Test the functions. `expected` are the facts of the release. The session must not be in a transaction."""
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
    """Return the tests by display name. A test returns the fault, an empty string, or None if there are no rows to test with."""
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
    """Raise errors that are not an answer of the function: a session that ended because a function took too long, or a full disk."""
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
