# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: whether what was restored is what the set holds, before a service starts on it."""

from __future__ import annotations

import dataclasses
import os
import time
import typing as t

from .._ansible import argspec
from .._ansible.boundary import Invocation, UseCase, complete
from .._audit.chains import audit_chain_verify
from .._caracal import secrets
from .._checks import migration_verify, state_verify
from .._drivers.secrets import bundle
from .._report.check import FAIL, NOT_APPLICABLE, PASS, Check, judged

Result = dict[str, t.Any]


def argument_spec() -> argspec.ArgumentSpec:
    own = argspec.ArgumentSpec(
        {
            "secrets_directory": {"type": "path", "no_log": False},
            "retired_directory": {"type": "path"},
            "restored_secrets": {"type": "list", "elements": "str", "no_log": False},
            "audit_hmac_key_files": {"type": "list", "elements": "path", "default": [], "no_log": False},
            "audit_retention_days": {"type": "int"},
            "audit_clock_skew_seconds": {"type": "int", "default": 300},
            "schema_additions": {"type": "list", "elements": "str", "default": []},
            "jobs": {"type": "int", "default": 2},
            "require_valid": {"type": "bool", "default": False},
        }
    )
    return argspec.repository().merge(argspec.stored_set(), argspec.identities(), argspec.postgres(), own)


def run(invocation: Invocation) -> Result:
    """All checks that need no service. A failed one fails the module, with all of them in the result; with `require_valid`, so does one
    that nothing proves."""
    started = time.monotonic()
    folder = invocation.options["secrets_directory"]
    schema = _call(invocation, migration_verify.argument_spec(), migration_verify.run)
    # The chains come next, which read the audit rows for all that is to be said of them.
    # What the source lost between two sets does not keep a set from being restored: here it is information.
    state = _call(invocation, state_verify.argument_spec(), state_verify.run, audit_rows=False, shrink_budget=100)
    audit_keys = invocation.options["audit_hmac_key_files"] or _audit_keys(invocation.options)
    chains = _call(
        invocation, audit_chain_verify.argument_spec(), audit_chain_verify.run, set_id=state["set_id"], audit_hmac_key_files=audit_keys
    )
    parts, signing_keys = [schema, state, chains], []
    if folder:
        from .._checks import envelope_verify

        keys = _call(invocation, envelope_verify.argument_spec(), envelope_verify.run, **_keks(invocation.options, schema["family"]))
        parts.append(keys)
        signing_keys = keys["signing_keys"]
    checks = [Check(**check) for part in parts for check in part["checks"]]
    result = judged(checks, invocation.options["require_valid"])
    # One that is not required, too: it says that rows have changed since they were committed to.
    failed = [check.message for check in checks if check.verdict == FAIL]
    if failed:
        result.update(failed=True, verdict=FAIL, msg=f"the set is restored, but {'; '.join(failed)}; start no service on it")
    elif result.get("failed"):
        result["msg"] = f"the set is restored, but not proved: {result['msg']}; see to that, or start the services yourself"
    if result.get("failed"):
        # The console prints the result of a task that fails as a whole.
        result["checks"] = [check.to_result() for check in checks if check.verdict not in (PASS, NOT_APPLICABLE)]
    return {**result, "set_id": state["set_id"], "signing_keys": signing_keys, "seconds": round(time.monotonic() - started, 3)}


def _call(invocation: Invocation, spec: argspec.ArgumentSpec, use_case: UseCase, **own: t.Any) -> Result:
    """The result of one comparison, which judges nothing. Raises what it raises."""
    given = {**invocation.options, "require_valid": False, **own}
    shared = {name: value for name, value in given.items() if name in spec.argument_spec and value not in (None, "")}
    return use_case(dataclasses.replace(invocation, options=complete(spec, shared)))


def _audit_keys(given: t.Mapping[str, t.Any]) -> list[str]:
    """The one of the services, and those that rows of before are signed with."""
    folder, retired = given["secrets_directory"], given["retired_directory"]
    restored = given["restored_secrets"] or ()
    before = [os.path.join(retired, os.path.basename(name)) for name in restored if retired and name.startswith(bundle.RETIRED_FOLDER)]
    return [os.path.join(folder, secrets.AUDIT_KEY), *sorted(before)] if folder else []


def _keks(given: t.Mapping[str, t.Any], family: str) -> dict[str, str]:
    """A KEK, and while a rotation is under way the one before it. One that is not the set's proves nothing of the set."""
    found = {"kek_file": os.path.join(given["secrets_directory"], secrets.CURRENT_KEK[family])}
    previous = os.path.join(given["secrets_directory"], secrets.PREVIOUS_KEK)
    names, restored = (bundle.PREVIOUS, f"{bundle.SECRETS}/{secrets.PREVIOUS_KEK}"), given["restored_secrets"]
    is_there = os.path.exists(previous) if restored is None else any(name in restored for name in names)
    return {**found, "previous_kek_file": previous} if is_there else found
