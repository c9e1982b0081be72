# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Whether a sandbox is shut: what this host reaches is tried from inside, and must not be reached.

That nothing is reached proves nothing by itself; so the same is tried from outside, where something must be.
"""

from __future__ import annotations

import codecs
import contextlib
import dataclasses
import errno
import ipaddress
import os
import secrets
import selectors
import socket
import time
import typing as t

from ..._errors import OptionError
from ..._report.check import FAIL, PASS, UNPROVEN, WARN, Check
from ..._stream import workers
from .bundle import NETWORK, Bundle

# Loaded before, since the attempts are made where this Python's files cannot be seen.
codecs.lookup("idna")

CHECK_ID = "sandbox.isolated"
SECONDS = 3.0
LISTENS = "0A"
# An address of the documentation range: asking the kernel for the way there sends nothing.
SOMEWHERE = ("192.0.2.1", 9)
LOOPBACK = "127.0.0.1"
# linux/net.h, __SO_ACCEPTCON: a Unix socket that listens.
_ACCEPTS = 0x10000
# Of a Unix socket, a full queue or another kind of socket says as well that it is there.
_REACHED = (0, errno.EAGAIN, errno.EPROTOTYPE)


# Family and address, as a socket takes them.
Addresses = list[tuple[int, t.Any]]


@dataclasses.dataclass(frozen=True)
class Target:
    """What may not be reached from inside: `host` and `port`, or the path of a Unix socket as `host` with port 0 (`\\0` in front for an
    abstract one). `recorded`: the operator named it, as production."""

    host: str
    port: int
    recorded: bool = dataclasses.field(default=False, compare=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host.replace("\0", "@", 1)


def parse(text: str) -> Target:
    """`host:port`, `[address]:port` or the absolute path of a Unix socket, as an operator writes it. Raises OptionError."""
    if text.startswith("/"):
        return Target(text, 0, recorded=True)
    host, _colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise OptionError(f"{text!a} is no host:port and no absolute path of a socket; correct it in production")
    return Target(host, int(port), recorded=True)


def verify(bundle: Bundle, recorded: t.Sequence[Target], reason: str) -> Check:
    """The check `sandbox.isolated`. Without isolation it warns with the operator's `reason`, and fails where there is none."""
    if not bundle.isolated:
        if reason:
            return Check(CHECK_ID, WARN, f"the sandbox is not isolated ({bundle.info.isolation_reason}); accepted: {reason}")
        return Check(CHECK_ID, FAIL, f"the sandbox is not isolated ({bundle.info.isolation_reason}); install bubblewrap, or give a reason")
    with _own_listeners() as own:
        inside = bundle.run(listening, namespaces=NETWORK)
        taken = {port for _address, port in inside}
        named = [target for target in recorded if not (target.port in taken and _is_loopback(target.host))]
        targets = list(dict.fromkeys([*named, *own, *_of_host(taken)]))
        known, outer = workers.run_all([(_from_host, (targets,))], 1)[0]
        inner = bundle.run(_attempt, targets, known)
    return judge(targets, outer, inner)


def judge(targets: t.Sequence[Target], outer: t.Sequence[bool], inner: t.Sequence[bool]) -> Check:
    """From what was reached outside and inside, in the order of the targets."""
    reached = [str(target) for target, hit in zip(targets, inner, strict=True) if hit]
    control = [target for target, hit in zip(targets, outer, strict=True) if hit]
    details = {"tried": len(targets), "reached_from_host": [str(target) for target in control][:50], "reached_from_sandbox": reached[:50]}
    if reached:
        words = f"from inside the sandbox {len(reached)} of {len(targets)} places of this host or of production are reached"
        return Check(CHECK_ID, FAIL, f"{words}; first: {reached[0]}", details=details)
    if not control:
        words = f"none of {len(targets)} places is reached from the sandbox, but none from this host either, so the attempts prove nothing"
        return Check(CHECK_ID, UNPROVEN, words, details=details)
    recorded = [target for target in targets if target.recorded]
    named = (
        f"{sum(target.recorded for target in control)} of {len(recorded)} named as production" if recorded else "none named as production"
    )
    words = f"{len(control)} places that this host reaches ({named}) are out of reach from the sandbox"
    return Check(CHECK_ID, PASS, words, details=details)


@contextlib.contextmanager
def _own_listeners() -> t.Iterator[list[Target]]:
    """Places of ours that this host reaches for sure: the loopback, and a Unix socket that hides from no file system."""
    name = f"\0caracal-ops-{secrets.token_hex(8)}"
    with socket.socket() as port, socket.socket(socket.AF_UNIX) as path:
        port.bind((LOOPBACK, 0))
        path.bind(name)
        for one in (port, path):
            one.listen()
        yield [Target(LOOPBACK, port.getsockname()[1]), Target(name, 0)]


def listening() -> list[tuple[str, int]]:
    """Address and port of what listens in this network, IPv4 as `0.0.0.0` where it is any."""
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
    """Whether each network has an address of its own by that name; what is asked for inside answers there."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    return address.is_loopback or address.is_unspecified


def _of_host(inside: set[int]) -> list[Target]:
    """What listens on this host. On the loopback, a port that also something inside has would be answered by that."""
    ports = sorted({port for _address, port in listening()})
    return [
        *(Target(LOOPBACK, port) for port in ports if port not in inside),
        *(Target(address, port) for address in _addresses() for port in ports),
        *(Target(path, 0) for path in _unix_sockets()),
    ]


def _addresses() -> list[str]:
    """The address by which this host goes out; none where it has no way out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(SOMEWHERE)
        except OSError:
            return []
        return [probe.getsockname()[0]]


def _unix_sockets() -> list[str]:
    """Paths of the Unix sockets that listen on this host: databases, container engines, agents."""
    try:
        with open("/proc/self/net/unix", encoding="utf-8", errors="surrogateescape") as lines:
            rows = [line.split(maxsplit=7) for line in lines.readlines()[1:]]
    except OSError:
        return []
    paths = {row[7].rstrip("\n") for row in rows if len(row) == 8 and int(row[3], 16) & _ACCEPTS}
    return sorted(path.replace("@", "\0", 1) if path.startswith("@") else path for path in paths)


def _from_host(targets: t.Sequence[Target]) -> tuple[list[Addresses], list[bool]]:
    """The addresses of each target as this host knows them, and which accept a connection."""
    known = [_resolved(target) for target in targets]
    return known, _connected(known)


def _attempt(targets: t.Sequence[Target], known: t.Sequence[Addresses]) -> list[bool]:
    """The same from inside. A name that can be looked up there is a way out, whatever it leads to."""
    found = [_resolved(target) for target in targets]
    looked_up = [bool(addresses) and _is_name(target) for target, addresses in zip(targets, found, strict=True)]
    both = [[*addresses, *more] for addresses, more in zip(known, found, strict=True)]
    return [one or other for one, other in zip(looked_up, _connected(both), strict=True)]


def _is_name(target: Target) -> bool:
    if not target.port or _is_loopback(target.host):
        return False
    try:
        ipaddress.ip_address(target.host.partition("%")[0])
    except ValueError:
        return True
    return False


def _connected(places: t.Sequence[Addresses]) -> list[bool]:
    """Which of them have an address that accepts a connection, all tried at once within a few seconds."""
    reached = [False] * len(places)
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as opened:
        for index, addresses in enumerate(places):
            for family, address in addresses:
                code, line = _try(family, address)
                reached[index] = reached[index] or code in _REACHED
                if line is not None:
                    selector.register(opened.enter_context(line), selectors.EVENT_WRITE, index)
        until = time.monotonic() + SECONDS
        while selector.get_map() and (left := until - time.monotonic()) > 0:
            for key, _events in selector.select(left):
                selector.unregister(key.fileobj)
                line = t.cast(socket.socket, key.fileobj)
                reached[key.data] = reached[key.data] or line.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    return reached


def _try(family: int, address: t.Any) -> tuple[int, socket.socket | None]:
    """The code of an attempt, and the socket of one that is under way."""
    try:
        line = socket.socket(family)
    except OSError as exc:  # a kernel without IPv6
        return exc.errno or errno.EAFNOSUPPORT, None
    line.setblocking(False)
    try:
        code = line.connect_ex(address)
    except OSError:  # a path that no client could name
        code = errno.EINVAL
    if code == errno.EINPROGRESS:
        return code, line
    line.close()
    return code, None


def _resolved(target: Target) -> Addresses:
    if not target.port:
        return [(socket.AF_UNIX, os.fsencode(target.host))]
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [(family, address) for family, _kind, _protocol, _name, address in found]
