# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that killed writers leave in a directory."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore

NOW = datetime.datetime.now(datetime.timezone.utc)
BEFORE = NOW - datetime.timedelta(hours=1)


def test_old_unfinished_files_go_and_nothing_else(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path / "store"))
    store.put("sets/a/whole", b"x")
    folder = Path(store.location) / "sets" / "a"
    left = store.writer("sets/a")
    left.write(b"half")
    (partial,) = folder.glob(".*.partial")
    others = [
        folder / ".other",
        folder / ".0123.partial",
        folder / "0123456789abcdef.partial",
        Path(store.location) / ".hidden" / partial.name,
    ]
    for path in others:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"y")
    assert store.sweep(BEFORE) == 0, "somebody may still write it"
    for path in (partial, folder / "whole", *others):
        os.utime(path, (0, 0))
    assert store.sweep(BEFORE, dry=True) == 1 and partial.exists()
    assert store.sweep(BEFORE) == 1 and not partial.exists()
    assert all(path.exists() for path in (folder / "whole", *others)) and store.sweep(BEFORE) == 0
    left.discard()


def test_a_store_that_is_not_there_yet_has_none(tmp_path: Path) -> None:
    assert LocalStore(str(tmp_path / "store")).sweep(NOW) == 0


def test_a_directory_locks_nothing(tmp_path: Path) -> None:
    assert LocalStore(str(tmp_path / "store")).locked_until("x") is None
