# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a drill, written like the step `report`, without a drill before it."""

from __future__ import annotations

import typing as t

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import drill_report
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.drill_facts import Findings
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.drill_options import DrillOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.declared import Options
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import (
    RecipientOptions,
    ReportOptions,
    RepositoryOptions,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import PASS, Check
from scenes.scene import DEPLOYMENT, DRILL_HOST, Scene

REPOSITORY = tuple(RepositoryOptions.spec())
GROUPS: dict[str, type[Options]] = {"recipients": RecipientOptions, "report": ReportOptions}


def passed(*names: str) -> list[dict[str, t.Any]]:
    """Return passed checks with these names, as steps of a drill return them."""
    return [Check(name, PASS, "as it should be").to_result() for name in names]


def found(set_id: str, **own: t.Any) -> Findings:
    """Return the findings of a drill that has just begun."""
    return Findings(**{"set_id": set_id, "started": access.now().isoformat(), **own})


def report(place: t.Mapping[str, t.Any], findings: Findings, *, check_mode: bool = False, **own: t.Any) -> dict[str, t.Any]:
    """Write the report; return the result. `place` has the options of the repository, among others; `own` are further options."""
    known = {name: place[name] for name in REPOSITORY if place.get(name) is not None}
    groups: dict[str, t.Any] = {field: kind(**{one: own.pop(one) for one in kind.spec() if one in own}) for field, kind in GROUPS.items()}
    given = DrillOptions(access=complete(RepositoryOptions, known), step="report", **groups, **own)
    opened = access.open_repository(given.access)
    return drill_report.run(opened, given, findings, check_mode=check_mode, warn=lambda _text: None)


def of_scene(scene: Scene, findings: Findings, place: t.Mapping[str, t.Any] | None = None) -> dict[str, t.Any]:
    """Write the report as the drill host of a scene. `place` is the location of the repository, if it is not in the scene's folder."""
    known = {
        "repository": str(scene.repository),
        "deployment": DEPLOYMENT,
        "allowed_signers": str(scene.root / "allowed_signers"),
        "high_water_mark": str(scene.mark(DRILL_HOST)),
        **(place or {}),
    }
    return report(known, findings, signing_key=str(scene.key(DRILL_HOST)), recipients_files=[str(scene.recipients)])
