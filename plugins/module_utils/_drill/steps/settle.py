# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The services have swept, read and sent what was restored."""

from __future__ import annotations

from .step import SECRETS, Made, Step, Work


class Settle(Step):
    name = "settle"
    needs = ("services",)
    asks_services = True
    uses_secrets = True

    def take(self, work: Work) -> Made:
        from .. import service_verify

        found = work.call(
            service_verify.argument_spec(),
            service_verify.run,
            secrets_directory=work.path(SECRETS),
            replay_directory=work.path("replay"),
            earlier_key_rows=work.kept.get("earlier_key_rows"),
            timeout=work.given["settle_timeout"],
        )
        return Made(found["checks"])
