# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The product's two audit chains: their tables, and which columns contain content and which contain the chain."""

from __future__ import annotations

import dataclasses
import operator
import typing as t

from ..._errors import VersionMismatch


@dataclasses.dataclass(frozen=True)
class Chain:
    """One of the product's two chains: its table, its content columns and its chain columns."""

    name: str
    table: str
    content: tuple[str, ...]
    chain: tuple[str, ...]

    @property
    def columns(self) -> set[str]:
        """All columns to which the blocks commit."""
        return {*self.content, *self.chain}


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


Extract = t.Callable[[bytes], "tuple[bytes, bytes, bytes, bytes]"]


def extractor(chain: Chain, columns: t.Sequence[str]) -> Extract:
    """Return a function that splits a COPY line without newline into (content text, chain text, zone, sequence). Hot.

    In every known release the content columns come first, so their text is the start of the line.
    """
    lacking = sorted(chain.columns - set(columns))
    if lacking:
        raise VersionMismatch(
            f"{chain.table} has no column {lacking[0]}, so no audit block can cover "
            "its rows; use a version of this collection that supports the release"
        )
    if tuple(columns[: len(chain.content)]) == chain.content and chain.content[0] == chain.chain[0]:
        return _prefix_extractor(chain, columns)
    content = operator.itemgetter(*(columns.index(name) for name in chain.content))
    links = operator.itemgetter(*(columns.index(name) for name in chain.chain))
    zone, sequence = columns.index("zone_id"), columns.index("chain_seq")
    join = b"\t".join

    def extract(line: bytes) -> tuple[bytes, bytes, bytes, bytes]:
        fields = line.split(b"\t")
        return join(content(fields)), join(links(fields)), fields[zone], fields[sequence]

    return extract


def _prefix_extractor(chain: Chain, columns: t.Sequence[str]) -> Extract:
    width = len(chain.content)
    zone = chain.content.index("zone_id")
    tail = ("id", *columns[width:])
    links = operator.itemgetter(*(tail.index(name) for name in chain.chain))
    sequence = tail.index("chain_seq")
    behind = len(columns) - width
    join = b"\t".join

    def extract(line: bytes) -> tuple[bytes, bytes, bytes, bytes]:
        fields = line.rsplit(b"\t", behind)
        content = fields[0]
        start = content.split(b"\t", zone + 1)
        fields[0] = start[0]
        return content, join(links(fields)), start[zone], fields[sequence]

    return extract
