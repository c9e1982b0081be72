# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decrypt every encrypted column of the copy with the restored KEK."""

from __future__ import annotations

from ..._caracal import secrets
from .step import SECRETS, Made, Step, Work


class Keys(Step):
    name = "keys"
    needs = ("restore", "secrets")
    uses_secrets = True

    def take(self, work: Work) -> Made:
        from ..._checks import envelope_verify

        rotating = f"{SECRETS}/{secrets.PREVIOUS_KEK}" in work.kept["secrets"]
        options = envelope_verify.Options(
            copy=work.copy,
            kek_file=work.secret(secrets.CURRENT_KEK[work.kept["family"]]),
            previous_kek_file=work.secret(secrets.PREVIOUS_KEK) if rotating else None,
            require_valid=False,
        )
        found = work.call(envelope_verify.run, options)
        return Made(found["checks"], kept={"signing_keys": found["signing_keys"]})
