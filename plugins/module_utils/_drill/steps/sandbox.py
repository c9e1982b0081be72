# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An empty PostgreSQL that reaches nothing. Nothing hostile has run in it yet: where it is not proved to be isolated, nothing will."""

from __future__ import annotations

import functools
import typing as t

from ..._report.check import FAIL, PASS, UNPROVEN, WARN, Check
from ..._sandbox.isolation import NONE
from .step import Made, Result, Step, Work

# Room that a copy needs: so many times the sealed set, and so many MiB at least.
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
        found = server_images.start(which, work.given, services, work.given["pg_bin"], make, sources)
        sandbox = found["sandbox"]
        isolation = _isolation(sandbox)
        server = server_images.told(which, sandbox["server_version"], sandbox["image"])
        warnings = [one for one in sandbox["warnings"] if one != isolation.message]
        told = [_warning(number, one) for number, one in enumerate(warnings, 1)]
        checks = [isolation.to_result(), *found["checks"], server.to_result(), *told]
        is_open = any(check["verdict"] in (FAIL, UNPROVEN) for check in found["checks"])
        return Made(checks, kept={"sandbox": sandbox}, stops=is_open, why="the sandbox is not proved to be isolated" if is_open else "")


def _made(work: Work, **own: t.Any) -> Result:
    from ..._sandbox.modules import postgres_sandbox

    told = {**settings(work.given, work.kept["bytes"]), "token": work.state.drill, **own}
    return work.call(postgres_sandbox.argument_spec(), postgres_sandbox.run, **told)


def settings(given: t.Mapping[str, t.Any], data_bytes: int) -> Result:
    """What the drill is told of its sandbox alone."""
    same = ("superuser", "isolation", "source_data_directory", "allow_shared_filesystem")
    own = {"directory": given["sandbox_directory"], "minimum_free_mb": room(given, data_bytes)}
    return {**{name: given[name] for name in same}, **own}


def room(given: t.Mapping[str, t.Any], data_bytes: int) -> int:
    """MiB that must be free for the copy of a set of so many bytes."""
    named = given["minimum_free_mb"]
    return int(named) if named is not None else max(LEAST_MB, data_bytes * GROWTH >> 20)


def _isolation(sandbox: t.Mapping[str, t.Any]) -> Check:
    if sandbox["isolation"] != NONE:
        return Check("sandbox.isolation", PASS, f"the server ran inside {sandbox['isolation']}")
    words = f"the sandbox is not isolated: {sandbox['isolation_reason']}; accepted: {sandbox['unisolated_reason']}"
    return Check("sandbox.isolation", WARN, words)


def _warning(number: int, words: str) -> Result:
    return Check(f"sandbox.warning.{number}", WARN, words, required=False).to_result()
