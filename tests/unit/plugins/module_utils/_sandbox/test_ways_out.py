# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every known way out of a sandbox, tried as root and as an ordinary user."""

from __future__ import annotations

import os
import struct
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import isolation, seccomp
from harness import small_programs
from scenes import ways_out

Tried = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Tried:
    """Return the result of each way, by user."""
    with ways_out.host(tmp_path_factory.mktemp("host")) as given:
        found = {"an ordinary user": small_programs.as_nobody(ways_out.tried, given)}
        return {**found, "root": ways_out.tried(given)} if os.geteuid() == 0 else found


@pytest.mark.mutation
def test_no_way_leads_out(tried: Tried) -> None:
    for user, ways in tried.items():
        assert len(ways) > 55 and not [name for name, ended in ways.items() if ended == ways_out.OUT], user


@pytest.mark.mutation
def test_ways_that_lead_out_are_seen(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without all guards, several ways lead out, so the guards are effective."""
    monkeypatch.setattr(seccomp, "program", lambda: b"")
    monkeypatch.setattr(isolation, "_fresh", lambda: ["--proc", "/proc", "--dev", "/dev", "--dir", "/run"])
    with ways_out.host(tmp_path_factory.mktemp("host")) as given:
        ways = small_programs.as_nobody(ways_out.tried, given)
    out = {name for name, ended in ways.items() if ended == ways_out.OUT}
    assert {"a user namespace", "a debugger", "the names of keys"} <= out


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_is_a_whole_program(machine: str) -> None:
    """Every jump leads to a step, and a call on no list is allowed."""
    program = seccomp.program(machine)
    steps = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    jumps = [(at, max(true, false)) for at, (code, true, false, _value) in enumerate(steps) if code & 0x07 == 0x05]
    assert jumps and all(at + 1 + jump < len(steps) for at, jump in jumps) and len(steps) < 4096
    assert steps[-1] == (0x06, 0, 0, 0x7FFF0000)


def test_another_machine_has_no_filter() -> None:
    assert seccomp.program("riscv64") == b""


def _of(program: bytes, number: int, arguments: t.Sequence[int] = (), architecture: int = 0xC000003E) -> int:
    """Return the kernel's decision, by its rules for such programs."""
    data = struct.pack("=IIQ6Q", number, architecture, 0, *[*arguments, *[0] * (6 - len(arguments))])
    value = at = 0
    while True:
        code, true, false, operand = struct.unpack_from("=HBBI", program, at * 8)
        at += 1
        if code == 0x20:
            (value,) = struct.unpack_from("=I", data, operand)
        elif code == 0x06:
            return int(operand)
        else:
            at += true if {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}[code] else false


@pytest.mark.mutation
def test_filter_denies_listed_system_calls() -> None:
    x86, arm = seccomp.program("x86_64"), seccomp.program("aarch64")
    allowed, refused, unknown = 0x7FFF0000, 0x50001, 0x50026
    for first, second in seccomp.DENIED.values():
        assert first is None or _of(x86, first) == refused
        assert second is None or _of(arm, second, architecture=0xC00000B7) == refused
    assert _of(x86, 0) == _of(x86, 59) == _of(x86, 56, [0x11]) == _of(x86, 41, [2]) == _of(x86, 16, [0, 0x5401]) == allowed
    assert _of(x86, 56, [0x10000011]) == _of(x86, 16, [0, 0x5412]) == _of(x86, 16, [0, 0x100005412]) == refused
    assert _of(x86, 435) == _of(x86, 425) == _of(x86, 0x40000000) == _of(x86, 0, architecture=0x40000003) == unknown
    assert _of(x86, 41, [40]) == 0x50061
    assert _of(x86, 41, [16, 3, 0]) == allowed and _of(x86, 41, [16, 3, 12]) == _of(arm, 198, [16, 3, 6], 0xC00000B7) == 0x5005D


@pytest.mark.mutation
@pytest.mark.parametrize(("machine", "architecture", "number"), [("x86_64", 0xC000003E, 53), ("aarch64", 0xC00000B7, 199)])
def test_pairs_of_sockets_are_of_this_host_alone(machine: str, architecture: int, number: int) -> None:
    """Another family, such as TIPC, would give a socket that `socket` refuses."""
    program = seccomp.program(machine)
    assert _of(program, number, [1, 1], architecture) == 0x7FFF0000
    assert {_of(program, number, [family, 5], architecture) for family in (2, 16, 30, 40, 0x11E)} == {0x50061}


@pytest.mark.mutation
def test_no_call_has_a_second_number() -> None:
    """Before Linux 5.4, x32 numbers without the x32 bit reached denied calls, for example 521 reached ptrace and 514 reached ioctl."""
    for machine, architecture in (("x86_64", 0xC000003E), ("aarch64", 0xC00000B7)):
        program = seccomp.program(machine)
        for number in (*range(463, 600), 0x40000000 | 101, 0xFFFFFFFF):
            assert _of(program, number, [0, 0x5412], architecture) == 0x50026
        assert _of(program, 452, architecture=architecture) == 0x7FFF0000
