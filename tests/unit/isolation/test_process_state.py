# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every kind of leaked process state, left by one test of an inner run, is gone in the next test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from unit.isolation import inner_run

# The change that one test makes, and the state that the next test must find as it was before.
LEAKS = {
    "memory": ("lower(resource.RLIMIT_AS)", "resource.getrlimit(resource.RLIMIT_AS)"),
    "size of files": ("lower(resource.RLIMIT_FSIZE)", "resource.getrlimit(resource.RLIMIT_FSIZE)"),
    "open files": ("lower(resource.RLIMIT_NOFILE)", "resource.getrlimit(resource.RLIMIT_NOFILE)"),
    "added variable": ("os.environ['LEAKED'] = 'x'", "os.environ.get('LEAKED')"),
    "changed variable": ("os.environ['PATH'] = '/'", "os.environ['PATH']"),
    "removed variable": ("del os.environ['PATH']", "os.environ.get('PATH')"),
    "variables of children": ("os.environ['LEAKED'] = 'x'", "subprocess.run(['env'], capture_output=True).stdout.count(b'LEAKED')"),
    "TMPDIR": ("os.environ['TMPDIR'] = HERE; tempfile.tempdir = None", "tempfile.gettempdir()"),
    "tempfile.tempdir": ("tempfile.tempdir = HERE", "tempfile.gettempdir()"),
    "time.sleep": ("time.sleep = len", "time.sleep"),
    "os.path.exists": ("os.path.exists = len", "os.path.exists"),
    "os.environ": ("os.environ = dict(os.environ)", "type(os.environ)"),
    "removed function": ("del os.fsync", "getattr(os, 'fsync', None)"),
    "subprocess.run": ("subprocess.run = len", "subprocess.run"),
    "shutil.which": ("shutil.which = len", "shutil.which"),
    "signal.alarm": ("signal.alarm = len", "signal.alarm"),
    "method of a process": ("subprocess.Popen.poll = len", "subprocess.Popen.poll"),
    "socket.create_connection": ("socket.create_connection = len", "socket.create_connection"),
    "open": ("builtins.open = len", "open"),
    "method of a path": ("pathlib.Path.read_text = len", "pathlib.Path.read_text"),
    "inherited method of a socket": ("socket.socket.connect = len", "socket.socket.connect"),
    "ignored signal": ("signal.signal(signal.SIGTERM, signal.SIG_IGN)", "signal.getsignal(signal.SIGTERM)"),
    "signal handler": ("signal.signal(signal.SIGALRM, print)", "signal.getsignal(signal.SIGALRM)"),
    "umask": ("os.umask(0o123)", "masked()"),
    "working directory": ("os.chdir(HERE)", "os.getcwd()"),
    "removed working directory": ("os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')", "where()"),
}
INNER = """
    import builtins, os, pathlib, pytest, resource, shutil, signal, socket, subprocess, tempfile, time

    HERE = "/"

    def lower(number):
        soft, hard = resource.getrlimit(number)
        resource.setrlimit(number, (1 << 45 if soft == resource.RLIM_INFINITY else soft - 1, hard))

    def masked():
        before = os.umask(0o022)
        os.umask(before)
        return before

    def where():
        try:
            return os.getcwd()
        except FileNotFoundError:
            return None

    @pytest.fixture(scope="module", autouse=True)
    def wide():
        os.environ["WIDE"] = "x"
"""
ONE = """
    BEFORE_{number} = {look}

    def test_plants_{number}():
        {plant}
        assert {look} != BEFORE_{number}

    def test_finds_{number}():
        assert {look} == BEFORE_{number}
"""
WIDE = """
    def test_wide():
        assert os.environ["WIDE"] == "x"
"""
HARD = """
    import pathlib, re, resource

    BEFORE = resource.getrlimit(resource.RLIMIT_FSIZE)
    LOW = (1 << 44, 1 << 45)
    CAP_SYS_RESOURCE = 24

    def able():
        effective = re.search("CapEff:\\s*(\\w+)", pathlib.Path("/proc/self/status").read_text())[1]
        return int(effective, 16) >> CAP_SYS_RESOURCE & 1

    def test_plants():
        resource.setrlimit(resource.RLIMIT_FSIZE, LOW)

    def test_finds():
        assert resource.getrlimit(resource.RLIMIT_FSIZE) == (BEFORE if able() else (LOW[1], LOW[1]))
"""
# Root without the capability to raise a hard limit, like any other user.
UNABLE = ("setpriv", "--bounding-set=-sys_resource", "--inh-caps=-sys_resource")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the outcome of each test of the inner run."""
    pairs = [ONE.format(number=number, plant=plant, look=look) for number, (plant, look) in enumerate(LEAKS.values())]
    return inner_run.start(tmp_path_factory.mktemp("looked"), "".join((INNER, *pairs, WIDE))).outcomes()


@pytest.mark.mutation
@pytest.mark.parametrize("kind", LEAKS)
def test_no_leak_reaches_the_next_test(outcomes: dict[str, str], kind: str) -> None:
    number = list(LEAKS).index(kind)
    assert (outcomes[f"test_plants_{number}"], outcomes[f"test_finds_{number}"]) == ("PASSED", "PASSED"), outcomes[""]


@pytest.mark.no_false_alarm
def test_variables_of_a_module_fixture_stay(outcomes: dict[str, str]) -> None:
    assert outcomes["test_wide"] == "PASSED", outcomes[""]


@pytest.mark.mutation
@pytest.mark.parametrize("before", [(), UNABLE] if os.geteuid() == 0 else [()], ids=lambda before: "unable" if before else "as we are")
def test_restores_a_hard_limit_or_raises_the_soft_limit_to_it(tmp_path: Path, before: tuple[str, ...]) -> None:
    found = inner_run.start(tmp_path, HARD, before=before).outcomes()
    assert (found["test_plants"], found["test_finds"]) == ("PASSED", "PASSED"), found[""]
