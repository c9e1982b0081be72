# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Start Caracal's services on the copy, after verifying their isolation again, and wait until each is ready."""

from __future__ import annotations

import typing as t

from .step import Made, Step, Work

if t.TYPE_CHECKING:
    from ..service_option import ServiceStart


def services_of(work: Work) -> list[ServiceStart]:
    """Return the services in the settings, or else those that ran when the set was created."""
    from .. import service_images

    return list(work.given.services) or service_images.recorded(work.kept.get("services", []))


class Services(Step):
    name = "services"
    needs = ("secrets", "prepare")
    asks_services = True
    uses_secrets = True

    def lacks(self, work: Work) -> str:
        return (
            "" if services_of(work) else "the set does not record which services ran; set caracal_drill_services to programs of this host"
        )

    def take(self, work: Work) -> Made:
        from .. import service_images, service_sandbox
        from . import image_sources

        services, given = services_of(work), work.given
        terms = service_sandbox.Terms(
            services, work.restored, image_sources.of(work), given.production, given.unisolated_reason, given.ready_timeout
        )
        found = service_sandbox.start(work.bundle, terms)
        checks = [*found.checks, service_images.compare(services, work.kept.get("services", []))]
        return Made(
            [one.to_result() for one in checks], stops=not found.running, why="" if found.running else "no service could be started"
        )
