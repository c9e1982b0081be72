# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Audit blocks v1: our own commitment to every audit row (see the guide on formats).

The product's chain is pairwise, so whoever holds its key can edit one row in the middle unseen. A block
commits to the content and to the chain columns of all rows of 65,536 sequence numbers of one zone in one
leaf, independent of the order in which the rows arrive.
"""

from __future__ import annotations

import dataclasses
import hashlib
import operator
import struct
import typing as t

BLOCK_ROWS = 1 << 16
DIGEST = 32
NO_SEQUENCE = b"-"
NULL = b"\\N"

# What may wait in memory before blocks are set aside and read again by index; 64 bytes a row.
MEMORY_LIMIT = 24 << 20


@dataclasses.dataclass(frozen=True)
class Chain:
    """One of the product's two chains: its table, and which columns are content and which are chain."""

    name: str
    table: str
    content: tuple[str, ...]
    chain: tuple[str, ...]


AUDIT = Chain(
    "audit",
    "audit_events",
    (
        "id",
        "zone_id",
        "event_type",
        "request_id",
        "decision",
        "policy_set_id",
        "policy_set_version_id",
        "manifest_sha",
        "evaluation_status",
        "determining_policies_json",
        "diagnostics_json",
        "metadata_json",
        "occurred_at",
    ),
    ("id", "chain_seq", "prev_content_sha256", "content_sha256", "chain_hmac", "ingested_at", "ingest_signature"),
)
ADMIN = Chain(
    "admin",
    "admin_audit_events",
    (
        "id",
        "request_id",
        "actor_id",
        "actor_name",
        "actor_scope",
        "action",
        "method",
        "path",
        "zone_id",
        "entity_type",
        "entity_id",
        "status_code",
        "payload_json",
        "occurred_at",
    ),
    ("id", "chain_seq", "prev_content_sha256", "content_sha256", "chain_hmac"),
)


@dataclasses.dataclass(frozen=True, order=True)
class Block:
    """One line of the blocks file. `zone` is COPY text (`\\N` is the global chain); digests are hex."""

    chain: str
    zone: str
    leaf: str
    block: str
    rows: int
    seq_low: str
    seq_high: str
    content: str
    chain_digest: str

    def line(self) -> bytes:
        return "\t".join(str(value) for value in dataclasses.astuple(self)).encode() + b"\n"

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.chain, self.zone, self.leaf, self.block


class _Open:
    """A block that is being gathered: 32 bytes of each digest a row."""

    __slots__ = ("content", "chain", "low", "high")

    def __init__(self) -> None:
        self.content = bytearray()
        self.chain = bytearray()
        self.low = 0
        self.high = 0


_Key = tuple[bytes, bytes]


class Collector:
    """A sink for COPY text lines of one leaf, in any order: `write` each line, then `finish`.

    `deferred` names the (zone, block) that did not fit into memory or got rows after they were closed;
    read their rows again (by zone and sequence range) into a collector made with `only` set to them.
    """

    def __init__(self, chain: Chain, leaf: str, columns: t.Sequence[str], only: t.Collection[_Key] | None = None, limit: int = MEMORY_LIMIT) -> None:
        self._chain = chain
        self._leaf = leaf
        self._content = operator.itemgetter(*(columns.index(name) for name in chain.content))
        self._links = operator.itemgetter(*(columns.index(name) for name in chain.chain))
        self._zone = columns.index("zone_id")
        self._seq = columns.index("chain_seq")
        self._only = only
        self._room = limit // (2 * DIGEST)
        self._open: dict[_Key, _Open] = {}
        self._done: dict[_Key, Block] = {}
        self.deferred: set[_Key] = set()
        self.rows = 0

    def write(self, line: bytes) -> None:
        """One row. Hot: about 2.5 µs."""
        fields = line[:-1].split(b"\t")
        sequence = fields[self._seq]
        number = 0 if sequence == NULL else int(sequence)
        key = (fields[self._zone], b"%d" % ((number - 1) >> 16) if sequence != NULL else NO_SEQUENCE)
        self.rows += 1
        block = self._open.get(key)
        if block is None:
            block = self._begin(key, number)
            if block is None:
                return
        block.content += hashlib.sha256(b"\t".join(self._content(fields))).digest()
        block.chain += hashlib.sha256(b"\t".join(self._links(fields))).digest()
        if number < block.low:
            block.low = number
        elif number > block.high:
            block.high = number
        self._room -= 1
        if len(block.content) == BLOCK_ROWS * DIGEST and key[1] != NO_SEQUENCE and block.high - block.low == BLOCK_ROWS - 1:
            self._close(key)
        elif self._room < 0:
            self._set_aside()

    def _begin(self, key: _Key, number: int) -> _Open | None:
        if self._only is not None and key not in self._only:
            return None
        if key in self._done:
            del self._done[key]
            self.deferred.add(key)
        if key in self.deferred:
            return None
        block = self._open[key] = _Open()
        block.low = block.high = number
        return block

    def _close(self, key: _Key) -> None:
        block = self._open.pop(key)
        rows = len(block.content) // DIGEST
        self._room += rows
        low, high = (str(block.low), str(block.high)) if key[1] != NO_SEQUENCE else ("-", "-")
        zone, number = (part.decode() for part in key)
        self._done[key] = Block(self._chain.name, zone, self._leaf, number, rows, low, high, _sorted_digest(block.content), _sorted_digest(block.chain))

    def _set_aside(self) -> None:
        """Make room: the largest block that can be found again by its numbers is dropped and read later."""
        candidates = [key for key in self._open if key[1] != NO_SEQUENCE]
        if len(candidates) < 2:
            return
        key = max(candidates, key=lambda key: len(self._open[key].content))
        self._room += len(self._open.pop(key).content) // DIGEST
        self.deferred.add(key)

    def finish(self) -> list[Block]:
        """All blocks that are complete, sorted; see `deferred` for the rest."""
        for key in list(self._open):
            self._close(key)
        return sorted(self._done.values(), key=Block.line)


def _sorted_digest(digests: bytearray) -> str:
    values = sorted(value for (value,) in struct.iter_unpack(f"{DIGEST}s", digests))
    return hashlib.sha256(b"".join(values)).hexdigest()


def to_tsv(blocks: t.Iterable[Block]) -> bytes:
    """The blocks file: lines sorted by bytes."""
    return b"".join(sorted(block.line() for block in blocks))


def from_tsv(data: bytes) -> list[Block]:
    """Read a blocks file; ValueError on a malformed line."""
    blocks = []
    for line in data.decode().splitlines():
        chain, zone, leaf, block, rows, low, high, content, chain_digest = line.split("\t")
        blocks.append(Block(chain, zone, leaf, block, int(rows), low, high, content, chain_digest))
    return blocks


def leaf_digest(blocks: t.Iterable[Block]) -> str:
    """SHA-256 over the lines of one leaf's blocks: names the leaf's content whatever the order of its rows."""
    return hashlib.sha256(to_tsv(blocks)).hexdigest()
