# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create an isolated, empty PostgreSQL. No hostile data is in it yet. If its isolation is not proved, no data will be restored into it."""

from __future__ import annotations

import functools
import typing as t

from ..._report.check import FAIL, PASS, UNPROVEN, WARN, Check
from ..._sandbox.info import REQUIRED, SandboxInfo, SandboxSpec, SourceFacts
from ..._sandbox.isolation import NONE
from ..drill_options import DrillOptions
from .step import Made, Step, Work

if t.TYPE_CHECKING:
    from ..._drivers.postgres.server_binaries import Install
    from ..._images.cache import Unpacked

# The oldest major release that Caracal supports.
OLDEST_MAJOR = 17
# The space that a copy needs: a multiple of the encrypted set, and a minimum in MiB.
GROWTH = 8
LEAST_MB = 1024


class Sandbox(Step):
    name = "sandbox"
    needs = ("verify",)

    def take(self, work: Work) -> Made:
        from .. import server_images
        from . import image_sources

        services = work.kept.get("services", [])
        which = server_images.DATABASE
        make, sources = functools.partial(_made, work), functools.partial(image_sources.of, work)
        info, proved = server_images.start(which, services, work.given.pg_bin, make, sources)
        isolation = _isolation(info)
        server = server_images.server_check(which, info.server_version, info.image)
        warnings = [one for one in info.warnings if one != isolation.message]
        checks = [isolation, *proved, server, *(_warning(number, one) for number, one in enumerate(warnings, 1))]
        is_open = any(check.verdict in (FAIL, UNPROVEN) for check in proved)
        why = "the isolation of the sandbox is not proven" if is_open else ""
        return Made([check.to_result() for check in checks], kept={"sandbox": info.to_result()}, stops=is_open, why=why)


def _made(work: Work, image: Unpacked | None) -> tuple[SandboxInfo, list[Check]]:
    """Return the sandbox and the proof of its isolation. In check mode, return the planned sandbox and no proof."""
    from ..._sandbox import lifecycle, probe
    from ..._sandbox.bundle import Bundle

    given = work.given
    production = [probe.parse(one) for one in given.production]
    wanted = spec(given, image, minimum_free=room(given, work.kept["bytes"]) << 20, token=work.state.drill)
    info = (lifecycle.predict(wanted) if work.invocation.check_mode else lifecycle.create(wanted)).info
    for warning in info.warnings:
        work.invocation.warn(warning)
    if work.invocation.check_mode:
        return info, []
    return info, [probe.verify(Bundle.of(info.directory), production, given.unisolated_reason)]


def spec(given: DrillOptions, image: Unpacked | None, *, minimum_free: int, token: str) -> SandboxSpec:
    """Return the specification of the drill's sandbox, with the server of this host or of an image. Raises MissingDependency."""
    return SandboxSpec(
        directory=given.sandbox_directory,
        install=_install(given, image),
        superuser=given.superuser,
        minimum_free=minimum_free,
        source=SourceFacts(data_directory=given.source_data_directory),
        isolation=given.isolation,
        unisolated_reason=given.unisolated_reason,
        allow_shared_filesystem=given.allow_shared_filesystem,
        token=token,
    )


def _install(given: DrillOptions, image: Unpacked | None) -> Install:
    from ..._sandbox import tools

    if image is None:
        return tools.find(given.pg_bin, OLDEST_MAJOR, given.isolation)
    from ..._sandbox import image_server

    tools.refuse_lacking(REQUIRED)
    return image_server.find(image, OLDEST_MAJOR)


def room(given: DrillOptions, data_bytes: int) -> int:
    """Return the MiB that must be free for the copy of a set with that many bytes."""
    named = given.minimum_free_mb
    return int(named) if named is not None else max(LEAST_MB, data_bytes * GROWTH >> 20)


def _isolation(info: SandboxInfo) -> Check:
    if info.isolation != NONE:
        return Check("sandbox.isolation", PASS, f"the server ran inside {info.isolation}")
    words = f"the sandbox is not isolated: {info.isolation_reason}; accepted: {info.unisolated_reason}"
    return Check("sandbox.isolation", WARN, words)


def _warning(number: int, words: str) -> Check:
    return Check(f"sandbox.warning.{number}", WARN, words, required=False)
