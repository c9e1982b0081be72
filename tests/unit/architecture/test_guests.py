# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every program from an image starts through one mechanism."""

from __future__ import annotations

import pytest

from tools.rules import guests, tree

PATH = "plugins/module_utils/_sandbox/x.py"


def test_the_plugins_start_programs_of_images_in_one_way() -> None:
    assert guests.guest_faults(tree.ROOT) == []


@pytest.mark.mutation
@pytest.mark.parametrize(
    "source",
    [
        "words = ['bwrap', '--ro-bind', '/', '/']",
        "words += ['--unshare-user']",
        "run([f'{image.rootfs}/usr/bin/pg_dump'])",
        "def f(rootfs):\n    return Child(['chroot', rootfs, 'pg_dump'])",
        "service = seen['Config']['Labels']['com.docker.compose.service']",
    ],
)
def test_finds_another_way_to_start_programs_of_images(plant, source: str) -> None:
    (fault,) = guests.guest_faults(plant({PATH: source}))
    assert PATH in fault


@pytest.mark.no_false_alarm
def test_accepts_the_allowed_way_to_start_programs_of_images(plant) -> None:
    source = "command = launcher.command(argv, rootfs=install.rootfs)\nrun(limited(command))"
    root = plant({PATH: source, guests.BUILDS_COMMANDS: "'--ro-bind'", guests.READS_LABELS: "'Labels'"})
    assert guests.guest_faults(root) == []
