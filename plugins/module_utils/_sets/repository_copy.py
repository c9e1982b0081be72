# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: copy a repository, without decrypting it, to a second location.

Every digest is checked during the copy and after it. Objects are copied before the entries that name them. An
interrupted copy is therefore always a complete, older repository.
"""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from .._ansible.boundary import Invocation
from .._errors import ObjectMissing, OptionError, TamperedData
from .._evidence import access, metrics
from .._evidence.access import JournalResult, Opened
from .._options import declared
from .._options.declared import Path
from .._options.shared import RepositoryOptions
from .._repository import layout, objects
from .._storage.archived import Held
from .._storage.base import Store
from .._storage.schemes import open_store
from .._stream import progress
from .._stream.progress import Progress
from . import named_objects
from .named_objects import Named, digest


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    access: RepositoryOptions
    metrics_file: Path | None = None
    destination: str
    read_all: bool = False


class _Copy(metrics.MeasuredCopy, JournalResult):
    changed: bool
    destination: str
    freshness: str


class CopyResult(_Copy, total=False):
    """The result of a copy; `msg` and `failed` are set if an object was not copied."""

    msg: str
    failed: bool


def run(invocation: Invocation[Options]) -> CopyResult:
    with progress.shown() as display:
        return _copied(invocation, display)


def _copied(invocation: Invocation[Options], display: Progress) -> CopyResult:
    given = invocation.options
    opened = access.open_repository(given.access, warn=invocation.warn, everything=True)
    target = open_store(given.destination, given.access.bucket)
    _check_target(opened, target)
    target.check_writable(probe=not invocation.check_mode)
    done = _Copier(opened, target, given.read_all, invocation.check_mode, display)
    done.run()
    opened.mark.advance(opened.journal, dry=invocation.check_mode)
    result: CopyResult = {
        "changed": bool(done.copied),
        "copied": len(done.copied),
        "kept": done.kept,
        "bytes": done.bytes,
        "faults": done.faults,
        "destination": target.location,
        "journal_head": opened.head,
        "freshness": opened.freshness,
        "diff": {"before": "", "after": "".join(f"{key}\n" for key in done.copied)},
    }
    if done.faults:
        result.update({"failed": True, "msg": f"{len(done.faults)} objects were not copied (all others were); first: {done.faults[0]}"})
    metrics.leave(invocation.options.metrics_file, invocation, lambda: metrics.of_copy(given.access.deployment, result, access.now()))
    return result


def _check_target(opened: Opened, target: Store) -> None:
    """Raise OptionError if the target contains another repository.

    Raises TamperedData if the target's journal is not a prefix of this journal.
    """
    if target.location == opened.store.location or target.location.startswith(f"{opened.store.location}/"):
        raise OptionError(f"destination {target.location} is the repository itself or inside it; give another destination")
    if target.stat(layout.REPOSITORY) is None:
        if target.list(layout.JOURNAL):
            raise OptionError(f"{target.location} has a journal but no {layout.REPOSITORY}; give an empty destination, or a complete copy")
        return
    if target.read(layout.REPOSITORY) != opened.store.read(layout.REPOSITORY):
        raise OptionError(f"{target.location} contains another repository; give an empty destination, or a copy of this repository")
    known = {entry.sequence: entry.sha256 for entry in opened.journal.entries}
    for one in target.list(layout.JOURNAL):
        number = layout.entry_sequence(one.key)
        if number is None:
            continue
        if known.get(number) != hashlib.sha256(target.read(one.key)).hexdigest():
            what = "is newer than the journal of" if number not in known else "differs from the entry in"
            raise TamperedData(
                f"{target.location}/{one.key} {what} {opened.store.location}; find out which of them was rolled back or forked"
            )


class _Copier:
    """Copies all objects. A broken object does not stop the copy of the others; `faults` lists the objects that were not copied."""

    def __init__(self, opened: Opened, target: Store, read_all: bool, dry: bool, progress: Progress) -> None:
        self._opened, self._target, self._read_all, self._dry, self._progress = opened, target, read_all, dry, progress
        self.copied: list[str] = []
        self.kept = self.bytes = 0
        self.faults: list[str] = []

    def run(self) -> None:
        self._progress.begin("copying")
        for one in named_objects.all_of(self._opened, self.faults):
            found = self._opened.store.stat(one.key) if one.sha256 is None else self._signed(one)
            if found is None:
                self.faults.append(f"{self._opened.store.location}/{one.key} is missing; use another copy of the repository")
            elif self._has(one, found.size):
                self.kept += 1
            elif self._dry or self._copy(one):
                self.copied.append(one.key)
                self.bytes += found.size

    def _has(self, one: Named, size: int) -> bool:
        """Return whether the target has the object. Compares sizes, or bytes with `read_all`. Raises TamperedData if they differ."""
        found = self._target.stat(one.key)
        if found is None:
            return False
        same = found.size == size
        if same and self._read_all:
            same = digest(self._target, one.key) == (one.sha256 or digest(self._opened.store, one.key))
        if not same:
            where = f"{self._target.location}/{one.key}"
            raise TamperedData(f"{where} differs from the repository; find out who altered it, then remove it and copy again")
        return True

    def _signed(self, one: Named) -> Held | None:
        """Return the signed version, even if the key has other versions."""
        try:
            return objects.find(self._opened.store, one.key, one.sha256 or "")
        except ObjectMissing:
            return None

    def _source(self, one: Named) -> t.BinaryIO:
        held = self._signed(one) if one.sha256 else None
        return self._opened.store.open_held(held) if held else self._opened.store.open(one.key)

    def _copy(self, one: Named) -> bool:
        """Copy an object and return whether the source matched its digest. Raises TamperedData if the destination returns other data."""
        made = hashlib.sha256()
        with self._source(one) as source, self._target.writer(one.key.rpartition("/")[0], one.key) as out:
            while chunk := source.read(objects.CHUNK):
                made.update(chunk)
                out.write(chunk)
                self._progress.count(len(chunk))
            if one.sha256 not in (None, made.hexdigest()):
                self.faults.append(
                    f"{self._opened.store.location}/{one.key} does not match its signed digest; use another copy of the repository"
                )
                return False
            out.publish(one.key)
        if digest(self._target, one.key) != made.hexdigest():
            where = f"{self._target.location}/{one.key}"
            raise TamperedData(f"{where} was read back with other content than was written; check the disk or the store")
        return True
