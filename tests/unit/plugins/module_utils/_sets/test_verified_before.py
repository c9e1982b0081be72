# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules that read an entry again which this host has verified before, and those that do not."""

from __future__ import annotations

import contextlib
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import TamperedData
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore
from scenes.old_repository import OldRepository

OLD = 2


@contextlib.contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[list[str]]:
    """Return the list of keys that are read."""
    real, keys = LocalStore.read, list[str]()

    def read(store: LocalStore, key: str, *more: t.Any) -> bytes:
        keys.append(key)
        return real(store, key, *more)

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "read", read)
        yield keys


def calls(old: OldRepository) -> dict[str, t.Callable[[], t.Any]]:
    """Return the calls that verify the repository."""
    head = old.journal().entries[-1]
    named = {"entries": [f"{head.sequence}-{head.sha256[:16]}"], "reason": "x"}
    return {
        "repository_verify": lambda: old.call("repository_verify", "drill", signing_key=None),
        "backup_set_verify": lambda: old.call("backup_set_verify", "drill"),
        "repository_copy": lambda: old.call("repository_copy", "drill", destination=str(old.folder / "copy")),
        "journal_correct": lambda: old.call("journal_correct", "operator", check_mode=True, **named),
    }


@pytest.mark.mutation
@pytest.mark.parametrize("how", [Path.unlink, lambda path: path.write_bytes(b"junk")])
def test_verification_reads_every_entry_again(old: OldRepository, how: t.Callable[[Path], t.Any]) -> None:
    wanted = calls(old)
    for role in ("drill", "operator"):
        old.see(role)
    how(old.path(layout.entry_key(OLD)))
    old.see("drill")
    for name, call in wanted.items():
        with pytest.raises(TamperedData, match=f"{layout.entry_key(OLD)} (is missing|has no matching signature)"):
            call()
        assert name


@pytest.mark.no_false_alarm
def test_host_without_verification_reads_only_new_entries(old: OldRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    old.see("drill")
    head = old.journal().head.sequence
    with watched(monkeypatch) as keys:
        old.see("drill")
    assert [key for key in keys if layout.entry_sequence(key)] == [layout.entry_key(head)]
    with watched(monkeypatch) as keys:
        old.call("backup_set_verify", "drill")
    assert len([key for key in keys if layout.entry_sequence(key)]) == head
