# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: store replay directories in an open set, or in a stage."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ..._ansible.boundary import Invocation
from ..._caracal import replay
from ..._drivers.volume.live import Directory
from ..._errors import NoRoom, OptionError, StageFailed
from ..._evidence import open_set
from ..._evidence.open_set import OpenSet
from ..._options import declared
from ..._options.declared import Path, Rules, needed
from ..._options.shared import OpenSetOptions, RecipientOptions, RepositoryOptions
from ..._repository import artifact as artifacts
from ..._repository import layout as keys
from ..._repository.artifact import Artifact
from ..._stream import progress
from ..._stream.progress import Progress
from . import replay_sources
from .replay_reading import Found, Nowhere, Reading, Seen
from .replay_sources import NotDurableOptions, SourceOptions, VolumeOptions

if t.TYPE_CHECKING:
    from ..set_parts import StoredFile

ARCHIVED, SAME_AS, NOT_DURABLE = "archived", "same_as", "not_durable"
_WARNINGS = {
    "unparsable": "has lines that are not audit events; they are archived unchanged, and the service will skip them",
    "oversized": "has a line of 1 MiB or more; it is archived unchanged, but the service cannot read past it",
    "other": "differs from the file with this name in reading 1; both versions are archived",
    "incomplete": "ends with an incomplete line; it is archived separately, and a restore moves it to quarantine",
    "unknown": "is not a replay file and was skipped",
}


def part_name(source: str, reading: int) -> str:
    return f"replay.{source}.{reading}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    RULES = Rules(mutually_exclusive=(("repository", "stage"), ("signing_key", "stage")), required_one_of=(("repository", "stage"),))

    access: RepositoryOptions | None = None
    open_set: OpenSetOptions
    recipients: RecipientOptions = dataclasses.field(default_factory=RecipientOptions)
    sources: SourceOptions = dataclasses.field(default_factory=SourceOptions)
    reading: t.Literal[1, 2]
    signing_key: Path | None = None
    stage: Path | None = None


class ArchiveResult(t.TypedDict):
    """Each volume by service, and its artifacts. `staged` lists the files that a host without access to the repository wrote."""

    changed: bool
    set_id: str
    volumes: list[t.Mapping[str, object]]
    artifacts: list[StoredFile]
    staged: list[str]
    bytes: int
    diff: dict[str, str]
    seconds: float


def run(invocation: Invocation[Options]) -> ArchiveResult:
    """Check all prerequisites, then archive one volume after the other. Each part is added once its artifacts exist."""
    with progress.shown() as display:
        return _archived(invocation, display)


def _archived(invocation: Invocation[Options], display: Progress) -> ArchiveResult:
    started = time.monotonic()
    given = invocation.options
    sources = replay_sources.collect(given.sources, invocation.warn)
    if given.access:
        target = open_set.load(given.access, given.open_set, given.signing_key, given.recipients, invocation.check_mode)
    else:
        target = open_set.stage(given.open_set, needed(given.stage, "stage"), given.recipients)
    work = _Work(invocation, target, display)
    work.preflight(sources.volumes)
    for one in sources.not_durable:
        work.not_durable(one)
    for source, volume in sources.volumes.items():
        work.volume(source, volume)
    listing = "".join(f"{one['path']}\n" for one in work.artifacts)
    return {
        "changed": work.changed,
        "set_id": target.set_id,
        "volumes": work.results,
        "artifacts": work.artifacts,
        "staged": work.staged if given.stage else [],
        "bytes": sum(one["size"] for one in work.artifacts),
        "diff": {"before": "" if work.changed else listing, "after": listing},
        "seconds": round(time.monotonic() - started, 3),
    }


class _Work:
    """One run. It fills `results` and `artifacts`."""

    def __init__(self, invocation: Invocation[Options], target: OpenSet, display: Progress) -> None:
        self._warn = invocation.warn
        self._dry = invocation.check_mode
        self._reading: int = invocation.options.reading
        self._target, self._display = target, display
        self._parts = target.parts()
        self._directories: dict[tuple[int, int], str] = {}
        self.changed = False
        self.results: list[t.Mapping[str, object]] = []
        self.artifacts: list[StoredFile] = []
        self.staged: list[str] = []

    def preflight(self, volumes: t.Mapping[str, VolumeOptions]) -> None:
        """Check every directory and the store.

        Reading 1 may be missing only in check mode, in which it may have been predicted.
        """
        size = 0
        for source, volume in volumes.items():
            if self._reading == 2 and not self._dry and part_name(source, 1) not in self._parts:
                raise OptionError(f"set {self._target.set_id} has no reading 1 of {source}; run reading 1 before the database is dumped")
            if part_name(source, self._reading) not in self._parts:
                path = keys.replay_key(self._target.set_id, source, self._reading)
                self._target.refuse_leftovers([path, keys.details_key(path)])
            with Directory(volume.path, replay.FOLDER) as directory:
                size += sum(directory.size(name) or 0 for name, regular in directory.names() if regular)
        store = self._target.store
        self._target.check_writable(probe=not self._dry)
        free = store.free_bytes()
        if free is not None and free < size:
            raise NoRoom(f"{store.location} has {free >> 20} MiB free, but the volumes contain {size >> 20} MiB; free disk space")

    def not_durable(self, one: NotDurableOptions) -> None:
        """Record a service whose events are lost with its container. They are not protected, and the manifest reports that."""
        result = {"service": one.service, "replica": None, "state": NOT_DURABLE, "reason": one.reason}
        self._enter(one.service, result, [], left_out=one.reason)

    def volume(self, source: str, volume: VolumeOptions) -> None:
        head = {"service": volume.service, "replica": volume.replica}
        with Directory(volume.path, replay.FOLDER) as directory:
            same = self._directories.setdefault(directory.identity, source)
            if same != source:
                words = f"the same directory as {same}; its files are in the archive of {same}"
                self._enter(source, {**head, "state": SAME_AS, "same_as": same}, [], left_out=words)
            elif part_name(source, self._reading) in self._parts:
                self._enter(source, {}, [])
            else:
                found, made = self._archive(source, directory)
                self._tell(directory, found)
                self._enter(source, {**head, "state": ARCHIVED, **found.counts()}, made, files=found.seen)

    def _enter(
        self, source: str, result: t.Mapping[str, object], made: list[Artifact], left_out: str | None = None, files: Seen | None = None
    ) -> None:
        """Add the part. If it exists already, use its result."""
        name = part_name(source, self._reading)
        part = self._parts.get(name)
        if part is None:
            part = {"artifacts": [one.to_dict() for one in made], "result": result}
            part |= {"left_out": {f"replay of {source}": left_out}} if left_out else {}
            part |= {"files": files} if files is not None else {}
            self.changed = True
            if not self._dry:
                self._target.add_part(name, part)
        self.results.append(part["result"])
        self.artifacts += [{"path": one["path"], "size": one["size"], "sha256": one["sha256"]} for one in part["artifacts"]]
        if not self._dry:
            self.staged += [*(one["path"] for one in part["artifacts"]), keys.part_key(self._target.set_id, name)]

    def _archive(self, source: str, directory: Directory) -> tuple[Found, list[Artifact]]:
        try:
            return self._once(source, directory)
        except StageFailed:
            # A file changed in another way than by growing. If it was replaced meanwhile, the second attempt reads the new file.
            return self._once(source, directory)

    def _once(self, source: str, directory: Directory) -> tuple[Found, list[Artifact]]:
        earlier = self._parts.get(part_name(source, 1), {}).get("files", {}) if self._reading == 2 else None
        if self._dry:
            return Reading(directory, earlier, Nowhere(), self._display).run(), []
        path, made = keys.replay_key(self._target.set_id, source, self._reading), []
        with self._target.sealed(path) as (sealer, publish):
            found = Reading(directory, earlier, sealer, self._display).run()
            if found.files or self._reading == 1:
                made.append(self._target.artifact(artifacts.REPLAY, path, publish(path), source))
        files = [dataclasses.asdict(one) for one in found.files]
        content = {"source": source, "reading": self._reading, "files": files, **found.lists()}
        return found, [*made, self._target.details_of(path, source, content)]

    def _tell(self, directory: Directory, found: Found) -> None:
        lists, counts = found.lists(), found.counts()
        for kind, words in _WARNINGS.items():
            for name in lists[kind][:10]:
                self._warn(f"{directory.path}/{name} {words}")
            if counts[kind] > 10:
                self._warn(f"{directory.path}: {counts[kind] - 10} more files with the same problem")
