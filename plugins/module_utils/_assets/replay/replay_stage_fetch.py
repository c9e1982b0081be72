# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module and the action of the same name: fetch a host's staged files to the controller, in pieces and up to a limit.

The host is trusted less than the controller. It can only list names that this file creates. Neither one answer nor all answers
together may exceed the limit. The content is verified later, when the files are added to the set.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import re
import typing as t

from ..._ansible.boundary import Invocation
from ..._errors import OptionError, StorageError, TamperedData
from ..._options import declared
from ..._options.declared import Path, Suboptions, Word
from ..._repository import layout as keys
from ..._storage.local import LocalStore

PIECE = 8 << 20
# Three for each reading of a replica: far more replicas than a host has.
MOST_NAMES = 3000
_SOURCE = re.compile(r"(?:replay\.)?((?:sts|gateway)(?:-[A-Za-z0-9][A-Za-z0-9_-]{0,62})?)\.")
# Requests one piece of one file from the host, by key and offset.
Ask = t.Callable[[str, int], t.Mapping[str, object]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PieceOptions(Suboptions):
    """The part of one staged file that begins at `offset`."""

    key: Word
    offset: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    reading: t.Literal[1, 2]
    set_id: str
    stage: Path
    staged: tuple[str, ...]
    max_bytes: int
    piece: PieceOptions | None = None


class PieceResult(t.TypedDict):
    """A piece of a file in Base64, as the host sends it."""

    changed: bool
    data: str


class FetchResult(t.TypedDict):
    """The result of the action: the location of the files."""

    changed: bool
    path: str
    files: list[str]
    bytes: int
    diff: dict[str, str]


def run(invocation: Invocation[Options]) -> PieceResult:
    """Read one piece of one file. Runs on the host."""
    given, piece = invocation.options, invocation.options.piece
    if piece is None:
        raise OptionError("piece is missing: its action plugin sets it; use replay_stage_fetch as a task")
    key = _checked(piece.key, given.set_id, given.reading)
    with LocalStore(given.stage).open(key) as stream:
        stream.seek(piece.offset)
        data = stream.read(PIECE)
    return {"changed": False, "data": base64.b64encode(data).decode("ascii")}


def bring(invocation: Invocation[Options], ask: Ask, host: str, make: t.Callable[[], str]) -> FetchResult:
    """Fetch every file completely into the directory that `make` creates. Runs on the controller.

    Raises TamperedData for an invalid answer of the host.
    """
    given = invocation.options
    names = [_checked(name, given.set_id, given.reading, host) for name in given.staged[: MOST_NAMES + 1]]
    if len(names) > MOST_NAMES or len({*names}) != len(names):
        raise TamperedData(f"{host} lists a file twice, or more than {MOST_NAMES} files, so none was fetched; check which host this is")
    left: int = given.max_bytes
    path = "" if invocation.check_mode else make()
    if path:
        store = LocalStore(path)
        for name in names:
            left -= _bring(store, name, _Host(ask, host), left, given.max_bytes)
    listing = "".join(f"{name}\n" for name in names)
    diff = {"before": "", "after": listing}
    return {"changed": bool(names), "path": path, "files": names, "bytes": given.max_bytes - left, "diff": diff}


def _checked(name: str, set_id: str, reading: int, host: str = "this host") -> str:
    """Return the name if it is a name in a replay archive of this reading."""
    found = _SOURCE.match(name.rpartition("/")[2])
    if found:
        archive = keys.replay_key(set_id, found[1], reading)
        if name in {archive, keys.details_key(archive), keys.part_key(set_id, f"replay.{found[1]}.{reading}")}:
            return name
    raise TamperedData(
        f"{host} lists {name[:200]!a}, which is not a file of a replay archive, so none was fetched; check which host this is"
    )


class _Host:
    """The untrusted answers of a host."""

    def __init__(self, ask: Ask, name: str) -> None:
        self._ask = ask
        self.name = name

    def piece(self, key: str, offset: int) -> bytes:
        answer = self._ask(key, offset)
        if answer.get("failed"):
            raise StorageError(f"{self.name} could not read {key} of its stage: {str(answer.get('msg'))[:500]}")
        data = answer.get("data")
        with contextlib.suppress(binascii.Error, ValueError):
            if isinstance(data, str) and len(data) <= _encoded(PIECE):
                return base64.b64decode(data, validate=True)
        raise TamperedData(f"{self.name} returned no part of {key}; check which host this is")


def _encoded(size: int) -> int:
    return -(-size // 3) * 4


def _bring(store: LocalStore, key: str, host: _Host, left: int, most: int) -> int:
    """Fetch one file and return its size in bytes."""
    size = 0
    with store.writer(key.rpartition("/")[0], key) as out:
        while True:
            data = host.piece(key, size)
            size += len(data)
            if size > left:
                raise StorageError(f"{host.name} has staged more than max_bytes={most}; raise it if the volumes are that large")
            out.write(data)
            # Only the last piece may be shorter, so the host cannot make this loop endless.
            if len(data) < PIECE:
                out.publish(key)
                return size
