# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from tools.rules import file_calls, tree

PATH = "plugins/module_utils/_drivers/x.py"


def test_files_are_written_in_one_room() -> None:
    assert tree.python(tree.ROOT, file_calls.ROOM.rstrip("/"))
    assert file_calls.file_faults(tree.ROOT) == []


@pytest.mark.mutation
@pytest.mark.parametrize(
    "source",
    [
        "os.rename(a, b)",
        "os.replace(a, b)",
        "os.chmod(a, 0o700)",
        "os.chown(a, 0, 0, follow_symlinks=False)",
        "os.makedirs(a, exist_ok=True)",
        "shutil.rmtree(a)",
        "shutil.copy2(a, b)",
        "open(a)",
        "open(str(a), 'rb')",
        "open('/etc/passwd')",
        "open(f'{a}/b')",
        "os.open(a, os.O_RDONLY)",
        "open(a, 'w')",
        "open(a, mode='ab')",
        "open(a, mode)",
        "os.open(a, os.O_WRONLY | os.O_CREAT)",
        "open(os.open(a, os.O_RDWR), 'wb')",
        "Path(a).write_text(b)",
        "place.write_bytes(b)",
    ],
)
def test_finds_file_calls_with_a_path(plant, source: str) -> None:
    faults = file_calls.file_faults(plant({PATH: source}))
    assert len(faults) == 1
    assert faults[0].startswith(f"{PATH}:1:")


@pytest.mark.mutation
def test_finds_an_unneeded_exemption(plant) -> None:
    exempt = next(iter(file_calls.EXEMPT))
    assert len(file_calls.file_faults(plant({exempt: "open(b, dir_fd=c)"}))) == 1


@pytest.mark.no_false_alarm
def test_names_in_an_open_directory_are_accepted(plant) -> None:
    relative = "os.unlink(a, dir_fd=b)\nos.link(a, b, src_dir_fd=c, dst_dir_fd=c)"
    source = f"{relative}\nopen(descriptor, 'rb')\nopen('/proc/self/status')\nopen(f'/proc/{{a}}/maps')\na.replace(b, c)"
    root = plant({PATH: source, f"{file_calls.ROOM}x.py": "os.rename(a, b)", next(iter(file_calls.EXEMPT)): "os.rename(a, b)"})
    assert file_calls.file_faults(root) == []
