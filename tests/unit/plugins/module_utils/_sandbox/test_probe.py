# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import socket
import struct
import tempfile
import typing as t
import uuid

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, PASS, UNPROVEN, WARN
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import probe, reach
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.bundle import Bundle
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.probe import Target
from harness import small_programs

SIOCSIFADDR = 0x8916


@pytest.fixture
def shut(server_install: Install, sandbox_directory: str) -> Bundle:
    return small_programs.make("bubblewrap", sandbox_directory, server_install)


@pytest.fixture
def bare(server_install: Install, sandbox_directory: str) -> Bundle:
    return small_programs.make("bare", sandbox_directory, server_install)


@contextlib.contextmanager
def listener(path: str | None = None, *, kind: socket.SocketKind = socket.SOCK_STREAM, host: str = "127.0.0.1") -> t.Iterator[str]:
    """Run a listener on this host and yield its address as an operator would write it."""
    family = socket.AF_UNIX if path else socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as server:
        server.bind(path or (host, 0))
        server.listen()
        try:
            yield path or (f"[{host}]" if ":" in host else host) + f":{server.getsockname()[1]}"
        finally:
            if path and path.startswith("/"):
                os.unlink(path)


@pytest.fixture
def short() -> t.Iterator[pathlib.Path]:
    """Yield a directory for sockets, because `tmp_path` may be too long for their names."""
    with tempfile.TemporaryDirectory(prefix="caracal-", dir="/var/tmp") as folder:
        yield pathlib.Path(folder)


def docker_like(short: pathlib.Path) -> list[str]:
    """Return paths of sockets that a service must not reach."""
    name = f"caracal-{uuid.uuid4().hex[:8]}.sock"
    return [f"/tmp/{name}", str(short / "d.sock"), f"\0{name}", *([f"/var/run/{name}"] if os.access("/var/run", os.W_OK) else [])]


@pytest.mark.no_false_alarm
def test_a_shut_sandbox_passes_and_shows_what_was_tried(shut: Bundle, short: pathlib.Path) -> None:
    with contextlib.ExitStack() as stack:
        places = [stack.enter_context(listener(path)) for path in docker_like(short)]
        named = [stack.enter_context(listener()), stack.enter_context(listener(host="127.0.0.2")), places[0]]
        check = probe.verify(shut, [probe.parse(one) for one in named], "")
        assert (check.id, check.verdict, check.required) == ("sandbox.isolated", PASS, True)
        assert "(3 of 3 in production)" in check.message
        assert check.details["reached_from_sandbox"] == [] and check.details["tried"] >= len(places) + 4
        assert check.details["reached_from_host"][:3] == named, "the control"
        targets = [Target(place, 0) for place in places]
        known, outside = probe._from_host(targets)
        none = [False] * len(places)
        assert outside == [True] * len(places) and shut.run(probe._from_inside, known) == (none, [])
        assert reach.shown(shut.info.pid, places) == none


@pytest.mark.mutation
def test_a_socket_that_is_shown_inside_fails(shut: Bundle) -> None:
    """For example, the operator's production listens in a directory that the sandbox can see."""
    with listener(os.path.join(shut.info.socket_dir, "production.sock")) as place:
        check = probe.verify(shut, [probe.parse(place)], "not asked for")
    assert check.verdict == FAIL and check.required
    assert check.message.startswith("the sandbox can reach ") and f"first: {place}" in check.message
    assert check.details["reached_from_sandbox"] == [place]


@pytest.mark.mutation
def test_a_sandbox_that_is_open_is_seen_by_the_same_attempts(bare: Bundle) -> None:
    with listener() as place:
        targets = [probe.parse(place)]
        known, outer = probe._from_host(targets)
        check = probe.judge(targets, outer, *bare.run(probe._from_inside, known))
    assert check.verdict == FAIL and place in check.message


@pytest.mark.mutation
def test_without_isolation_a_reason_is_needed(bare: Bundle) -> None:
    check = probe.verify(bare, [], "")
    assert check.verdict == FAIL and "bubblewrap is not installed" in check.message and "set unisolated_reason" in check.message
    check = probe.verify(bare, [], "no namespaces on this kernel")
    assert check.verdict == WARN and check.message.endswith("accepted: no namespaces on this kernel")


def test_without_a_control_nothing_is_proved() -> None:
    targets = [Target("db.example", 5432, recorded=True), Target("/run/postgresql/.s.PGSQL.5432", 0)]
    check = probe.judge(targets, [False, False], [False, False])
    assert check.verdict == UNPROVEN and "prove nothing" in check.message and check.required
    assert probe.judge([], [], []).verdict == UNPROVEN
    assert probe.judge(targets, [False, False], [False, True]).verdict == FAIL, "what is reached inside needs no control"
    passed = probe.judge(targets, [False, True], [False, False])
    assert passed.verdict == PASS and "(0 of 1 in production)" in passed.message
    assert "(none in production)" in probe.judge(targets[1:], [True], [False]).message


def test_unreachable_address_raises_no_alarm(shut: Bundle) -> None:
    """Unknown names, paths that are impossible for a socket, and ports without a listener."""
    named = ["no-such-host.invalid:5432", f"{'x' * 70}.example:6379", f"/{'x' * 200}", "127.0.0.1:1", "[fe80::1]:9", "[::1]:1"]
    check = probe.verify(shut, [probe.parse(one) for one in named], "")
    assert check.verdict == PASS and "(0 of 6 in production)" in check.message


def test_ipv6_is_tried(shut: Bundle) -> None:
    with contextlib.suppress(OSError), listener(host="::1") as place:  # skipped on a host without IPv6
        targets = [probe.parse(place)]
        known, outer = probe._from_host(targets)
        assert outer == [True] and shut.run(probe._from_inside, known) == ([False], [])
        check = probe.verify(shut, targets, "")
        assert check.verdict == PASS and place.replace("[", "").replace("]", "") in check.details["reached_from_host"]


@pytest.mark.no_false_alarm
def test_production_on_this_hosts_loopback_is_not_taken_for_the_sandboxs_own(shut: Bundle) -> None:
    """The sandbox's server listens on the same address in another network."""
    assert shut.info.port in {port for _address, port in shut.run(probe.listening)}
    for host in ("127.0.0.1", "localhost", "0.0.0.0"):
        check = probe.verify(shut, [Target(host, shut.info.port, recorded=True)], "")
        assert check.verdict == PASS
        assert check.details["not_tried"] == [f"{host}:{shut.info.port}"]


def gets_a_way_out() -> None:
    """Add a device to the sandbox's network, as an attacker might."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        address = struct.pack("16sHH4s8s", b"lo:1", socket.AF_INET, 0, socket.inet_aton("192.0.2.7"), b"")
        fcntl.ioctl(line, SIOCSIFADDR, address)


@pytest.mark.mutation
def test_any_way_out_of_the_network_fails(shut: Bundle) -> None:
    shut.run(gets_a_way_out)
    check = probe.verify(shut, [], "")
    assert check.verdict == FAIL and "has a route to the outside through 192.0.2." in check.message


@pytest.mark.mutation
def test_a_link_in_the_sandbox_is_followed_there(shut: Bundle) -> None:
    """The link leads to a socket inside the sandbox, not to this host's file at the same path."""
    inner = os.path.join(shut.info.socket_dir, "link")
    os.symlink(os.path.join(shut.info.socket_dir, f".s.PGSQL.{shut.info.port}"), inner)
    outer = os.path.join(shut.info.socket_dir, "outside")
    with listener(f"/tmp/caracal-{uuid.uuid4().hex[:8]}.sock") as place:
        os.symlink(place, outer)
        assert reach.shown(shut.info.pid, [inner, outer, place]) == [True, False, False]


@pytest.mark.mutation
def test_a_kernel_that_cannot_follow_paths_there_proves_nothing(shut: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "_OPENAT2", 100000)
    check = probe.verify(shut, [], "")
    assert check.verdict == UNPROVEN and check.message.endswith("this requires Linux 5.6")


@pytest.mark.mutation
def test_a_socket_that_is_busy_or_of_another_kind_is_there(short: pathlib.Path) -> None:
    other, busy = str(short / "other"), str(short / "busy")
    with listener(other, kind=socket.SOCK_SEQPACKET), socket.socket(socket.AF_UNIX) as server, contextlib.ExitStack() as stack:
        server.bind(busy)
        server.listen(0)
        full = False
        while not full:
            line = stack.enter_context(socket.socket(socket.AF_UNIX))
            line.setblocking(False)
            full = line.connect_ex(busy) != 0
        _known, reached = probe._from_host([Target(other, 0), Target(busy, 0), Target(str(short / "none"), 0)])
    assert reached == [True, True, False]


def test_many_sockets_are_tried(short: pathlib.Path) -> None:
    with listener(str(short / "one")) as place:
        _known, reached = probe._from_host([Target(place, 0)] * 3000)
    assert reached == [True] * 3000


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("db.example:5432", Target("db.example", 5432, True)),
        ("10.0.0.1:1", Target("10.0.0.1", 1, True)),
        ("[2001:db8::1]:65535", Target("2001:db8::1", 65535, True)),
        ("/run/docker.sock", Target("/run/docker.sock", 0, True)),
    ],
)
def test_operator_addresses_are_parsed(text: str, target: Target) -> None:
    assert probe.parse(text) == target and probe.parse(text).recorded


@pytest.mark.parametrize("text", ["", "db.example", "db:", ":5432", "db:0", "db:65536", "db:-1", "db:\u00b2", "db:x", "run/x.sock", "[]:1"])
def test_invalid_address_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="an address in production is not host:port or the absolute path of a socket"):
        probe.parse(text)
