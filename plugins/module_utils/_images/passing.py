# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image on its way from an engine to somewhere else: looked at as a whole first, then handed on layer by layer, the way it was.

Nothing of it is kept on this host, and of its layers no more than a piece in memory.
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
    """The image as it was saved. `documents` are those that its id vouches for by their digests, `sha256:...`, the configuration last;
    `layers` digest and size of the tar archives, the lowest first; `places` says which file of the archive holds which layer."""

    documents: t.Mapping[str, bytes]
    layers: t.Sequence[tuple[str, int]]
    places: t.Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class _File:
    """`fault` says why it can be no layer."""

    name: str
    text: bytes | None
    digest: str
    size: int
    fault: TamperedData | None


class _Look:
    """Takes each file of an archive, and keeps what may be a description."""

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
    """Read all that an engine saves of the image `sha256:...`, and compare it with the id. Raises OptionError, TamperedData, and what the
    budget raises."""
    budget = Budget()
    found = saved.files(source, _Look(budget).take, budget)
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
    """What an engine saves of the same image once more: `take` gets each layer of those `wanted` by its digest, and has to compare it at
    its end. Raises TamperedData for what was there before and is not now."""
    left = set(wanted)

    def each(name: str, _size: int, data: pipes.Reader) -> None:
        digest = seen.places.get(name)
        if digest in left:
            take(digest, layers.Layer(data, f"layer {digest}"))
            left.discard(digest)

    saved.files(source, each, Budget())
    if left:
        raise TamperedData(f"the saved image lacks layer {min(left)}, which it had before; pull the image again, then run this again")
