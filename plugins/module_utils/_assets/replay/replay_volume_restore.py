# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: restore replay files of a set into the directories of stopped services."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
import typing as t

from ..._ansible.boundary import Invocation
from ..._caracal import replay
from ..._drivers.volume import target
from ..._drivers.volume.target import ABSENT, OTHER, Target
from ..._errors import OptionError, StorageError
from ..._evidence import access, restore_entry, sealed_set
from ..._options import declared
from ..._options.declared import Path, Suboptions
from ..._options.shared import RecordedOptions, RepositoryOptions, StoredSetOptions
from ..._repository import artifact as artifacts
from ..._repository import records
from ..._stream import pipes
from .replay_sources import source_of
from .replay_union import Kept, ReplayUnion

QUARANTINE = ".quarantine"


@dataclasses.dataclass(frozen=True, kw_only=True)
class VolumeOptions(Suboptions):
    """A volume of the set (`from`, such as `sts-1`) and its directory. `quarantine` is for files that must not be in that directory."""

    service: t.Literal["sts", "gateway"]
    replica: str = "1"
    path: Path
    from_: str | None = None
    quarantine: Path | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    access: RepositoryOptions
    stored: StoredSetOptions = dataclasses.field(default_factory=StoredSetOptions)
    recorded: RecordedOptions
    identity_files: tuple[Path, ...]
    volumes: tuple[VolumeOptions, ...]
    owner: int = 65532
    group: int = 65532


class _Volume(t.TypedDict):
    service: str
    replica: str
    path: str
    files: int


class VolumeResult(_Volume, total=False):
    """A directory in the result. Planning adds the counts."""

    restored: int
    skipped: int
    renamed: int
    quarantined: int
    bytes: int


class RestoreResult(t.TypedDict):
    """The number of files for each volume, and the journal's head after the restore."""

    changed: bool
    set_id: str
    volumes: list[VolumeResult]
    journal_head: str
    diff: dict[str, str]
    seconds: float


def run(invocation: Invocation[Options]) -> RestoreResult:
    """Plan all volumes, write all files under temporary names, and rename them only after every byte was verified."""
    started = time.monotonic()
    given = invocation.options
    if not given.volumes:
        raise OptionError("volumes is empty; set the directory of each replica")
    opened = access.open_repository(given.access, warn=invocation.warn)
    opened.mark.advance(opened.journal, dry=True)
    signer = restore_entry.signer_unless_inside(opened, given.access.deployment, given.recorded, _places(given))
    the_set = sealed_set.SealedSet(opened, given.stored.set_id, given.identity_files, given.stored.max_age)
    with contextlib.ExitStack() as stack:
        volumes = []
        for one in given.volumes:
            union = ReplayUnion(the_set, one.from_ or source_of(one.service, one.replica), given.identity_files)
            volumes.append(stack.enter_context(Volume(one, union, given.owner, given.group)))
        if len({one.identity for one in volumes}) != len(volumes):
            raise OptionError("two volumes have the same directory; restore into it only once")
        for volume in volumes:
            volume.plan()
        for volume in volumes:
            volume.fill(invocation.check_mode)
        for volume in volumes:
            volume.publish(invocation.check_mode, invocation.warn)
    changed = [volume for volume in volumes if volume.changes]
    if not invocation.check_mode:
        if signer and changed:
            paths = [volume.result["path"] for volume in changed]
            restore_entry.enter(opened, signer, the_set, records.asset_body(artifacts.REPLAY, paths))
        opened.mark.advance(opened.journal)
    return {
        "changed": bool(changed),
        "set_id": the_set.set_id,
        "volumes": [volume.result for volume in volumes],
        "journal_head": opened.head,
        "diff": {"before": "", "after": "".join(volume.listing() for volume in volumes)},
        "seconds": round(time.monotonic() - started, 3),
    }


def _places(given: Options) -> list[str]:
    """Return every path that may receive a file."""
    volumes = given.volumes
    return [one.path for one in volumes] + [_quarantine(one) for one in volumes]


def _quarantine(volume: VolumeOptions) -> str:
    return volume.quarantine or f"{volume.path.rstrip('/')}{QUARANTINE}"


class Volume:
    """One directory, the names of its new files, and the quarantine directory, which is created only when it is needed."""

    def __init__(self, given: VolumeOptions, union: ReplayUnion, owner: int, group: int) -> None:
        self._union = union
        self._stack = contextlib.ExitStack()
        self._quarantine_path = _quarantine(given)
        self._quarantine: Target | None = None
        self._names: dict[Kept, str] = {}
        self.leftovers: list[str] = []
        self._target = self._stack.enter_context(Target(target.volume(given.path, replay.FOLDER), owner, group, replay.MODE))
        self.identity = self._target.identity
        self.result: VolumeResult = {
            "service": given.service,
            "replica": given.replica,
            "path": self._target.path,
            "files": len(union.files),
        }

    def __enter__(self) -> Volume:
        return self

    def __exit__(self, *exc_info: t.Any) -> None:
        self._stack.__exit__(*exc_info)

    def plan(self) -> None:
        """Choose every name, and check that this user may write. Raises OptionError, PermissionMissing, StorageError."""
        path = self._target.path
        if os.path.basename(path) != replay.FOLDER:
            raise OptionError(
                f"{path} has no directory {replay.FOLDER}, which the service reads; create it as the service's user, mode 0700"
            )
        if f"{os.path.realpath(self._quarantine_path)}/".startswith(f"{os.path.realpath(path)}/"):
            raise OptionError(f"quarantine {self._quarantine_path} is inside the replay directory; use another directory")
        self._open_quarantine()
        for one in self._union.files.values():
            name = self._free_name(one)
            if name:
                self._names[one] = name
        self.leftovers = self._target.leftovers() + (self._quarantine.leftovers() if self._quarantine else [])
        if self.changes:
            self._target.check_may(sum(one.size for one in self._names))
        renamed = [one for one, name in self._names.items() if name != one.plain_name]
        self.result |= {
            "restored": sum(not one.incomplete for one in self._names),
            "skipped": len(self._union.files) - len(self._names),
            "renamed": len(renamed),
            "quarantined": sum(one.incomplete for one in self._names),
            "bytes": sum(one.size for one in self._names),
        }

    @property
    def changes(self) -> bool:
        return bool(self._names or self.leftovers)

    def _open_quarantine(self) -> None:
        found = target.open_private(self._quarantine_path)
        if found is not None:
            self._quarantine = self._stack.enter_context(Target(found, os.geteuid(), os.getegid(), replay.MODE))

    def _free_name(self, one: Kept) -> str | None:
        """Return the name for a file, or None if the file exists already."""
        place = self._quarantine if one.incomplete else self._target
        for name in (one.plain_name, replay.with_tag(one.plain_name, f"restored-{one.sha256[:8]}")):
            state = place.holds(name, one.size, one.sha256) if place else ABSENT
            if state != OTHER:
                return name if state == ABSENT else None
        raise StorageError(f"the content of {self._target.path}/{name} does not match its name; move the file elsewhere")

    def fill(self, dry: bool) -> None:
        """Verify all files. Except in check mode, write the missing ones under names that services ignore."""
        if not dry and self.changes:
            self._target.clear()
            if not self._quarantine and any(one.incomplete for one in self._names):
                target.make_private(self._quarantine_path)
                self._open_quarantine()
            if self._quarantine:
                self._quarantine.clear()
        self._union.read(() if dry else self._names, self._writing)

    def _writing(self, one: Kept) -> t.ContextManager[pipes.Sink]:
        return self._place(one).writing(self._names[one], one.mtime_ns)

    def _place(self, one: Kept) -> Target:
        return self._quarantine if one.incomplete and self._quarantine else self._target

    def publish(self, dry: bool, warn: t.Callable[[str], None]) -> None:
        for one, name in self._names.items():
            if not dry:
                self._place(one).publish(name)
            if one.incomplete:
                warn(
                    f"{one.plain_name} ends with an incomplete line, which the service would drop; it is in {self._quarantine_path}/{name}"
                )
            elif name != one.plain_name:
                warn(f"{self._target.path}/{one.plain_name} exists with other content; the file of the set was restored as {name}")

    def listing(self) -> str:
        """Return the paths of the new files."""
        return "".join(
            f"{self._quarantine_path if one.incomplete else self._target.path}/{name}\n"
            for one, name in sorted(self._names.items(), key=str)
        )
