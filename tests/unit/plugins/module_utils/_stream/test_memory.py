# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files in memory: their content, who can read them, and their behaviour if memory is short."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import StorageError
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import memory

LIMITED = f"""
import os, resource, signal
from {StorageError.__module__} import StorageError
from {memory.__name__} import file
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
before = os.listdir("/proc/self/fd")
try:
    file("list", b"x" * 101)
except StorageError as exc:
    print(exc.msg)
assert os.listdir("/proc/self/fd") == before
os.close(file("list", b"x" * 100))
"""


@pytest.mark.parametrize("mode", [0o777, 0o600])
def test_a_file_in_memory_holds_what_it_was_given(mode: int) -> None:
    made = memory.file("list", b"one\n" * 1000, mode)
    try:
        assert os.fstat(made).st_mode & 0o777 == mode
        with open(f"/proc/self/fd/{made}", "rb") as again:
            assert again.read() == b"one\n" * 1000
    finally:
        os.close(made)


@pytest.mark.mutation
def test_without_room_it_is_an_error_in_one_line_and_nothing_stays_open() -> None:
    """In a separate process, because a limit cannot be removed again."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    output = subprocess.run([sys.executable, "-c", LIMITED], env=env, check=True, capture_output=True, text=True).stdout
    assert output.count("\n") == 1 and "ulimit -f" in output
