# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A process that limits how long other sessions wait for this backup's locks, and ends the backup's session if needed.

A partition change that waits for such a lock stalls every INSERT into the audit table behind it. So if a waiting session blocks
others, the session of the backup is ended at once. Any other session waits at most `hold_max` seconds.
"""

from __future__ import annotations

import contextlib
import os
import time
import typing as t

from ..._errors import BackupError
from ..._stream.workers import become_child
from .server import Server, Session

INTERVAL = 0.4  # seconds
ATTEMPTS = 5

# Sessions of this backup that block others: pid, longest wait in seconds, whether a waiting session blocks others in turn.
_WAITERS = """
    SELECT ours.pid, max(extract(epoch FROM clock_timestamp() - coalesce(waiting.waitstart, clock_timestamp())))::float8,
           bool_or(EXISTS (SELECT 1 FROM pg_catalog.pg_locks behind
                            WHERE NOT behind.granted AND waiting.pid = ANY (pg_catalog.pg_blocking_pids(behind.pid))))
      FROM pg_catalog.pg_locks waiting
     CROSS JOIN LATERAL unnest(pg_catalog.pg_blocking_pids(waiting.pid)) AS blocker(pid)
      JOIN pg_catalog.pg_stat_activity ours ON ours.pid = blocker.pid AND ours.application_name = %s
     WHERE NOT waiting.granted
     GROUP BY 1"""

_Result = t.TypeVar("_Result")


class Guard:
    """The guard process, which runs while its `with` block does. Create it before any thread is started."""

    def __init__(self, server: Server, database: str, hold_max: float) -> None:
        import multiprocessing

        context = multiprocessing.get_context("fork")
        self._ended = context.Value("i", 0)
        self._longest = context.Value("d", 0.0)
        self._stop = context.Event()
        self._process = context.Process(target=self._watch, args=(server, database, hold_max, os.getpid()), daemon=True)

    def __enter__(self) -> Guard:
        self._process.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    @property
    def ended(self) -> int:
        """The number of this backup's sessions that the guard has ended."""
        return int(self._ended.value)

    @property
    def longest_wait(self) -> float:
        """The longest observed wait for a lock of this backup, in seconds."""
        return round(float(self._longest.value), 3)

    def patiently(self, function: t.Callable[..., _Result], *arguments: t.Any) -> _Result:
        """Call a function, and repeat the call if it failed because the guard ended its session. The last error is raised."""
        for _attempt in range(ATTEMPTS - 1):
            before = self.ended
            try:
                return function(*arguments)
            except BackupError:
                if self.ended == before:
                    raise
            time.sleep(INTERVAL)
        return function(*arguments)

    def _watch(self, server: Server, database: str, hold_max: float, parent: int) -> None:
        become_child()
        if os.getppid() != parent:
            return
        while not self._stop.is_set():
            # The session may have been ended. If the server itself is down, the workers will report the reason.
            with contextlib.suppress(BackupError), Session(server.named(f"{server.application} guard"), database) as session:
                self._look(session, server.application, hold_max)
            self._stop.wait(INTERVAL)

    def _look(self, session: Session, application: str, hold_max: float) -> None:
        while not self._stop.wait(INTERVAL):
            for pid, seconds, stalls in session.rows(_WAITERS, (application,)):
                self._longest.value = max(self._longest.value, seconds)
                if stalls or seconds > hold_max:
                    self._ended.value += 1  # count first, since the worker may fail before the next statement
                    # The server ignores a cancel request while it waits to send more rows. It does not ignore a termination.
                    session.rows("SELECT pg_catalog.pg_terminate_backend(%s)", (pid,))
