# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verify that a sandbox is isolated: try from inside to reach the addresses of this host, all of which must fail.

Failure alone proves nothing. So the same addresses are tried from outside, where some must succeed. Names are resolved only
outside. Paths are resolved in the sandbox's files without entering its mount namespace, so files that a hostile server created
there are never loaded.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import os
import secrets
import socket
import typing as t

from .._errors import OptionError
from .._report.check import FAIL, PASS, UNPROVEN, WARN, Check
from .._stream import workers
from . import reach
from .bundle import Bundle
from .reach import Addresses

CHECK_ID = "sandbox.isolated"
LISTENS = "0A"
# Addresses of the documentation ranges. Querying the kernel for the route sends no packets.
SOMEWHERE = ((socket.AF_INET, ("192.0.2.1", 9)), (socket.AF_INET6, ("2001:db8::1", 9)))
LOOPBACK = "127.0.0.1"
# linux/net.h, __SO_ACCEPTCON: a Unix socket that listens.
_ACCEPTS = 0x10000


@dataclasses.dataclass(frozen=True)
class Target:
    """An address that must not be reachable from inside.

    It is `host` and `port`, or the path of a Unix socket as `host` with port 0 (with a leading `\\0` for an abstract socket).
    `recorded` means that the operator named it as part of production.
    """

    host: str
    port: int
    recorded: bool = dataclasses.field(default=False, compare=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host.replace("\0", "@", 1)


def parse(text: str) -> Target:
    """Parse `host:port`, `[address]:port` or the absolute path of a Unix socket. Raise OptionError for other text."""
    if text.startswith("/"):
        return Target(text, 0, recorded=True)
    host, _colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise OptionError(
            "an address in production is not host:port or the absolute path of a socket; use addresses without user or password"
        )
    return Target(host, int(port), recorded=True)


def verify(bundle: Bundle, recorded: t.Sequence[Target], reason: str) -> Check:
    """Return the check `sandbox.isolated`.

    Without isolation, the check warns with the operator's `reason`, or fails if there is none.
    """
    if not bundle.isolated:
        if reason:
            return Check(CHECK_ID, WARN, f"the sandbox is not isolated ({bundle.info.isolation_reason}); accepted: {reason}")
        return Check(
            CHECK_ID, FAIL, f"the sandbox is not isolated ({bundle.info.isolation_reason}); install bubblewrap, or set unisolated_reason"
        )
    with _own_listeners() as own:
        taken = {port for _address, port in bundle.run(listening)}
        hidden = [target for target in recorded if target.port in taken and _is_loopback(target.host)]
        named = [target for target in recorded if target not in hidden]
        targets = list(dict.fromkeys([*named, *own, *_of_host(taken)]))
        known, outer = workers.run_all([(_from_host, (targets,))], 1)[0]
        inner, ways = bundle.run(_from_inside, known)
        try:
            shown = reach.shown(bundle.info.pid, ["" if target.port else target.host for target in targets])
        except OSError as exc:
            return Check(CHECK_ID, UNPROVEN, f"cannot inspect the files of the sandbox: {exc.strerror}; this requires Linux 5.6")
    return judge(targets, outer, [one or other for one, other in zip(inner, shown, strict=True)], ways, hidden)


def judge(
    targets: t.Sequence[Target],
    outer: t.Sequence[bool],
    inner: t.Sequence[bool],
    ways: t.Sequence[str] = (),
    hidden: t.Sequence[Target] = (),
) -> Check:
    """Return the check from the results inside and outside, in the order of the targets, and the addresses of outgoing routes.

    `hidden` are addresses of production at which the sandbox itself listens, so they were not tried.
    """
    reached = [str(target) for target, hit in zip(targets, inner, strict=True) if hit]
    control = [target for target, hit in zip(targets, outer, strict=True) if hit]
    details: dict[str, t.Any] = {
        "tried": len(targets),
        "reached_from_host": [str(target) for target in control][:50],
        "reached_from_sandbox": reached[:50],
    }
    details |= {"not_tried": [str(target) for target in hidden]} if hidden else {}
    if reached:
        words = f"the sandbox can reach {len(reached)} of {len(targets)} addresses of this host or of production"
        return Check(CHECK_ID, FAIL, f"{words}; first: {reached[0]}", details=details)
    if ways:
        return Check(
            CHECK_ID, FAIL, f"the sandbox's network has a route to the outside through {ways[0]}; find out what created it", details=details
        )
    if not control:
        words = f"the sandbox can reach none of {len(targets)} addresses, but neither can this host, so the attempts prove nothing"
        return Check(CHECK_ID, UNPROVEN, words, details=details)
    recorded = [target for target in targets if target.recorded]
    named = f"{sum(target.recorded for target in control)} of {len(recorded)} in production" if recorded else "none in production"
    words = f"the sandbox cannot reach {len(control)} addresses that this host reaches ({named})"
    if hidden:
        words += f"; {hidden[0]} could not be tried, because the sandbox itself listens there"
    return Check(CHECK_ID, PASS, words, details=details)


@contextlib.contextmanager
def _own_listeners() -> t.Iterator[list[Target]]:
    """Open sockets that this host can certainly reach: one on the loopback, and an abstract Unix socket, which does not depend on files."""
    name = f"\0caracal-ops-{secrets.token_hex(8)}"
    with socket.socket() as port, socket.socket(socket.AF_UNIX) as path:
        port.bind((LOOPBACK, 0))
        path.bind(name)
        for one in (port, path):
            one.listen()
        yield [Target(LOOPBACK, port.getsockname()[1]), Target(name, 0)]


def listening() -> list[tuple[str, int]]:
    """Return address and port of the listening sockets in this network, with the address in hexadecimal as the kernel prints it."""
    found = []
    for name in ("tcp", "tcp6"):
        try:
            with open(f"/proc/self/net/{name}", encoding="ascii") as lines:
                rows = [line.split() for line in lines.readlines()[1:]]
        except OSError:
            continue
        found += [(row[1].partition(":")[0], int(row[1].partition(":")[2], 16)) for row in rows if row[3] == LISTENS]
    return found


def _is_loopback(host: str) -> bool:
    """Return True if the host means a loopback address, which exists in each network.

    A connection from inside would reach the sandbox itself.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    return address.is_loopback or address.is_unspecified


def _of_host(inside: set[int]) -> list[Target]:
    """Return the listening sockets of this host.

    A loopback port that is also in use inside is omitted, since the sandbox itself would answer.
    """
    ports = sorted({port for _address, port in listening()})
    return [
        *(Target(LOOPBACK, port) for port in ports if port not in inside),
        *(Target(address, port) for address in _addresses() for port in ports),
        *(Target(path, 0) for path in _unix_sockets()),
    ]


def _addresses() -> list[str]:
    """Return the addresses of outgoing routes of this network, or none if it has no route."""
    found = []
    for family, address in SOMEWHERE:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as line:
            line.connect(address)
            found.append(line.getsockname()[0])
    return found


def _unix_sockets() -> list[str]:
    """Return the paths of the listening Unix sockets on this host: databases, container engines, agents."""
    try:
        with open("/proc/self/net/unix", encoding="utf-8", errors="surrogateescape") as lines:
            rows = [line.split(maxsplit=7) for line in lines.readlines()[1:]]
    except OSError:
        return []
    paths = {row[7].rstrip("\n") for row in rows if len(row) == 8 and int(row[3], 16) & _ACCEPTS}
    return sorted(path.replace("@", "\0", 1) if path.startswith("@") else path for path in paths)


def _from_host(targets: t.Sequence[Target]) -> tuple[list[Addresses], list[bool]]:
    """Return the addresses of each target as this host resolves them, and whether they accept a connection."""
    known = [_resolved(target) for target in targets]
    return known, reach.connected(known)


def _from_inside(known: t.Sequence[Addresses]) -> tuple[list[bool], list[str]]:
    """Return which addresses accept a connection in the sandbox's network, and its outgoing routes.

    Paths are omitted, since this process sees the files of this host.
    """
    return reach.connected([[one for one in addresses if not reach.is_path(one[1])] for addresses in known]), _addresses()


def _resolved(target: Target) -> Addresses:
    if not target.port:
        return [(socket.AF_UNIX, os.fsencode(target.host))]
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [(family, address) for family, _kind, _protocol, _name, address in found]
