# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A sandbox with a killed owner, a sandbox that exceeds its limits, and a sandbox of another drill."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import pathlib
import signal
import time
import typing as t

import psycopg2
import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import Busy, TargetRefused, Unreachable
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lease, lifecycle, marker, preflight, processes, programs
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.bundle import Bundle
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import TOKEN, Layout, SandboxInfo, SandboxSpec
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.programs import Program
from harness.small_programs import UNISOLATED, python
from harness.waiting import eventually

FORK = multiprocessing.get_context("fork")
TERM = 1.0
SLEEP = "import time; print('up', flush=True); time.sleep(600)"


@pytest.fixture(params=["bubblewrap", "bare"])
def spec(request: pytest.FixtureRequest, server_install: Install, sandbox_directory: str, monkeypatch: pytest.MonkeyPatch) -> SandboxSpec:
    """Return a request with a lease that is short enough for a test."""
    if request.param == "bare":
        monkeypatch.setattr(preflight, "find_bwrap", lambda: None)
    return SandboxSpec(sandbox_directory, server_install, lease=TERM, **UNISOLATED)


def drill(spec: SandboxSpec) -> t.Any:
    """Run a process that creates a sandbox with a program and data, and then works with it forever."""
    child = FORK.Process(target=_works, args=(spec,))
    child.start()
    layout = Layout.of(spec.directory)
    eventually(lambda: os.path.exists(os.path.join(layout.root, "secrets")) or not child.is_alive())
    assert child.is_alive()
    return child


def _works(spec: SandboxSpec) -> None:
    lifecycle.create(spec)
    programs.start(Bundle.of(spec.directory), Program("service", python(SLEEP), {}))
    pathlib.Path(spec.directory, "secrets").mkdir()
    signal.pause()


def kill(child: t.Any) -> None:
    os.kill(child.pid, signal.SIGKILL)
    child.join()


def remains(note: marker.Marker, layout: Layout) -> list[str]:
    found = [f"{one.pid} {one.argv}" for one in processes.of_sandbox(layout, note.exclusive_uid)]
    watcher = processes.look(note.watcher[0])
    found += [f"watcher {watcher.pid}"] if watcher is not None and watcher.start_time == note.watcher[1] else []
    return found + [layout.root] * os.path.lexists(layout.root)


@pytest.mark.mutation
def test_after_its_holder_was_killed_it_ends_by_itself(spec: SandboxSpec) -> None:
    child, layout = drill(spec), Layout.of(spec.directory)
    note = marker.read(layout)
    assert note is not None and len(remains(note, layout)) >= 4
    kill(child)
    eventually(lambda: not remains(note, layout))


@pytest.mark.mutation
def test_killed_creator_leaves_nothing_without_destroy(spec: SandboxSpec) -> None:
    """No other process removes the sandbox."""
    child, layout = FORK.Process(target=_works, args=(spec,)), Layout.of(spec.directory)
    child.start()
    eventually(lambda: (found := marker.read(layout)) is not None and found.watcher != (0, 0))
    note = marker.read(layout)
    assert note is not None
    kill(child)
    eventually(lambda: not remains(note, layout))


@pytest.mark.no_false_alarm
def test_a_step_that_takes_longer_than_the_lease_holds_it(spec: SandboxSpec) -> None:
    child, layout = drill(spec), Layout.of(spec.directory)
    try:
        time.sleep(3 * TERM)
        note = marker.read(layout)
        assert note is not None and marker.running(note)
    finally:
        kill(child)


@pytest.mark.mutation
def test_holder_with_killed_controller_does_not_keep_sandbox(spec: SandboxSpec) -> None:
    lifecycle.create(spec)
    layout = Layout.of(spec.directory)
    note = marker.read(layout)
    mine = processes.look(os.getpid())
    assert note is not None and mine is not None and lease.held(layout)
    for name in os.listdir(layout.holders):
        os.rename(os.path.join(layout.holders, name), os.path.join(layout.holders, f"{mine.pid}-{mine.start_time}_4194305-1"))
    eventually(lambda: not remains(note, layout))


def ask(info: SandboxInfo, query: str) -> None:
    connection = psycopg2.connect(host=info.socket_dir, port=info.port, user=info.superuser, dbname="postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(query)
    connection.close()


@pytest.mark.mutation
def test_one_that_fills_the_disk_is_ended_while_it_is_held(spec: SandboxSpec) -> None:
    info = lifecycle.create(dataclasses.replace(spec, lease=600, maximum=200 << 20)).info
    layout = Layout.of(spec.directory)
    note = marker.read(layout)
    assert note is not None
    with pytest.raises(psycopg2.Error):
        for _turn in range(1000):
            ask(info, "COPY (SELECT 1) TO PROGRAM 'head -c 20000000 /dev/zero >> filler; cat > /dev/null'")
    eventually(lambda: not remains(note, layout))


def nest(folder: str, depth: int, name: str = "d") -> None:
    """Create nested directories, as a program in the sandbox can. The last one is too deep for a path and for recursion."""
    place = os.open(folder, os.O_RDONLY)
    for _level in range(depth):
        os.mkdir(name, dir_fd=place)
        below = os.open(name, os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = below
    os.close(place)


@pytest.mark.mutation
@pytest.mark.parametrize("depth", [40, 3000])
def test_deeply_nested_directories_do_not_block_automatic_removal(spec: SandboxSpec, depth: int) -> None:
    child = drill(spec)
    layout = Layout.of(spec.directory)
    note = marker.read(layout)
    assert note is not None
    nest(layout.data, depth, "d" * 250)
    kill(child)
    eventually(lambda: not remains(note, layout))


@pytest.mark.mutation
def test_folders_in_folders_do_not_hide_what_they_hold(spec: SandboxSpec) -> None:
    lifecycle.create(dataclasses.replace(spec, lease=600))
    layout = Layout.of(spec.directory)
    note = marker.read(layout)
    assert note is not None
    nest(layout.data, 3000)
    eventually(lambda: not remains(note, layout))


@pytest.mark.mutation
def test_destroy_removes_folders_in_folders(spec: SandboxSpec) -> None:
    lifecycle.create(dataclasses.replace(spec, lease=600))
    nest(Layout.of(spec.directory).data, 3000)
    assert lifecycle.destroy(spec.directory)
    assert not os.path.exists(spec.directory)


@pytest.mark.mutation
def test_huge_postmaster_pid_file_does_not_block_removal(spec: SandboxSpec) -> None:
    """The file is sparse, so it needs no disk space."""
    lifecycle.create(dataclasses.replace(spec, lease=600))
    note = pathlib.Path(Layout.of(spec.directory).data, "postmaster.pid")
    note.unlink()
    with open(note, "wb") as file:
        file.truncate(1 << 42)
    assert lifecycle.destroy(spec.directory)
    assert not os.path.exists(spec.directory)


def limits(pid: int) -> dict[str, str]:
    lines = pathlib.Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines()[1:]
    return {line[:26].strip(): line[26:].split()[1] for line in lines}


def test_nothing_in_it_dumps_core_or_starts_processes_without_end(spec: SandboxSpec) -> None:
    info = lifecycle.create(dataclasses.replace(spec, lease=600)).info
    bundle = Bundle.of(spec.directory)
    programs.start(bundle, Program("service", python(SLEEP), {}))
    eventually(lambda: programs.running(bundle, "service"))
    for pid in (info.pid, programs.running(bundle, "service")[0].pid):
        assert limits(pid)["Max core file size"] == "1"
        assert os.geteuid() != 0 or limits(pid)["Max processes"] == "4096"


def test_server_messages_are_written_only_inside_sandbox(spec: SandboxSpec) -> None:
    """This includes messages around the server's start: nothing is written to a file of this host."""
    info = lifecycle.create(dataclasses.replace(spec, lease=600)).info
    note = marker.read(Layout.of(spec.directory))
    assert note is not None
    opened = set()
    for one in processes.of_sandbox(Layout.of(spec.directory), note.exclusive_uid):
        folder = f"/proc/{one.pid}/fd"
        opened |= {os.readlink(f"{folder}/{name}") for name in os.listdir(folder) if os.path.lexists(f"{folder}/{name}")}
    own = {path for path in opened if path.startswith(info.directory)}
    others = [path for path in opened - own if path.startswith("/") and not path.startswith(("/dev/", "/proc/"))]
    assert own and not others


@pytest.mark.mutation
def test_another_drill_neither_takes_nor_enters_nor_destroys_it(spec: SandboxSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    first = dataclasses.replace(spec, lease=600, token="first")
    info = lifecycle.create(first).info
    second = dataclasses.replace(first, token="second")
    for wanted in (second, dataclasses.replace(first, token="")):
        for act in (lifecycle.create, lifecycle.predict):
            with pytest.raises(Busy, match="contains the sandbox of another drill"):
                act(wanted)
    assert not lifecycle.is_of(spec.directory, "second") and lifecycle.is_of(spec.directory, "first")
    assert not lifecycle.create(first).changed
    monkeypatch.setenv(TOKEN, "second")
    with pytest.raises(TargetRefused, match="another drill"):
        lifecycle.attach(spec.directory)
    monkeypatch.setenv(TOKEN, "first")
    assert lifecycle.attach(spec.directory) == info
    lifecycle.destroy(spec.directory)
    with pytest.raises(Unreachable, match="was removed"):
        lifecycle.attach(spec.directory)


def test_sandbox_with_killed_controller_is_created_again_at_once(spec: SandboxSpec) -> None:
    first = dataclasses.replace(spec, lease=600, token="first")
    lifecycle.create(first)
    layout = Layout.of(spec.directory)
    note = marker.read(layout)
    assert note is not None
    marker.write(layout, dataclasses.replace(note, controller="4194305-1"))
    made = lifecycle.create(dataclasses.replace(first, token="second"))
    assert note.info is not None and made.changed and made.info.pid != note.info.pid
    eventually(lambda: processes.look(note.watcher[0]) is None)


def line(*commands: t.Sequence[str]) -> list[processes.Process]:
    """Return the line of processes from a module upwards."""
    return [processes.Process(900 - at, 899 - at, 1, 0, False, "any", tuple(argv)) for at, argv in enumerate(commands)]


MODULE = ("/usr/bin/python3", "/home/ansible-runner/.ansible/tmp/x/AnsiballZ_backup_set.py")


@pytest.mark.mutation
@pytest.mark.parametrize(
    "above",
    [
        ("/bin/sh", "-c", f"{' '.join(MODULE)} && sleep 0"),
        ("sudo", "-H", "-S", "-n", "-u", "ansible-runner", "/bin/sh", "-c", " ".join(MODULE)),
        ("su", "ansible-runner", "-c", " ".join(MODULE)),
    ],
    ids=["home", "sudo", "su"],
)
def test_user_named_like_a_controller_is_not_a_controller(above: t.Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a process ends with each module. The controller is on another host and does not end."""
    monkeypatch.setattr(lease, "_line", lambda: line(MODULE, above))
    assert lease.controller() == ""


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(
    "argv",
    [
        ("/venv/bin/python3.11", "/venv/bin/ansible-playbook", "site.yml"),
        ("/usr/bin/python3", "-sP", "/usr/bin/ansible-playbook", "site.yml"),
        ("/usr/libexec/platform-python", "-m", "ansible.cli.playbook", "site.yml"),
        ("ansible-runner", "run", "."),
    ],
    ids=["script", "options", "module", "program"],
)
def test_a_controller_is_known_by_its_program(argv: t.Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "_line", lambda: line(MODULE, ("/bin/sh", "-c", " ".join(MODULE)), argv))
    assert lease.controller() == "898-1"
