# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from harness import programs, runs, small_programs
from harness.users import only_root


@pytest.fixture
def hidden() -> Path:
    """Return a program in a directory that only its owner can enter."""
    folder = Path(runs.folder("hidden"), "bin")
    folder.mkdir()
    (folder / "hello").write_text("#!/bin/sh\necho hello\n")
    (folder / "hello").chmod(0o755)
    return folder


def say(folder: str) -> str:
    return subprocess.run([os.path.join(folder, "hello")], cwd="/", capture_output=True, text=True, check=True).stdout


def is_hidden(folder: str) -> bool:
    return not os.path.exists(os.path.join(folder, "hello"))


@only_root
def test_a_program_in_a_private_folder_is_hidden_from_others_and_its_copy_is_not(hidden: Path) -> None:
    assert small_programs.as_nobody(is_hidden, str(hidden))
    assert small_programs.as_nobody(say, programs.reachable(str(hidden))) == "hello\n"


@only_root
def test_a_program_finds_its_libraries_from_its_copy() -> None:
    """A wheel's program finds its libraries relative to its own path."""
    root = Path(runs.folder("hidden"))
    place, libraries = root / "package" / "_bin", root / "package.libs"
    place.mkdir(parents=True)
    libraries.mkdir()
    (libraries / "word").write_text("found\n")
    (place / "hello").write_text('#!/bin/sh\ncat "${0%/*}/../../package.libs/word"\n')
    (place / "hello").chmod(0o755)
    assert small_programs.as_nobody(say, programs.reachable(str(place), str(libraries))) == "found\n"


def test_does_not_copy_a_directory_that_all_users_can_reach(hidden: Path) -> None:
    assert programs.reachable("/usr/bin") == "/usr/bin"
    copy = programs.reachable(str(hidden))
    assert copy != str(hidden) and programs.reachable(str(hidden)) == programs.reachable(copy) == copy
