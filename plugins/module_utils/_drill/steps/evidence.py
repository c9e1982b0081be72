# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verify the audit chains of the copy, and the audit blocks of the set."""

from __future__ import annotations

import typing as t

from ..._caracal.secrets import AUDIT_KEY
from ..._drivers.secrets.bundle import RETIRED_FOLDER
from ..._options.shared import AuditChainOptions
from ..._report.check import CheckResult
from .step import SECRETS, Made, Step, Work

HMAC_KEY = "audit.hmac_key"


class Evidence(Step):
    name = "evidence"
    needs = ("restore",)
    uses_secrets = True

    def take(self, work: Work) -> Made:
        from ..._audit.chains import audit_chain_verify

        given = work.given
        options = audit_chain_verify.Options(
            access=given.access,
            copy=work.copy,
            chains=AuditChainOptions(audit_hmac_key_files=tuple(dict.fromkeys([*_restored(work), *given.audit_hmac_key_files]))),
            set_id=work.state.set_id,
            audit_retention_days=given.audit_retention_days,
            audit_clock_skew_seconds=given.audit_clock_skew_seconds,
            jobs=given.jobs,
            require_valid=False,
        )
        found = work.call(audit_chain_verify.run, options)
        return Made(found["checks"], kept={"earlier_key_rows": _earlier(work, found["checks"])})


def _earlier(work: Work, checks: t.Sequence[CheckResult]) -> int:
    """Return the number of rows with the HMAC of an earlier key.

    The product knows only the current key, which is the first one if secrets were restored.
    """
    found = next((check["details"] for check in checks if check["id"] == HMAC_KEY and "signed" in check["details"]), None)
    if found is None or SECRETS not in work.kept:
        return 0
    return sum(found["signed"][key] for key in found["keys"][1:])


def _restored(work: Work) -> list[str]:
    """Return the current key and earlier keys, if the secrets were restored."""
    if SECRETS not in work.kept:
        return []
    return [work.secret(AUDIT_KEY), *(work.path(name) for name in work.kept["secrets"] if name.startswith(RETIRED_FOLDER))]
