# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a drill, written as the step `report` writes it, without a drill before it."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import drill_report
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.drill_facts import Findings, Settings
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import RepositoryOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import PASS, Check
from scenes.scene import DEPLOYMENT, DRILL_HOST, Scene

REPOSITORY = tuple(RepositoryOptions.spec())
USUAL = Settings(
    signing_key=None,
    recipients=(),
    recipients_files=(),
    identity_files=(),
    waivers=(),
    rto_budget=None,
    rpo_budget=None,
    tail_budget=26.0,
    report_dir=None,
    metrics_file=None,
)


def passed(*names: str) -> list[dict[str, t.Any]]:
    """Checks of these names, as steps of a drill return them."""
    return [Check(name, PASS, "as it should be").to_result() for name in names]


def found(set_id: str, **own: t.Any) -> Findings:
    """Those of a drill that has begun just now."""
    return Findings(**{"set_id": set_id, "started": access.now().isoformat(), **own})


def report(place: t.Mapping[str, t.Any], findings: Findings, *, check_mode: bool = False, **own: t.Any) -> dict[str, t.Any]:
    """The result. `place` has the options of the repository, among others; `own` are settings."""
    known = {name: place[name] for name in REPOSITORY if place.get(name) is not None}
    opened = access.open_repository(complete(RepositoryOptions, known))
    return drill_report.run(opened, dataclasses.replace(USUAL, **own), findings, check_mode=check_mode, warn=lambda _text: None)


def of_scene(scene: Scene, findings: Findings, place: t.Mapping[str, t.Any] | None = None) -> dict[str, t.Any]:
    """As the drill host of a scene writes it; `place` is where the repository is, if not in the scene's folder."""
    known = {
        "repository": str(scene.repository),
        "deployment": DEPLOYMENT,
        "allowed_signers": str(scene.root / "allowed_signers"),
        "high_water_mark": str(scene.mark(DRILL_HOST)),
        **(place or {}),
    }
    return report(known, findings, signing_key=str(scene.key(DRILL_HOST)), recipients_files=[str(scene.recipients)])
