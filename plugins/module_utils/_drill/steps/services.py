# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The services of Caracal beside the copy, once more proved to be shut in, until each is ready."""

from __future__ import annotations

from .step import SECRETS, Made, Result, Step, Work


def services_of(work: Work) -> list[Result]:
    """Those of the settings, else those that ran when the set was made."""
    from .. import service_images

    return work.given["services"] or service_images.recorded(work.kept.get("services", []))


class Services(Step):
    name = "services"
    needs = ("secrets", "prepare")
    asks_services = True
    uses_secrets = True

    def lacks(self, work: Work) -> str:
        return "" if services_of(work) else "the set does not say what ran; name the programs of this host in caracal_drill_services"

    def take(self, work: Work) -> Made:
        from ..._images import options as images
        from .. import service_images, service_sandbox
        from . import image_sources

        services = services_of(work)
        # Who starts them finds them on this host then, whether they came from the set or not.
        service_images.bring(services, image_sources.of(work))
        found = work.call(
            service_sandbox.argument_spec(),
            service_sandbox.run,
            services=services,
            **{name: work.given[name] for name in images.images()},
            secrets_directory=work.path(SECRETS),
            replay_directory=work.path("replay"),
            ready_timeout=work.given["ready_timeout"],
        )
        release = service_images.compare(services, work.kept.get("services", [])).to_result()
        return Made([*found["checks"], release], stops=not found["running"], why="" if found["running"] else "no service may start")
