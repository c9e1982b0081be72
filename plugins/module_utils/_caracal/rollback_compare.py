# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare two databases side by side in key order, one page at a time. Nothing is written to either database."""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import operator
import typing as t

from .inventory.inventory import Reader
from .rollback import Category, Value

PAGE = 5000
EXAMPLES = 20

Pair = tuple[str, Value]


@dataclasses.dataclass
class Lost:
    """How much of a category is lost, with example keys. Examples of numbers include both values."""

    count: int = 0
    examples: list[str] = dataclasses.field(default_factory=list)


def lost(category: Category, former: Reader, restored: Reader) -> Lost:
    """Compare one category. Each reader must be in its own transaction."""
    found = Lost()
    for key, was, now in merged(_rows(former, category.sql), _rows(restored, category.sql)):
        amount = category.loss(was, now)
        if amount:
            found.count += amount
            if len(found.examples) < EXAMPLES:
                found.examples.append(f"{key}: {now or 0}, was {was}" if category.numeric else key)
    return found


def merged(former: t.Iterator[Pair], restored: t.Iterator[Pair]) -> t.Iterator[tuple[str, Value, Value]]:
    """Yield key, former value and restored value, with None for a missing row. Both inputs are sorted by unique keys."""
    both = heapq.merge(((key, 0, value or "") for key, value in former), ((key, 1, value or "") for key, value in restored))
    for key, rows in itertools.groupby(both, operator.itemgetter(0)):
        values = {side: value for _key, side, value in rows}
        yield key, values.get(0), values.get(1)


def _rows(reader: Reader, sql: str) -> t.Iterator[Pair]:
    """Yield the rows in byte order of their keys. In UTF-8 this is the order of code points, so Python and both servers agree."""
    reader.rows(f'DECLARE page NO SCROLL CURSOR FOR SELECT key, value FROM ({sql}) x (key, value) ORDER BY key COLLATE "C"')
    while rows := reader.rows(f"FETCH FORWARD {PAGE} FROM page"):
        yield from ((key, value) for key, value in rows)
    reader.rows("CLOSE page")
