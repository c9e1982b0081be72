# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`python -m twin create`: create a twin in a running cluster and print one line about it."""

from __future__ import annotations

import argparse
import os
import sys
import typing as t
from pathlib import Path

import psycopg2
import redis

from . import load, secret_files, surroundings
from .releases.known import RELEASES
from .spec import Spec


def parse(arguments: t.Sequence[str] | None) -> argparse.Namespace:
    default = Spec()
    parser = argparse.ArgumentParser(prog="twin", description="A stand-in for the databases of a Caracal deployment.")
    create = parser.add_subparsers(dest="command", required=True).add_parser("create", help="make the databases; refuses if one exists")
    create.add_argument("--host", required=True, help="socket directory or host name")
    create.add_argument("--port", type=int, default=5432)
    create.add_argument("--user", default="caracal", help="the superuser that owns the product's database")
    create.add_argument("--events", type=int, default=default.events, help="audit events (%(default)s)")
    create.add_argument("--zones", type=int, default=default.zones, help="zones (%(default)s)")
    create.add_argument("--months", type=int, default=default.months, help="months with audit events (%(default)s)")
    create.add_argument("--seed", default=str(default.seed), help="a number or a word; decides every id and key (%(default)s)")
    create.add_argument("--release", choices=RELEASES, default=default.release, help="the release to stand in for (%(default)s)")
    create.add_argument("--redis", metavar="URL", help="fill this empty Redis with events on their way: unix:///PATH, redis://HOST:PORT")
    create.add_argument("--redis-password-file", metavar="PATH")
    create.add_argument("--replay", metavar="FOLDER", help="where STS and Gateway keep unsent events; needs --redis")
    create.add_argument("--secrets", metavar="FOLDER", help="write the keys of this seed as the product keeps them, a file each")
    return parser.parse_args(arguments)


def main(arguments: t.Sequence[str] | None = None) -> int:
    options = parse(arguments)
    target = {"host": options.host, "port": options.port, "user": options.user, "password": os.environ.get("PGPASSWORD")}
    try:
        spec = Spec(events=options.events, zones=options.zones, seed=options.seed, months=options.months, release=options.release)
        if options.secrets:
            secret_files.write(Path(options.secrets), secret_files.of_release(spec.seed, spec.release))
        made = load.create(target, spec)
        if options.redis:
            client = surroundings.connect(options.redis, options.redis_password_file)
            surroundings.create(target, spec.seed, client, Path(options.replay))
    except (load.TwinError, ValueError, OSError, psycopg2.Error, redis.exceptions.RedisError) as error:
        print(f"twin: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    size = f"{made.database_bytes / 1e6:.0f} MB"
    print(f"twin: {made.tables} tables, {made.zones} zones, {made.events} audit events, {made.rows} rows, {size}, {made.seconds:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
