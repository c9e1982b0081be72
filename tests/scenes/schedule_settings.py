# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a schedule, as the role `caracal_schedule` passes them to its plan."""

from __future__ import annotations

import typing as t

Settings = dict[str, t.Any]
_AWX: Settings = {
    "name": "Caracal prod",
    "project_url": "git://git.example.org/infra.git",
    "image": "localhost/caracal-ops-ee:1",
    "time_zone": "Europe/Berlin",
    "credentials": {"backup": ["hosts"], "drill": "hosts"},
    "after_backup": ["verify_repository", "restore_drill"],
    "absent_sides": [],
    "absent_jobs": [],
}
_HOST: Settings = {
    "host": "host.example",
    "facts": [],
    "backend": "systemd",
    "jobs": {},
    "archives": False,
    "notify": [],
    "inventory": "",
    "files": ["/etc/caracal-ops/settings.yml"],
    "vault_password_file": "",
    "user": "root",
    "program": "/opt/bin/ansible-playbook",
    "collections": "/opt",
}


def of(awx: Settings | None = None, **own: t.Any) -> Settings:
    """Return valid settings, with some of them replaced."""
    return {**_HOST, "awx": {**_AWX, **(awx or {})}, **own}
