# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies an image from an engine to another place: first it is read and verified as a whole, then passed on unchanged, layer by layer.

Nothing is stored on this host, and only a piece of a layer is in memory at a time.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import typing as t

from .._errors import TamperedData
from .._stream import pipes
from . import descriptions, layers, saved
from .budget import Budget

_BEGINS = (b"{", b"[")


@dataclasses.dataclass(frozen=True)
class Seen:
    """A saved image after verification.

    `documents` are covered by the ID through their digests, `sha256:...`, the configuration last. `layers` are digest
    and size of the tar archives, lowest first. `places` maps files of the archive to layers.
    """

    documents: t.Mapping[str, bytes]
    layers: t.Sequence[tuple[str, int]]
    places: t.Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class _File:
    """A file of the archive. `fault` is the reason why it cannot be a layer."""

    name: str
    text: bytes | None
    digest: str
    size: int
    fault: TamperedData | None


class _Scan:
    """Reads each file of an archive, and keeps possible descriptions."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def take(self, name: str, size: int, data: pipes.Reader) -> _File:
        text = None
        if size <= descriptions.TEXT_LIMIT:
            content = data.read(size)
            data = io.BytesIO(content)
            text = content if content.startswith(_BEGINS) else None
            self._budget.spend("its descriptions", texts=len(text or b""))
        layer = layers.Layer(data, f"layer {name[-64:]!a}")
        piece = b""
        while True:
            try:
                piece = layer.read(pipes.CHUNK)
            except TamperedData as exc:
                return _File(name, text, "", 0, exc)
            if not piece:
                return _File(name, text, layer.digest.hexdigest(), layer.size, None)
            self._budget.spend(f"layer {name[-64:]!a}", size=len(piece))


def look(source: pipes.Reader, image_id: str) -> Seen:
    """Read everything that an engine saves of the image `sha256:...`, and compare it with the ID.

    Raises OptionError, TamperedData, and the errors of the budget.
    """
    budget = Budget()
    found = saved.files(source, _Scan(budget).take, budget)
    image = descriptions.describe(lambda name: found[name].text if name in found else None, image_id, budget)
    sizes, places = [], {}
    for name, diff_id in image.layers:
        file = found.get(name)
        if file is None:
            raise TamperedData(f"the saved image lacks layer {diff_id}; pull the image again, then run this again")
        if file.fault:
            raise file.fault
        if file.digest != diff_id:
            raise TamperedData(f"the saved image has layer {file.digest} instead of {diff_id}; pull the image again, then run this again")
        sizes.append((f"sha256:{diff_id}", file.size))
        places[file.name] = f"sha256:{diff_id}"
    return Seen({f"sha256:{hashlib.sha256(one).hexdigest()}": one for one in image.documents}, sizes, places)


def hand_on(source: pipes.Reader, seen: Seen, wanted: t.Collection[str], take: t.Callable[[str, layers.Layer], object]) -> None:
    """Read the same image once more, and call `take` with the digest and content of each layer in `wanted`.

    `take` must compare the digest at the end. Raises TamperedData if a layer from the first pass is missing.
    """
    left = set(wanted)

    def each(name: str, _size: int, data: pipes.Reader) -> None:
        digest = seen.places.get(name)
        if digest in left:
            take(digest, layers.Layer(data, f"layer {digest}"))
            left.discard(digest)

    saved.files(source, each, Budget())
    if left:
        raise TamperedData(f"the saved image lacks layer {min(left)}, which it had before; pull the image again, then run this again")
