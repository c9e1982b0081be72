# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read one replay directory from a committed set. Each byte is verified against the signed manifest and the encrypted inventory."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import typing as t

from ..._caracal import replay
from ..._crypto import strict_json
from ..._crypto.sealing import Opener
from ..._errors import OptionError, TamperedData
from ..._evidence.sealed_set import SealedSet
from ..._repository import artifact as artifacts
from ..._repository import layout as keys
from ..._repository import objects
from ..._repository.artifact import Artifact
from ..._repository.fields import Fields
from ..._stream import pipes, tar
from .replay_reading import INCOMPLETE, Nowhere

DETAILS_LIMIT = strict_json.SIZE_LIMIT
NEWLINE = b"\n"
_ELSE = "use another copy of the set"


@dataclasses.dataclass(frozen=True)
class Kept:
    """One file of a reading. `incomplete` means an unfinished last line."""

    name: str
    size: int
    sha256: str
    mtime_ns: int
    reading: int

    @property
    def incomplete(self) -> bool:
        return self.name.startswith(INCOMPLETE)

    @property
    def plain_name(self) -> str:
        return self.name.removeprefix(INCOMPLETE)


Take = t.Callable[[Kept], t.ContextManager[pipes.Sink]]


class ReplayUnion:
    """The files of both readings by name, in `files`. If both readings have a file, reading 2 has more of it."""

    def __init__(self, the_set: SealedSet, source: str, identity_files: t.Sequence[str]) -> None:
        self._signed = the_set.signed
        self._set_id = the_set.set_id
        self._identity_files = identity_files
        of_set = [*the_set.artifacts(artifacts.REPLAY), *the_set.artifacts(artifacts.DETAILS)]
        mine = {one.path: one for one in of_set if one.source == source}
        first = keys.replay_key(self._set_id, source, 1)
        if first not in mine:
            known = sorted({one.source for one in the_set.artifacts(artifacts.REPLAY) if one.source})
            raise OptionError(
                f"set {self._set_id} has no replay files of {source}, only of: {', '.join(known) or 'none'}; set `from` to one of these"
            )
        self._readings: dict[int, tuple[Artifact | None, dict[str, Kept]]] = {}
        for reading in (1, 2):
            path = keys.replay_key(self._set_id, source, reading)
            details = mine.get(keys.details_key(path))
            if details:
                self._readings[reading] = (mine.get(path), self._details(details, path, reading))
            elif path in mine:
                raise TamperedData(f"set {self._set_id} has no inventory of {path}; {_ELSE}")
        self.files = {name: one for _artifact, kept in self._readings.values() for name, one in kept.items()}

    def _details(self, artifact: Artifact, of: str, reading: int) -> dict[str, Kept]:
        with self._open(artifact) as source:
            fields = Fields(strict_json.loads(source.read_all(DETAILS_LIMIT), artifact.path), artifact.path)
        fields.format()
        if (fields.text("set"), fields.text("of"), fields.integer("reading")) != (self._set_id, of, reading):
            raise fields.fault("is the inventory of another archive")
        found = {}
        for one in fields.inners("files"):
            kept = Kept(one.text("name"), one.integer("size"), one.sha256("sha256"), one.integer("mtime_ns"), reading)
            if kept.name in found or not replay.is_pending(kept.name.removeprefix(INCOMPLETE)):
                raise one.fault("has a wrong name")
            found[kept.name] = kept
        return found

    def _open(self, artifact: Artifact) -> Opener:
        """Open the decrypted artifact. The encrypted one is verified against the signature only when it was read to its end."""
        return objects.open_sealed(self._signed, artifact.path, self._identity_files)

    def read(self, wanted: t.Container[Kept], take: Take) -> None:
        """Read every byte of both readings once. Write files in `wanted` to the sinks from `take`. Raises TamperedData."""
        for artifact, kept in self._readings.values():
            left = dict(kept)
            if artifact is None:
                if left:
                    raise TamperedData(f"set {self._set_id} has no archive with {min(left)}; {_ELSE}")
                continue
            with self._open(artifact) as source:
                for member, data in tar.members(source, artifact.path):
                    one = left.pop(member.name, None)
                    if one is None:
                        raise TamperedData(f"{artifact.path} contains {member.name!a}, which is not in its inventory; {_ELSE}")
                    if member.size != one.size:
                        raise TamperedData(f"{artifact.path}: {one.name} does not match its inventory; {_ELSE}")
                    with take(one) if one in wanted else contextlib.nullcontext(Nowhere()) as sink:
                        _copy(data, sink, one, artifact.path)
            if left:
                raise TamperedData(f"{artifact.path} lacks {min(left)}, which is in its inventory; {_ELSE}")


def _copy(data: pipes.Reader, sink: pipes.Sink, one: Kept, path: str) -> None:
    digest, size, last = hashlib.sha256(), 0, NEWLINE
    while chunk := data.read(pipes.CHUNK):
        digest.update(chunk)
        size += len(chunk)
        last = chunk[-1:]
        sink.write(chunk)
    if (size, digest.hexdigest()) != (one.size, one.sha256):
        raise TamperedData(f"{path}: {one.name} does not match its inventory; {_ELSE}")
    if last != NEWLINE and not one.incomplete:
        raise TamperedData(f"{path}: {one.name} ends with an incomplete line, which an intact archive never does; {_ELSE}")
