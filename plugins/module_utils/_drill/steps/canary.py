# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Request keys, a token and a protected resource from the restored services, and verify what they must refuse."""

from __future__ import annotations

from ..._ansible.boundary import complete
from .step import SECRETS, Made, Step, Work


class Canary(Step):
    name = "canary"
    needs = ("services",)
    asks_services = True
    uses_secrets = True

    def take(self, work: Work) -> Made:
        from .. import canary_exchange

        given = {
            "sandbox": work.given.sandbox_directory,
            "secrets_directory": work.path(SECRETS),
            "signing_keys": work.kept.get("signing_keys"),
            "application": work.given.application or None,
            "self_made": not work.given.application,
            "require_valid": False,
        }
        # The application is checked only in this step, since most drills do not configure one.
        options = complete(canary_exchange.Options, {name: value for name, value in given.items() if value is not None})
        found = work.call(canary_exchange.run, options)
        return Made(found["checks"])
