# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The secrets of a twin as the product stores them: one file each, in a folder."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

from . import keys
from .facts import SECRET_STORE
from .releases.known import RELEASES

# The role and the database of each service with its address in a file.
LOGINS = {
    "api": ("caracalapi", "caracal"),
    "sts": ("caracalsts", "caracal"),
    "gateway": ("caracalgateway", "caracal"),
    "audit": ("caracalaudit", "caracal"),
    "coordinator": ("caracalcoordinator", "caracal"),
    "auth": ("caracalauth", "caracal_auth"),
}


def of_release(seed: int | str, release: str) -> dict[str, str]:
    """Return name to content: the keys, and the console's signing secret if the release has one."""
    family = RELEASES[release].family
    console = {"caracalAuthSecret": keys.derive(seed, "auth secret").hex()} if family == SECRET_STORE else {}
    return {**keys.for_seed(seed).as_files(family), **console}


def of_compose(seed: int | str, release: str) -> dict[str, str]:
    """Return these secrets and the passwords and addresses that services of a Compose project use to connect to each other."""
    own = {name: keys.derive(seed, name).hex() for name in ("postgresPassword", "redisPassword", "metricsBearer")}
    passwords = keys.for_seed(seed).role_passwords
    urls = {
        f"{service}DatabaseUrl": f"postgres://{role}:{passwords[role]}@postgres:5432/{database}"
        for service, (role, database) in LOGINS.items()
    }
    return {**of_release(seed, release), **own, **urls, "redisUrl": f"redis://:{own['redisPassword']}@redis:6379/0"}


def write(folder: Path, files: t.Mapping[str, str]) -> None:
    """Write the files with mode 0444, because containers read them as another user, in a folder with mode 0700."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for name, text in files.items():
        (folder / name).unlink(missing_ok=True)
        with open(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444), "w", encoding="ascii") as file:
            file.write(text)
