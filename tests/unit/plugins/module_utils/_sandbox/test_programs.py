# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import multiprocessing
import os
import pathlib
import signal
import subprocess
import tempfile
import uuid

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import MissingDependency
from ansible_collections.caracal_ops.backup.plugins.module_utils._images import cache
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lifecycle, processes, programs
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.bundle import Bundle
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import Layout, SandboxSpec
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.isolation import Launcher
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.programs import Program
from harness.small_programs import UNISOLATED, as_nobody, bearing, person_in, python
from harness.waiting import eventually
from scenes import image_scene

# When it is asked to end, it writes `ended` into the given directory. It reports when it is ready.
POLITE = """
import os, signal, sys, time
def end(*_):
    open(os.path.join(sys.argv[1], "ended"), "w").close()
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
while True: time.sleep(60)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
while True: time.sleep(60)
"""
# Like Redis: its title overwrites its arguments and its environment.
RETITLED = """
import ctypes, os, sys, time
os.chdir(sys.argv[1])
there = ctypes.POINTER(ctypes.c_void_p).in_dll(ctypes.CDLL(None), "environ")
for text in iter(lambda: there[0], None):
    ctypes.memset(text, ord("x"), len(ctypes.string_at(text)))
    there = ctypes.cast(ctypes.addressof(there.contents) + ctypes.sizeof(ctypes.c_void_p), ctypes.POINTER(ctypes.c_void_p))
print("up", flush=True)
while True: time.sleep(60)
"""
# A child without its origin in its environment, and a daemon in its own session whose parents have ended.
PARENT = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-I", "-c", "import time; time.sleep(600)", sys.argv[1]], env={}, cwd="/")
print("up", flush=True)
while True: time.sleep(60)
"""
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print("up", flush=True)
        time.sleep(600)
    os._exit(0)
os.wait()
if sys.argv[2] == "stays": time.sleep(600)
"""


@pytest.fixture
def name() -> str:
    return f"p{uuid.uuid4().hex[:8]}"


def begin(bundle: Bundle, name: str, command: list[str], **environment: str) -> None:
    """Start it and wait until it reports that it is up."""
    programs.start(bundle, Program(name, command, environment))
    eventually(lambda: "up" in programs.log_lines(bundle, name, 5))


def home(bundle: Bundle, name: str) -> pathlib.Path:
    return pathlib.Path(programs.folder(bundle, name))


def started(bundle: Bundle, name: str, code: str, *arguments: str) -> None:
    begin(bundle, name, python(code, str(home(bundle, name)), *arguments))


def test_from_its_start_to_its_end(bundle: Bundle, name: str) -> None:
    assert not programs.alive(bundle, name) and not programs.stop(bundle, name, 1) and programs.log_lines(bundle, name, 5) == []
    started(bundle, name, POLITE)
    [only] = programs.running(bundle, name)
    assert only.uid == bundle.info.uid and programs.alive(bundle, name)
    started(bundle, name, POLITE)
    assert programs.running(bundle, name) == [only] and programs.log_lines(bundle, name, 5) == ["up"], "a second start started another"
    assert programs.stop(bundle, name, 20)
    assert (home(bundle, name) / "ended").exists(), "it was not asked"
    assert not programs.alive(bundle, name) and not programs.stop(bundle, name, 1) and bearing(str(home(bundle, name))) == []


def test_one_that_does_not_end_is_made_to(bundle: Bundle, name: str) -> None:
    started(bundle, name, STUBBORN)
    [only] = programs.running(bundle, name)
    assert programs.stop(bundle, name, 0.2)
    assert processes.look(only.pid) is None and not programs.alive(bundle, name)


def test_one_that_writes_over_its_environment_is_found(bundle: Bundle, name: str) -> None:
    started(bundle, name, RETITLED)
    [only] = programs.running(bundle, name)
    assert processes.variable(only, processes.MARK) is None, "the control: it says nothing of itself"
    assert programs.stop(bundle, name, 5)
    assert processes.look(only.pid) is None


def test_its_children_are_its_own(bundle: Bundle, name: str) -> None:
    child = uuid.uuid4().hex
    begin(bundle, name, python(PARENT, child))
    eventually(lambda: len(programs.running(bundle, name)) == 2)
    [forgetful] = [process for process in programs.running(bundle, name) if processes.variable(process, processes.MARK) is None]
    assert child in forgetful.argv
    assert programs.stop(bundle, name, 5) and bearing(child) == []


def test_programs_with_similar_names_are_distinguished(bundle: Bundle, name: str) -> None:
    other = f"{name}other"
    for one in (name, other):
        started(bundle, one, POLITE)
    assert programs.stop(bundle, name, 20)
    assert programs.alive(bundle, other) and programs.stop(bundle, other, 20)


@pytest.mark.parametrize("command", [["/no/such/program"], ["bin/sh"], ["sh"], ["/etc/passwd"], [""]])
def test_invalid_program_command_is_refused(bundle: Bundle, name: str, command: list[str]) -> None:
    with pytest.raises(MissingDependency, match=f"is not the absolute path of a program on this host; correct the command of {name}"):
        programs.start(bundle, Program(name, command, {}))
    assert not programs.alive(bundle, name)


def test_failed_program_writes_reason_to_its_log(bundle: Bundle, name: str) -> None:
    programs.start(bundle, Program(name, python("import sys; sys.exit('none of its configurations')"), {}))
    eventually(lambda: not programs.alive(bundle, name))
    assert programs.log_lines(bundle, name, 5) == ["none of its configurations"]


def test_an_environment_goes_in_unseen(bundle: Bundle, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THIS_HOST", "value-of-this-host")
    begin(bundle, name, python(POLITE, str(home(bundle, name))), OF_THE_PROGRAM="value-of-the-program")
    around = [process for process in processes.everyone() if processes.variable(process, programs.NAME) == name]
    assert around and {processes.variable(process, "OF_THE_PROGRAM") for process in around} == {"value-of-the-program"}
    assert {processes.variable(process, "OF_THIS_HOST") for process in around} == {None}
    assert [one.argv for one in processes.everyone() if "value-of-" in " ".join(one.argv)] == []
    programs.stop(bundle, name, 20)


LOOK = """
import os, sys
def can(mode, path):
    try:
        open(path, mode).close()
        return "y"
    except OSError:
        return "n"
shown, mine, hidden, log = sys.argv[1:]
print(can("r", shown), can("a", shown), can("w", os.path.join(mine, "new")), can("r", hidden), can("a", log), flush=True)
"""


def test_it_sees_what_it_is_shown(bundle: Bundle, name: str, sandbox_directory: str) -> None:
    os.mkdir(sandbox_directory, mode=0o755)
    shown, hidden, mine = (pathlib.Path(sandbox_directory, one) for one in ("shown", "hidden", "mine"))
    try:
        for path in (shown, hidden):
            path.write_text("words")
            path.chmod(0o644)
        mine.mkdir()
        os.chown(mine, bundle.info.uid, -1)
        log = f"{home(bundle, name)}.log"
        command = python(LOOK, str(shown), str(mine), str(hidden), log)
        programs.start(bundle, Program(name, command, {}, readable=[str(shown)], writable=[str(mine)]))
        eventually(lambda: not programs.alive(bundle, name))
        [seen] = programs.log_lines(bundle, name, 5)
        others = "n" if bundle.isolated else "y"
        assert seen == f"y n y {others} n" and (mine / "new").exists()
    finally:
        for path in (shown, hidden, mine / "new"):
            path.unlink(missing_ok=True)
        mine.rmdir()
        os.rmdir(sandbox_directory)


WORDY = r"""
import sys
for number in range(60000): print(number, "x" * 10)
sys.stdout.flush()
sys.stdout.buffer.write(b"\xff end")
"""


def test_a_long_log_is_read_from_its_end(bundle: Bundle, name: str) -> None:
    programs.start(bundle, Program(name, python(WORDY), {}))
    eventually(lambda: not programs.alive(bundle, name))
    assert os.stat(f"{home(bundle, name)}.log").st_size > 2 * programs.LOG_TAIL
    assert programs.log_lines(bundle, name, 2) == ["59999 xxxxxxxxxx", "\ufffd end"]
    assert 1000 < len(programs.log_lines(bundle, name, 10**6)) < 60000


def test_our_umask_shuts_no_program_out(own_bundle: Bundle) -> None:
    before = os.umask(0o077)
    try:
        started(own_bundle, "careful", POLITE)
    finally:
        os.umask(before)
    assert programs.stop(own_bundle, "careful", 20) and (home(own_bundle, "careful") / "ended").exists()


def leftovers(directory: str) -> list[str]:
    return [" ".join(process.argv) for process in bearing(directory)] + [directory] * os.path.lexists(directory)


@pytest.mark.mutation
@pytest.mark.parametrize("parent", ["stays", "goes"])
def test_the_end_of_the_sandbox_ends_a_daemon_too(own_bundle: Bundle, name: str, parent: str) -> None:
    started(own_bundle, name, DAEMON, parent)
    assert bearing(str(home(own_bundle, name))), "the control: it lives"
    assert lifecycle.destroy(own_bundle.info.directory)
    assert leftovers(own_bundle.info.directory) == []


@pytest.mark.mutation
def test_the_end_of_the_sandbox_ends_what_a_killed_run_started(own_bundle: Bundle, name: str) -> None:
    command = python(STUBBORN, own_bundle.info.directory)
    starter = multiprocessing.get_context("fork").Process(target=_start_and_hang, args=(own_bundle, name, command))
    starter.start()
    eventually(lambda: "up" in programs.log_lines(own_bundle, name, 5))
    os.kill(starter.pid or 0, signal.SIGKILL)
    starter.join()
    assert programs.alive(own_bundle, name), "the control: it outlives who started it"
    assert lifecycle.destroy(own_bundle.info.directory)
    assert leftovers(own_bundle.info.directory) == []


def _start_and_hang(bundle: Bundle, name: str, command: list[str]) -> None:
    programs.start(bundle, Program(name, command, {}))
    signal.pause()


@pytest.mark.no_false_alarm
def test_destroy_ends_no_process_outside_sandbox(own_bundle: Bundle, name: str, tmp_path: pathlib.Path) -> None:
    """the same program outside, one with another sandbox's marker, and a person's shell in the programs' directory."""
    started(own_bundle, name, STUBBORN)
    above = Layout.of(own_bundle.info.directory).programs
    marked = {**os.environ, programs.NAME: name, processes.MARK: f"{own_bundle.info.directory}-other"}
    with person_in(above) as person:
        bystanders = [
            subprocess.Popen(python(STUBBORN), cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
            for environment in (marked, os.environ)
        ]
        try:
            assert lifecycle.destroy(own_bundle.info.directory)
            assert [one.poll() for one in bystanders] == [None, None] and processes.look(person) is not None
        finally:
            for one in bystanders:
                one.kill()
                one.wait()
    assert leftovers(own_bundle.info.directory) == []


@pytest.mark.parametrize("isolated", [True, False])
def test_an_ordinary_user_starts_them_too(server_install: Install, sandbox_directory: str, isolated: bool) -> None:
    kind, uids, ended, left = as_nobody(_as_ordinary, SandboxSpec(sandbox_directory, server_install, **UNISOLATED), isolated)
    assert kind == isolated and len(uids) == 1 and ended and left == []


def _as_ordinary(spec: SandboxSpec, isolated: bool) -> tuple[bool, list[int], bool, list[str]]:
    with pytest.MonkeyPatch.context() as patch:
        if not isolated:
            patch.setattr("ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.preflight.find_bwrap", lambda: None)
        lifecycle.create(spec)
    try:
        bundle = Bundle.of(spec.directory)
        started(bundle, "polite", POLITE)
        uids = [process.uid for process in programs.running(bundle, "polite")]
        ended = programs.stop(bundle, "polite", 20) and (home(bundle, "polite") / "ended").exists()
        started(bundle, "daemon", DAEMON, "goes")
        return bundle.isolated, uids, ended, _destroyed(spec.directory)
    finally:
        lifecycle.destroy(spec.directory)


def _destroyed(directory: str) -> list[str]:
    lifecycle.destroy(directory)
    return [one for one in leftovers(directory) if "-programs" not in one]


IN_AN_IMAGE = """
while read -r name value rest; do case "$name" in Uid:) echo "uid $value";; esac; done < /proc/self/status
read -r told < "$TOLD"; read -r os < /etc/os; read -r user < /etc/passwd
echo "$PWD $PATH $told $os ${user%%:*}"
echo /*
: > "$OWN/new" && echo written
(: > /opt/new) 2>/dev/null || echo read-only
echo up
while :; do read -r nothing < /dev/zero; done
"""


@pytest.mark.mutation
def test_a_link_of_an_image_leads_bubblewrap_nowhere(bundle: Bundle, name: str, tmp_path: pathlib.Path) -> None:
    """The link is a parent of a mounted path. It points to this host by the path that bubblewrap uses during its setup."""
    outside, rootfs = tmp_path / "outside", tmp_path / "rootfs"
    for path in (outside, rootfs):
        path.mkdir()
    (rootfs / "var").symlink_to(f"/oldroot{outside}")
    with tempfile.TemporaryDirectory(prefix="caracal-test-", dir="/var/tmp") as shown:
        command = Launcher(None, "bwrap").command(["/x"], readable=[shown], writable=[], passwd=None, rootfs=str(rootfs))
        assert f"/oldroot{outside}" not in command
        if bundle.isolated:
            programs.start(bundle, Program(name, ["/x"], {}, [shown], [], str(rootfs)))
            eventually(lambda: not programs.alive(bundle, name))
            assert programs.log_lines(bundle, name, 5)
    assert list(outside.rglob("*")) == []


def test_a_program_of_an_image_sees_its_own_files_and_what_it_is_shown(bundle: Bundle, name: str, tmp_path: pathlib.Path) -> None:
    """This needs bubblewrap."""
    if not bundle.isolated:
        with pytest.raises(MissingDependency, match="bubblewrap"):
            programs.start(bundle, Program(name, ["/bin/sh"], {}, [], [], str(tmp_path)))
        return
    image, data = image_scene.programs(["/bin/sh"], "/bin", ("opt/app/file", b"1"))
    (tmp_path / "images").mkdir(mode=0o755)
    unpacked, _new = cache.unpacked(str(tmp_path / "images"), image, [image_scene.saver(data)])
    own = programs.folder(bundle, name)
    output_file = pathlib.Path(own, "told")
    output_file.write_text("shown\n")
    os.chown(output_file, bundle.info.uid, -1)
    given = {"TOLD": str(output_file), "OWN": own}
    variables = {"PATH": "/opt/app", "TOLD": "/of/the/image"}
    program = Program(name, ["/bin/sh", "-c", IN_AN_IMAGE], given, [str(output_file)], [], unpacked.rootfs, "/opt/app", variables)
    programs.start(bundle, program)
    eventually(lambda: "up" in programs.log_lines(bundle, name, 9))
    lines = programs.log_lines(bundle, name, 9)
    assert lines[0] == f"uid {bundle.info.uid}"
    assert lines[1].startswith("/opt/app /opt/app shown of the image ")
    assert {"/bin", "/etc", "/opt"} <= set(lines[2].split()) and "/home" not in lines[2].split()
    assert lines[3:6] == ["written", "read-only", "up"]
    assert programs.stop(bundle, name, 0.1)


@pytest.mark.mutation
def test_image_does_not_affect_the_programs_of_this_host(bundle: Bundle, name: str, tmp_path: pathlib.Path) -> None:
    """A loader logs every missing library that it is asked to load. Only the loader of the image's own program may do so."""
    if not bundle.isolated:
        with pytest.raises(MissingDependency):
            programs.start(bundle, Program(name, ["/bin/sh"], {}, [], [], str(tmp_path)))
        return
    preload = [("etc/ld.so.preload", b"/evil/for/all.so\n")]
    image, data = image_scene.programs(["/bin/sh"], "/bin", *preload)
    (tmp_path / "images").mkdir(mode=0o755)
    unpacked, _new = cache.unpacked(str(tmp_path / "images"), image, [image_scene.saver(data)])
    script = ["/bin/sh", "-c", "echo up; while :; do read -r nothing < /dev/zero; done"]
    programs.start(bundle, Program(name, script, {}, [], [], unpacked.rootfs, variables={"LD_PRELOAD": "/evil/for/one.so"}))
    eventually(lambda: "up" in programs.log_lines(bundle, name, 9))
    lines = programs.log_lines(bundle, name, 9)
    assert len([line for line in lines if "/evil/for/one.so" in line]) == 1 and not [line for line in lines if "/evil/for/all.so" in line]
    assert programs.stop(bundle, name, 0.1)
