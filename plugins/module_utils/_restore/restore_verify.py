# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: verify that the restored data matches the set, before a service starts on it."""

from __future__ import annotations

import dataclasses
import os
import time
import typing as t

from .._ansible.boundary import Invocation
from .._audit.chains import audit_chain_verify
from .._caracal import secrets
from .._checks import migration_verify, state_verify
from .._drivers.secrets import bundle
from .._options import declared
from .._options.declared import Is, Path
from .._options.shared import AuditChainOptions, CopyOptions, PostgresOptions, RepositoryOptions, StoredSetOptions
from .._report.check import FAIL, NOT_APPLICABLE, PASS, Check, VerdictResult, judged

if t.TYPE_CHECKING:
    from .._checks import envelope_verify


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    access: RepositoryOptions
    stored: StoredSetOptions = dataclasses.field(default_factory=StoredSetOptions)
    postgres: PostgresOptions = dataclasses.field(default_factory=PostgresOptions)
    identity_files: tuple[Path, ...]
    secrets_directory: Path | None = None
    retired_directory: Path | None = None
    restored_secrets: t.Annotated[tuple[str, ...], Is(no_log=False)] | None = None
    audit_hmac_key_files: tuple[Path, ...] = ()
    audit_retention_days: int | None = None
    audit_clock_skew_seconds: int = 300
    schema_additions: tuple[str, ...] = ()
    jobs: int = 2
    require_valid: bool = False


class VerifyResult(VerdictResult):
    """The verdict of all checks. `signing_keys` are the set's signing keys that its secrets decrypt."""

    set_id: str
    signing_keys: list[t.Mapping[str, object]]
    seconds: float


def run(invocation: Invocation[Options]) -> VerifyResult:
    """Run all checks that need no service. A failed check fails the module, and the result has all checks.

    With `require_valid`, an unproven check fails the module too.
    """
    started = time.monotonic()
    given = invocation.options
    copy = CopyOptions(postgres=given.postgres)
    asked = migration_verify.Options(copy=copy, schema_additions=given.schema_additions, require_valid=False)
    schema = migration_verify.run(invocation.asking(asked))
    # The audit rows are only read once, for the chain checks below.
    state = state_verify.run(invocation.asking(_state(given, copy)))
    parts, signing_keys = [schema, state, _chains(invocation, copy, state["set_id"])], []
    if given.secrets_directory:
        from .._checks import envelope_verify

        keys = envelope_verify.run(invocation.asking(_envelopes(given, given.secrets_directory, copy, schema["family"])))
        parts.append(keys)
        signing_keys = keys["signing_keys"]
    checks = [Check(**check) for part in parts for check in part["checks"]]
    result = judged(checks, invocation.options.require_valid)
    # Checks that are not required count too: a failure means that rows have changed since they were recorded.
    failed = [check.message for check in checks if check.verdict == FAIL]
    if failed:
        result["failed"], result["verdict"] = True, FAIL
        result["msg"] = f"the set is restored, but {'; '.join(failed)}; do not start any service on it"
    elif result.get("failed"):
        result["msg"] = f"the set is restored, but not verified: {result['msg']}; resolve the problem, or start the services yourself"
    if result.get("failed"):
        # The console prints the complete result of a failed task, so passed checks are left out.
        result["checks"] = [check.to_result() for check in checks if check.verdict not in (PASS, NOT_APPLICABLE)]
    return {**result, "set_id": state["set_id"], "signing_keys": signing_keys, "seconds": round(time.monotonic() - started, 3)}


def _state(given: Options, copy: CopyOptions) -> state_verify.Options:
    """Return the options for the comparison. Losses in the source between two sets are only information here, so they do
    not stop the restore.
    """
    return state_verify.Options(
        access=given.access,
        stored=given.stored,
        identity_files=given.identity_files,
        copy=copy,
        audit_rows=False,
        shrink_budget=100,
        jobs=given.jobs,
        require_valid=False,
    )


def _chains(invocation: Invocation[Options], copy: CopyOptions, set_id: str) -> audit_chain_verify.Result:
    given = invocation.options
    asked = audit_chain_verify.Options(
        access=given.access,
        copy=copy,
        chains=AuditChainOptions(audit_hmac_key_files=given.audit_hmac_key_files or _audit_keys(given)),
        set_id=set_id,
        audit_retention_days=given.audit_retention_days,
        audit_clock_skew_seconds=given.audit_clock_skew_seconds,
        jobs=given.jobs,
        require_valid=False,
    )
    return audit_chain_verify.run(invocation.asking(asked))


def _audit_keys(given: Options) -> tuple[str, ...]:
    """Return the audit key of the services, and the earlier keys that signed older rows."""
    folder, retired = given.secrets_directory, given.retired_directory
    restored = given.restored_secrets or ()
    before = [os.path.join(retired, os.path.basename(name)) for name in restored if retired and name.startswith(bundle.RETIRED_FOLDER)]
    return (os.path.join(folder, secrets.AUDIT_KEY), *sorted(before)) if folder else ()


def _envelopes(given: Options, folder: str, copy: CopyOptions, family: str) -> envelope_verify.Options:
    """Return the options for the KEK, and during a rotation for the previous one. A KEK that is not in the set proves
    nothing about the set.
    """
    from .._checks import envelope_verify

    previous = os.path.join(folder, secrets.PREVIOUS_KEK)
    names, restored = (bundle.PREVIOUS, f"{bundle.SECRETS}/{secrets.PREVIOUS_KEK}"), given.restored_secrets
    is_there = os.path.exists(previous) if restored is None else any(name in restored for name in names)
    return envelope_verify.Options(
        copy=copy,
        kek_file=os.path.join(folder, secrets.CURRENT_KEK[family]),
        previous_kek_file=previous if is_there else None,
        require_valid=False,
    )
