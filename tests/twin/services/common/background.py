# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Work in the background: loops that continue when a store is lost, and that end with the service."""

from __future__ import annotations

import threading
import typing as t

import psycopg2
import redis

from .journal import log

PAUSE = 0.5


class Loop:
    """Runs `work` repeatedly, `interval` seconds apart; the first time at once or after one interval."""

    def __init__(self, name: str, work: t.Callable[[], object], interval: float, *, at_once: bool = True) -> None:
        self.runs = 0
        self.failures = 0
        self._name = name
        self._work = work
        self._interval = interval
        self._at_once = at_once
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> Loop:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(timeout=15)

    def _run(self) -> None:
        pause = 0.0 if self._at_once else self._interval
        while not self._ended.wait(pause):
            pause = self._interval
            self.runs += 1
            try:
                self._work()
            except (psycopg2.Error, redis.exceptions.RedisError) as error:
                self.failures += 1
                pause = max(pause, PAUSE)
                log("error", f"{self._name} failed", err=" ".join(str(error).split()))
