# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A temporary Redis in a sandbox.

It listens on a private socket for the drill, and on the loopback of the sandbox's network for services.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
import socket
import stat
import time
import typing as t

from .._errors import ObjectMissing, OptionError, StageFailed, StorageError
from .._stream.process import last_line
from . import programs, redis_program, users
from .bundle import Bundle
from .info import SOCKET_PATH_LIMIT, Layout
from .programs import Program
from .redis_program import Found

if t.TYPE_CHECKING:
    from .._images.cache import Unpacked

NAME = "redis"
PORT = 6379
START_SECONDS = 60.0
# The settings of Caracal's own Redis, except persistence: a sandbox does not write its data to disk.
SETTINGS = ("maxmemory-policy noeviction", "appendonly no", 'save ""', "unixsocketperm 700", "daemonize no", "protected-mode yes")


@dataclasses.dataclass(frozen=True)
class RedisInfo:
    """A running Redis.

    Its port is in the sandbox's network, or without isolation on this host's loopback. `password_file` contains the password.
    `image` is the ID of its image, empty for a program of this host.
    """

    unix_socket: str
    port: int
    password_file: str
    version: str
    image: str = ""

    def to_result(self) -> dict[str, object]:
        return dataclasses.asdict(self)


def look(bundle: Bundle, path: str | None, bring: t.Callable[[], Unpacked] | None) -> Found:
    """Return the Redis of the image from `bring`, or without `bring` one of this host. Raises MissingDependency."""
    if bring is None:
        return Found(*redis_program.find(path))
    # Imported late to keep the start of each module fast.
    from . import image_redis

    return image_redis.find(bundle, bring)


def attach(bundle: Bundle) -> RedisInfo:
    """Return the running server. Raise ObjectMissing if there is none."""
    place = _note(bundle)
    if not programs.alive(bundle, NAME) or not os.path.exists(place):
        raise ObjectMissing(f"the sandbox in {bundle.info.directory} has no Redis; run the step prepare of the drill")
    with open(place, encoding="utf-8") as text:
        return RedisInfo(**json.load(text))


def _note(bundle: Bundle) -> str:
    return os.path.join(Layout.of(bundle.info.directory).programs, f"{NAME}.json")


def predict(bundle: Bundle, version: str, port: int, image_id: str = "") -> RedisInfo:
    """Return the result that `start` would have."""
    home = os.path.join(Layout.of(bundle.info.directory).programs, NAME)
    path = os.path.join(home, "redis.sock")
    if len(os.fsencode(path)) > SOCKET_PATH_LIMIT:
        raise OptionError(
            f"{path} is longer than {SOCKET_PATH_LIMIT} bytes, the limit of a socket path; use a shorter directory for the sandbox"
        )
    password = os.path.join(Layout.of(bundle.info.directory).programs, f"{NAME}.password")
    return RedisInfo(path, port, password, version, image_id)


def start(bundle: Bundle, path: str | None, bring: t.Callable[[], Unpacked] | None = None) -> tuple[RedisInfo, bool]:
    """Return the running server, and whether this call started it.

    Raises the errors of `look`, and StageFailed if it does not start.
    """
    if programs.alive(bundle, NAME):
        return attach(bundle), False
    server = look(bundle, path, bring)
    found = predict(bundle, server.version, PORT if bundle.isolated else _free_port(), server.image_id)
    home = programs.folder(bundle, NAME)
    config = os.path.join(os.path.dirname(home), "redis.conf")
    password = secrets.token_urlsafe(32)
    lines = [*SETTINGS, f"dir {home}", f"unixsocket {found.unix_socket}", f"port {found.port}", "bind 127.0.0.1", f"requirepass {password}"]
    try:
        users.give(home, programs.identity(bundle))
        _write(found.password_file, password)
        _write(_note(bundle), json.dumps(found.to_result()))
        _write(config, "".join(f"{line}\n" for line in lines), bundle.info.uid)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(found.unix_socket)  # a socket of a killed server must not be mistaken for the new one
    except OSError as exc:
        raise StorageError(f"{exc.filename}: {exc.strerror}; correct this, or use another directory for the sandbox") from exc
    readable = [config] if server.rootfs else [os.path.dirname(server.program), config]
    argv = [server.program, config]
    programs.start(bundle, Program(NAME, argv, {}, readable=readable, rootfs=server.rootfs, variables=server.variables))
    _wait(bundle, found)
    if server.rootfs:
        _keep_socket(bundle, home, found.unix_socket)
    return found, True


def _keep_socket(bundle: Bundle, home: str, path: str) -> None:
    """Take ownership of the directory.

    Otherwise an image's program could replace the socket by a link to a socket of this host. Redis needs no write access there.
    """
    identity = programs.identity(bundle)
    if identity is not None:
        os.chown(home, os.geteuid(), identity.gid)
        os.chmod(home, 0o710)
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        programs.stop(bundle, NAME, 0)
        raise StageFailed(f"{path} is not a socket: the image's Redis has replaced it; do not use this image")


def _free_port() -> int:
    """Return a free port of this host, which is needed without isolation."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as line:
        return line.connect_ex(path) == 0


def _write(path: str, text: str, owner: int = -1) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w", encoding="utf-8") as out:
        os.fchown(out.fileno(), owner, -1)
        out.write(text)


def _wait(bundle: Bundle, found: RedisInfo) -> None:
    """Wait until the server listens on its socket."""
    deadline = time.monotonic() + START_SECONDS
    while not _listens(found.unix_socket):
        if time.monotonic() > deadline or not programs.alive(bundle, NAME):
            programs.stop(bundle, NAME, 0)
            reason = last_line("\n".join(programs.log_lines(bundle, NAME, 20)))
            raise StageFailed(f"the sandbox's Redis in {bundle.info.directory} did not start: {reason}")
        time.sleep(0.02)
