# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The services of Caracal beside the copy, once more proved to be shut in, until each is ready."""

from __future__ import annotations

from .step import SECRETS, Made, Step, Work


class Services(Step):
    name = "services"
    needs = ("secrets", "prepare")

    def lacks(self, work: Work) -> str:
        return "" if work.given["services"] else "caracal_drill_services names no service"

    def take(self, work: Work) -> Made:
        from .. import service_sandbox

        found = work.call(
            service_sandbox.argument_spec(),
            service_sandbox.run,
            services=work.given["services"],
            secrets_directory=work.path(SECRETS),
            replay_directory=work.path("replay"),
            ready_timeout=work.given["ready_timeout"],
        )
        return Made(found["checks"], stops=not found["running"], why="" if found["running"] else "no service may start")
