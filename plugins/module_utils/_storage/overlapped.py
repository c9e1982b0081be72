# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several requests under way at once: a store far away answers each after a while, and many at a time."""

from __future__ import annotations

import collections
import typing as t

if t.TYPE_CHECKING:
    import concurrent.futures

Item = t.TypeVar("Item")
Result = t.TypeVar("Result")


def in_order(work: t.Callable[[Item], Result], items: t.Iterable[Item], threads: int) -> t.Generator[Result, None, None]:
    """What `work` makes of each item, in the order of the items; so do its errors come. At most twice as many wait as `threads` work.

    No thread is left when it ends or is closed; none is made for one at a time.
    """
    if threads == 1:
        yield from map(work, items)
        return
    import concurrent.futures

    flying: collections.deque[concurrent.futures.Future[Result]] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        try:
            for one in items:
                flying.append(pool.submit(work, one))
                if len(flying) == 2 * threads:
                    yield flying.popleft().result()
            while flying:
                yield flying.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
