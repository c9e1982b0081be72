# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: have an external authority timestamp the head of the journal."""

from __future__ import annotations

import dataclasses
import typing as t

from .._ansible.boundary import Invocation
from .._crypto import timestamp_authority as authority
from .._crypto.timestamps import Anchors, Stamp
from .._errors import BackupError, ObjectExists, StorageError, TamperedData
from .._evidence import access
from .._evidence.access import JournalResult, Opened
from .._options import declared
from .._options.declared import Path
from .._options.shared import RepositoryOptions
from .._report.check import PASS, UNPROVEN
from .._repository import layout, stamps
from .._repository.entry import Entry, sha256


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    access: RepositoryOptions
    timestamp_url: str
    timestamp_roots: Path
    require_valid: bool = True


class UnprovenResult(t.TypedDict):
    """The outcome of a timestamp. This is the whole result if no timestamp could be created."""

    changed: bool
    verdict: str
    message: str


class TimestampResult(UnprovenResult, JournalResult):
    """The timestamp of the entry `sequence`. `time` and `authority` are None without one."""

    sequence: int
    sha256: str
    time: str | None
    authority: str | None
    key: str


def run(invocation: Invocation[Options]) -> TimestampResult | UnprovenResult:
    """Timestamp the head. If a timestamp is not required, an error is reported in the result."""
    try:
        return _run(invocation)
    except BackupError as exc:
        if invocation.options.require_valid:
            raise
        return {"changed": False, "verdict": UNPROVEN, "message": exc.msg}


def _run(invocation: Invocation[Options]) -> TimestampResult:
    given = invocation.options
    url = authority.check_url(given.timestamp_url)
    anchors = Anchors.load(given.timestamp_roots)
    opened = access.open_repository(given.access, warn=invocation.warn)
    access.check_outside(opened.store, given.access, timestamp_roots=given.timestamp_roots)
    entry = opened.journal.entries[-1]
    key = layout.entry_timestamp_key(entry.sequence, entry.sha256)
    found = stamps.read(opened.store, entry, anchors)
    changed = found is None
    if changed:
        opened.store.check_writable(probe=False)
        if not invocation.check_mode:
            found, changed = _stamp(opened, entry, url, anchors)
    opened.mark.advance(opened.journal, dry=invocation.check_mode)
    at = access.timestamp(found.time) if found else None
    words = f"{found.authority} timestamped entry {entry.sequence} at {at}" if found else "no timestamp was requested"
    return {
        "changed": changed,
        "verdict": PASS if found else UNPROVEN,
        "message": words,
        "sequence": entry.sequence,
        "sha256": entry.sha256,
        "time": at,
        "authority": found.authority if found else None,
        "key": key,
        "journal_head": opened.head,
        "diff": {"before": "", "after": f"{key}\n" if changed else ""},
    }


def _stamp(opened: Opened, entry: Entry, url: str, anchors: Anchors) -> tuple[Stamp, bool]:
    """Request, store and read back a timestamp. Also return whether this call stored it."""
    store, name = opened.store, f"{opened.store.location}/{layout.entry_key(entry.sequence)}"
    data = store.read(layout.entry_key(entry.sequence))
    if sha256(data) != entry.sha256:
        raise TamperedData(f"{name} was altered after it was read; find out who altered it")
    answer, stamp = authority.ask(url, data, entry.sha256, anchors)
    # A timestamp that contradicts this host's clock would stay forever. After the clock is corrected, the next
    # timestamp covers this entry too.
    stamps.check_age(entry, stamp, name)
    try:
        store.put(layout.entry_timestamp_key(entry.sequence, entry.sha256), answer)
        changed = True
    except ObjectExists:  # another host was faster
        changed = False
    back = stamps.read(store, entry, anchors)
    if back is None or (changed and back != stamp):
        raise StorageError(f"the timestamp of {name} was read back with other content than was written; check the disk or the store")
    return back, changed
