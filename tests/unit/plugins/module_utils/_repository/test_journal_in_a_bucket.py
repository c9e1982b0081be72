# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many journal entries are requested from a bucket at once, and a fault is still reported for the right entry."""

from __future__ import annotations

import os
import threading
import traceback
import typing as t
import uuid

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import PermissionMissing, TamperedData
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import BucketOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import journal as journals
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.mark import HighWaterMark
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.s3 import S3Store
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.schemes import open_store
from scenes.fault_proxy import FaultProxy
from scenes.s3_server import S3Server
from unit.plugins.module_utils._repository.conftest import World

ENTRIES = 3 * S3Store.at_once


@pytest.fixture
def long(world: World, s3: S3Server, s3_proxy: FaultProxy) -> World:
    """Return a journal with more entries than are requested at once."""
    at = f"s3://{s3.shared}/{uuid.uuid4().hex}"
    world.store = open_store(at, BucketOptions(**s3.options()))
    world.create()
    journal = world.journal()
    for _count in range(ENTRIES - 1):
        world.append(journal=journal)
    world.store = open_store(at, BucketOptions(**s3.options(s3_endpoint=s3_proxy.endpoint)))
    return world


def test_every_entry_is_read_once_and_in_order(long: World, s3_proxy: FaultProxy) -> None:
    repository, before = long.load(), s3_proxy.count("^GET .*/journal/")
    assert repository.id and before == 0
    journal = long.journal()
    assert [one.sequence for one in journal.entries] == list(range(1, ENTRIES + 1))
    assert s3_proxy.count("^GET .*/journal/") == 2 * ENTRIES
    assert not [one for one in threading.enumerate() if one.name.startswith("ThreadPoolExecutor")]


@pytest.mark.no_false_alarm
def test_a_call_asks_for_what_is_new(long: World, s3_proxy: FaultProxy) -> None:
    """The length of the journal does not matter: one listing from the head on, and two objects for the head and for each new entry."""
    mark = HighWaterMark(str(long.folder / "mark"))
    mark.advance(long.journal())
    made = long.append(journal=long.journal())
    repository, verifier = long.load(), long.verifier
    long.store._kept.clear()  # type: ignore[attr-defined]  # as in a new process
    journal = journals.read(repository, verifier, prefix=mark.verified(repository, verifier))
    assert journal.entries[-1] == made and list(journal.entries) == list(long.journal().entries)[: made.sequence]
    mark.advance(journal)
    long.store._kept.clear()  # type: ignore[attr-defined]
    before = s3_proxy.count("^GET ")
    assert journals.read(repository, verifier, prefix=mark.verified(repository, verifier)).head.sequence == made.sequence
    assert s3_proxy.count("^GET ") - before == 5


def test_it_can_be_read_again_after_a_fork(long: World) -> None:
    """The reader is a child process without the threads of its parent."""
    head = long.journal().head
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if long.journal().head == head else 1)
        except BaseException:  # noqa: BLE001 - the child must not go on with the tests
            traceback.print_exc()
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.mutation
@pytest.mark.parametrize("sequence", [2, 20, ENTRIES - 1])
def test_gap_is_reported_by_number_of_first_missing_entry(long: World, sequence: int) -> None:
    """The message does not name a later missing entry."""
    for one in sorted({sequence, ENTRIES - 1}):
        long.store.purge(layout.entry_key(one))
    with pytest.raises(TamperedData, match=rf"{layout.entry_key(sequence)} is missing, but the journal goes up to {ENTRIES}"):
        long.journal()


@pytest.mark.mutation
def test_fault_before_gap_is_reported_first(long: World) -> None:
    entry = long.journal().entries[4]
    long.store.purge(layout.entry_signature_key(5, entry.sha256))
    long.store.purge(layout.entry_key(6))
    with pytest.raises(TamperedData, match=f"{layout.entry_key(5)} has no matching signature"):
        long.journal()


@pytest.mark.mutation
def test_entry_refused_by_store_is_named(long: World, s3_proxy: FaultProxy) -> None:
    s3_proxy.add(f"^GET .*{layout.entry_key(30)}", status=403, code="AccessDenied")
    with pytest.raises(PermissionMissing, match=layout.entry_key(30)):
        long.journal()


@pytest.mark.no_false_alarm
def test_a_store_that_is_busy_is_asked_again(long: World, s3_proxy: FaultProxy) -> None:
    faults: list[t.Any] = [s3_proxy.add("^GET .*/journal/", status=503, code="SlowDown", skip=skip, times=1) for skip in (3, 20, 40)]
    assert long.journal().head.sequence == ENTRIES and all(one.hits for one in faults)
