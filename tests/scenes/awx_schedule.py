# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plays of `schedule` with recorded answers of a real AWX, and the program that records them.

`python -m scenes.awx_schedule http://awx.internal:8052` records them again, with `CONTROLLER_OAUTH_TOKEN` in the
environment. That AWX has a credential `hosts of caracal` and no object with a name that begins with `Caracal prod`. It
reaches a Git repository at the address below.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import typing as t
from pathlib import Path

from scenes import awx_recording
from scenes.playing import Play

# The clone. The tests run on a copy of it.
_CLONE = Path(os.environ["CARACAL_OPS_BUILD"]).parent
RECORDINGS = _CLONE / "tests" / "data" / "awx"
AWX_COLLECTION = _CLONE / ".tools" / "collections"
HOOK = "https://hooks.example.org/s3cr3t"
PASSWORD = "s3cr3t-of-mail"
SETTINGS: dict[str, t.Any] = {
    "caracal_schedule_backend": "awx",
    "caracal_ops_deployment": "prod",
    "caracal_ops_notify": [
        {"kind": "webhook", "url": HOOK},
        {"kind": "ping", "url": "https://ping.example.org/{job}"},
        {"kind": "mail", "host": "mail.example.org", "port": "587", "username": "ops", "password": PASSWORD, "to": "ops@example.org"},
    ],
    "caracal_schedule_awx_project_url": "git://git.example.org/infra.git",
    "caracal_schedule_awx_image": "localhost/caracal-ops-ee:1",
    "caracal_schedule_awx_credentials": {"backup": ["hosts of caracal"], "drill": "hosts of caracal", "restore": ["hosts of caracal"]},
    "caracal_schedule_awx_time_zone": "Europe/Berlin",
    "caracal_schedule_jobs": {"audit_checkpoint": "", "retention": "Mon,Thu 07:00"},
}
# Without restores, and with a weekly drill instead of one after each backup.
FEWER = {
    **SETTINGS,
    "caracal_schedule_awx_credentials": {"backup": ["hosts of caracal"], "drill": ["hosts of caracal"]},
    "caracal_schedule_awx_after_backup": [],
    "caracal_schedule_jobs": {"audit_checkpoint": "", "retention": "", "verify_repository": ""},
}
STEPS: dict[str, tuple[dict[str, t.Any], tuple[str, ...]]] = {
    "predicted": (SETTINGS, ("--check",)),
    "first": (SETTINGS, ()),
    "again": (SETTINGS, ("--tags", "caracal_schedule_awx")),
    "fewer": (FEWER, ()),
}


@contextlib.contextmanager
def access(address: str, token: str) -> t.Iterator[None]:
    """Set the address and token of AWX for awx.awx."""
    own = {"CONTROLLER_HOST": address, "CONTROLLER_OAUTH_TOKEN": token}
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def play(step: str, awx: awx_recording.Awx, token: str, folder: Path) -> Play:
    """Run the step with that AWX to its end."""
    settings, options = STEPS[step]
    with access(awx.address, token):
        played = Play("schedule", settings, folder, options, collections=(AWX_COLLECTION,))
        played.ended()
    return played


def main() -> str | None:
    RECORDINGS.mkdir(parents=True, exist_ok=True)
    for step in STEPS:
        with tempfile.TemporaryDirectory() as folder, awx_recording.recording(RECORDINGS / f"{step}.json.gz", sys.argv[1]) as awx:
            played = play(step, awx, os.environ["CONTROLLER_OAUTH_TOKEN"], Path(folder))
            print(played.output()[-300:])
            if played.ended():
                return played.output()
    return None


if __name__ == "__main__":
    sys.exit(main())
