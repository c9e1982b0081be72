# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows of the two chains as COPY text, hashed by the twin or written by the product."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import typing as t
from pathlib import Path

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains import chain_examiner, chain_keys
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.audit_chains import ADMIN, AUDIT
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.chain_examiner import Examiner, Seen, Terms
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.chain_keys import AuditKey
from twin import audit, chain, copytext

Row = dict[str, "str | None"]
FIXTURE = json.loads((Path(__file__).parents[5] / "data" / "audit_rows.json").read_text(encoding="utf-8"))
KEY, OTHER_KEY = AuditKey(bytes(range(32))), AuditKey(bytes(range(32, 64)))
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
START = 1_781_000_000_000_000  # in June 2026
BOUNDS = b"2026-06-01 00:00:00+00", b"2026-07-01 00:00:00+00"


def when(us: int) -> str:
    """Return Unix microseconds in PostgreSQL's UTC format."""
    text = (EPOCH + dt.timedelta(microseconds=us)).isoformat(" ").removesuffix("+00:00")
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "+00"


def events(count: int, zone: str = "a", keys: t.Sequence[AuditKey | None] = (KEY,), first: int = 1, step: int = 1_250_000) -> list[Row]:
    """Return a valid chain with `step` microseconds between rows. Each key signs its part; None signs nothing."""
    rows: list[Row] = []
    head = None
    for number in range(first, first + count):
        us = START + number * step
        texts = (f"{zone}{number}", zone, "token_exchange", None, "allow", None, "tab\there", "back\\slash\\N", "complete")
        documents = ('[{"policy": "p\\n"}]', None, f'{{"note": "\\\\ ä\u2028 {number}"}}')
        content = chain.event_hash(texts, documents, us * 1000)
        key = keys[(number - first) * len(keys) // count]
        mac = chain.link(key.secret, content, head) if key else None
        values = (*texts, *documents, when(us), when(us + 5), content, head, mac, str(number), "signature")
        rows.append(dict(zip(audit.COLUMNS, values, strict=True)))
        head = content
    return rows


def product_rows(release: str) -> list[Row]:
    """Return the admin rows of a product run."""
    return [dict(zip(FIXTURE["admin_columns"], row, strict=True)) for row in FIXTURE["admin"][release]["rows"]]


def product_key(release: str) -> AuditKey:
    return chain_keys.parse(FIXTURE["admin"][release]["key"], release)


def line(row: Row, columns: t.Sequence[str]) -> bytes:
    """Return COPY text without a newline."""
    return "\t".join(copytext.NULL if row[name] is None else copytext.escape(str(row[name])) for name in columns).encode()


def examine(rows: t.Iterable[Row], keys: t.Sequence[AuditKey] = (KEY,), columns: t.Sequence[str] = audit.COLUMNS, **terms: t.Any) -> Seen:
    """Return the result of a pass over audit events."""
    examiner = Examiner(Terms(AUDIT, tuple(columns), tuple(keys), **{"recompute": True, "bounds": BOUNDS, **terms}))
    examiner.take([line(row, columns) for row in rows])
    return examiner.finish()


def examine_admin(rows: t.Iterable[Row], keys: t.Sequence[AuditKey]) -> Seen:
    columns = FIXTURE["admin_columns"]
    examiner = Examiner(Terms(ADMIN, tuple(columns), tuple(keys), True))
    examiner.take([line(row, columns) for row in rows])
    return examiner.finish()


def faults(seen: Seen) -> dict[str, set[tuple[str, int]]]:
    """Return kind → (zone, number) of every fault. Valid rows must have none."""
    found: dict[str, set[tuple[str, int]]] = {}
    for name, zone in seen.items():
        kinds = {kind: getattr(zone, kind) for kind in chain_examiner.POSITIONS}
        links = {"broken": zone.links.broken, "twice": zone.links.twice, "backwards": zone.links.backwards}
        for kind, positions in {**kinds, **links}.items():
            numbers = {number for low, high in positions.ranges() for number in range(low, high + 1)}
            if numbers:
                found.setdefault(kind, set()).update((name.decode(), number) for number in numbers)
    return found


def runs(seen: Seen) -> dict[str, list[tuple[int, int]]]:
    return {name.decode(): [(run.low, run.high) for run in zone.links.runs] for name, zone in seen.items()}


def answer(seen: Seen) -> dict[bytes, t.Any]:
    """Return the whole result in a comparable form."""
    texts = {}
    for name, zone in seen.items():
        places = {kind: getattr(zone, kind) for kind in chain_examiner.POSITIONS}
        places |= {**{f"key {key}": found for key, found in zone.keys.items()}, "broken": zone.links.broken, "twice": zone.links.twice}
        places["backwards"] = zone.links.backwards
        ranges = {kind: (found.count, found.ranges()) for kind, found in places.items()}
        texts[name] = zone.rows, zone.unnumbered, ranges, [dataclasses.astuple(run) for run in zone.links.runs], zone.hours
    return texts
