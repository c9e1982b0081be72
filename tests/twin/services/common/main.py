# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The start of every service: read the environment, begin, answer until it is stopped."""

from __future__ import annotations

import sys
import typing as t

import psycopg2
import redis

from .environment import Environment, StartError
from .http import LOOPBACK, App, serve
from .journal import log


class Service(t.Protocol):
    """The methods that a service needs for `run`."""

    app: App

    def start(self) -> None: ...

    def closers(self) -> list[t.Callable[[], None]]: ...


def run(make: t.Callable[[Environment], Service], default_port: int) -> int:
    """Run a service; return the exit code, which is 1, with a line in the log, if the service cannot start."""
    environment = Environment()
    try:
        service = make(environment)
        service.start()
        port = environment.number("PORT", default_port)
    except (StartError, psycopg2.Error, redis.exceptions.RedisError, OSError) as error:
        log("fatal", "init failed", err=" ".join(str(error).split()))
        return 1
    serve(service.app, environment.optional("HOST", LOOPBACK), port, service.closers())
    return 0


def main(make: t.Callable[[Environment], Service], default_port: int) -> t.NoReturn:
    sys.exit(run(make, default_port))
