# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Concurrent requests, for remote stores with latency that answer many requests at a time."""

from __future__ import annotations

import collections
import typing as t

if t.TYPE_CHECKING:
    import concurrent.futures

Item = t.TypeVar("Item")
Result = t.TypeVar("Result")


def in_order(work: t.Callable[[Item], Result], items: t.Iterable[Item], threads: int) -> t.Generator[Result, None, None]:
    """Yield the result of `work` for each item, in the order of the items. Errors are raised in the same order.

    At most twice as many items as `threads` are in progress or waiting. All threads have ended when the generator ends
    or is closed. With one thread, no thread is started.
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
