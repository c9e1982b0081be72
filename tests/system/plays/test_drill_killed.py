# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A killed drill leaves nothing after the next run in its directory, and cannot reach any network until then."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import drill_state
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import PASS
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import (
    lifecycle,
    marker,
    probe,
    processes,
    programs,
    redis_server,
    users,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.bundle import Bundle
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import PORT, Layout, SandboxSpec
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream.process import Identity
from harness import sandbox_uids
from harness.fixtures import sandbox_path
from harness.waiting import came
from scenes.playing import LONGEST, Play
from scenes.redis_server import program as redis_program
from scenes.scene import DRILL_HOST
from system.plays.drillable import Drillable
from twin import load

BRIEF = ("--tags", "caracal_drill_destroy")
# These steps only read, and would delay a later time of a kill.
SOONER = ("--skip-tags", "caracal_drill_migrations,caracal_drill_state,caracal_drill_evidence,caracal_drill_keys")
SERVERS = ("postgres", "redis-server", "twin.services")


class Box:
    """A sandbox's directory, and its own resources while it ran: uids, network namespaces, shared memory."""

    def __init__(self, directory: str) -> None:
        self.path = Path(directory)
        self._uids: set[int] = set()
        self._networks = Networks()
        self._segments: list[list[str]] = []

    def has(self, *names: str) -> bool:
        """Return whether the directory has all of these, each a pattern. Empty files do not count."""
        return all(any(path.is_dir() or size_of(path) for path in self.path.glob(name)) for name in names)

    def has_canary(self) -> bool:
        """Return whether the zone exists that a drill creates in the copy for its canaries."""
        target = {"host": str(self.path / "socket"), "port": PORT, "user": "caracal", "password": None}
        with contextlib.closing(load.open_database(target, "caracal")) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT FROM public.zones WHERE name LIKE 'caracal-ops canary%'")
            return bool(cursor.rowcount)

    def note(self) -> list[processes.Process]:
        """Record the current resources for `left`; return the sandbox's processes."""
        found = marker.read(Layout.of(str(self.path)))
        own = None if found is None else found.exclusive_uid
        if own is not None:
            self._uids.add(own)
        running = processes.of_sandbox(Layout.of(str(self.path)), own)
        self._networks.hold(running)
        with contextlib.suppress(OSError, IndexError):
            self._segments.append((self.path / "data" / "postmaster.pid").read_text().splitlines()[6].split())
        return running

    def secrets(self) -> list[str]:
        """Return the secrets that were copied or created there."""
        files = [*self.path.glob("secrets/*"), *self.path.glob("retired/*"), *self.path.glob("programs/*.password")]
        return [path.read_text().strip() for path in files]

    def left(self) -> list[str]:
        """Return what remains: processes, also those in its network, sockets, shared memory, files of its user, its directory."""
        uids = self._uids - sandbox_uids.of_others(str(self.path))
        found = [f"{one.pid} {' '.join(one.argv)}" for one in processes.everyone() if one.uid in uids or self._ours(one)]
        found += [line for line in Path("/proc/net/unix").read_text().splitlines() if str(self.path) in line]
        found += [line for line in Path("/proc/sysvipc/shm").read_text().splitlines() if line.split()[:2] in self._segments]
        for folder in (Path("/dev/shm"), Path("/tmp"), Path("/var/tmp")):
            found += [str(path) for path in folder.iterdir() if owner_of(path) in uids or path.name.startswith(self.path.name)]
        return found

    def close(self) -> None:
        self._networks.close()

    def _ours(self, one: processes.Process) -> bool:
        inside = network_of(one.pid) in self._networks.numbers
        named = any(str(self.path) in word for word in one.argv) or str(self.path) in str(processes.variable(one, processes.MARK))
        return inside or named or processes.works_below(one, str(self.path))


class Networks:
    """Network namespaces that are held open. Otherwise the kernel would reuse the number of a closed one for another process."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}

    @property
    def numbers(self) -> set[str]:
        return set(self._held)

    def hold(self, running: t.Iterable[processes.Process]) -> None:
        """Hold the namespaces of these processes, except our own."""
        for one in running:
            with contextlib.suppress(OSError):
                descriptor = os.open(f"/proc/{one.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
                number = os.readlink(f"/proc/self/fd/{descriptor}")
                if number in {*self._held, network_of(os.getpid())}:
                    os.close(descriptor)
                else:
                    self._held[number] = descriptor

    def close(self) -> None:
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()


def network_of(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return ""


def networks_of(running: t.Iterable[processes.Process]) -> set[str]:
    """Return the namespaces of these processes. Ended processes, and unreadable ones such as init, are left out."""
    return {network_of(one.pid) for one in running} - {""}


def size_of(path: Path) -> int:
    """Return the size, or 0 if the file was removed meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def owner_of(path: Path) -> int:
    try:
        return path.lstat().st_uid
    except FileNotFoundError:
        return -1


def holders(root: Path, secrets: t.Sequence[str], but: Path) -> list[str]:
    """Return files below `root` that contain a secret in plaintext, except in one folder."""
    words = [secret.encode() for secret in secrets]
    files = [path for path in root.rglob("*") if path.is_file() and path.parent != but]
    return [str(path) for path in files if any(word in path.read_bytes() for word in words)]


def takes(step: str) -> t.Callable[[Play, Box, Drillable], object]:
    """Return a condition: the drill's state file shows that it runs this step."""

    def look(_play: Play, box: Box, whole: Drillable) -> bool:
        state = Path(drill_state.place_in(str(whole.scene.mark(DRILL_HOST)), str(box.path)))
        try:
            return bool(json.loads(state.read_text(encoding="utf-8"))["begun"] == step)
        except FileNotFoundError:
            return False

    return look


# The state in which a drill is killed, and whether the whole process group is killed.
MOMENTS: dict[str, tuple[t.Callable[[Play, Box, Drillable], object], bool]] = {
    "the sandbox is made": (lambda _play, box, _set: box.has("data") and not box.has("data/postmaster.pid"), False),
    "databases are restored": (lambda _play, box, _set: box.has("data/base/[0-9][0-9][0-9][0-9][0-9]"), True),
    "state is compared": (takes("state"), False),
    "secrets are restored": (lambda _play, box, _set: box.has("secrets/*"), True),
    "evidence is read": (takes("evidence"), True),
    "Redis is filled": (lambda play, box, whole: box.has("programs/redis.json") and takes("prepare")(play, box, whole), False),
    "the first service is ready": (lambda _play, box, _set: box.has("programs/audit.log", "programs/sts"), False),
    "the first service is ready, group": (lambda _play, box, _set: box.has("programs/audit.log", "programs/sts"), True),
    "all services are ready": (takes("canary"), False),
    "a canary is in progress": (lambda play, box, whole: takes("canary")(play, box, whole) and box.has_canary(), True),
    "it settles": (takes("settle"), True),
    "the report is written": (lambda _play, _box, whole: whole.scene.files("drills/**/*"), False),
    "the sandbox is destroyed": (lambda _play, box, whole: whole.scene.files("drills/*/*.sig") and not box.has("data/base"), True),
}
# The state that is tested with every change.
STORY = {"databases are restored": pytest.mark.story("kill in a drill")}
# After a kill in these states, the next run is another drill.
WHOLE = ("databases are restored", "a canary is in progress")
# Kills in these states need the steps that are otherwise skipped.
READING = ("state is compared", "evidence is read")
# In these states, perhaps no process of the sandbox runs.
EDGES = ("the sandbox is made", "the sandbox is destroyed")


@pytest.fixture
def box(sandbox_directory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Box]:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    with contextlib.closing(Box(sandbox_directory)) as made:
        yield made


def killed(begin: t.Callable[[], Play], box: Box, whole: Drillable, point: str) -> Play:
    """Return a drill that was killed in this state. If it ended before, another one is started."""
    now, group = MOMENTS[point]
    for _attempt in range(3):
        play = begin()
        assert came(lambda: now(play, box, whole) or play.process.poll() is not None, LONGEST, 0.05), play.output()  # noqa: B023
        if play.kill(group):
            return play
        assert play.process.returncode == 0, play.output()
    raise AssertionError(f"the moment never came\n{play.output()}")


def orphans(play: Play, box: Box) -> list[str]:
    """Return remaining processes, except servers and the watcher, which end with the sandbox."""
    found = marker.read(Layout.of(str(box.path)))
    watcher = str(found.watcher[0]) if found else ""
    return [one for one in play.left() if not any(name in one for name in SERVERS) and one.split()[0] != watcher]


def entered(whole: Drillable) -> set[str]:
    """Return the drills in the journal."""
    opened = access.open_repository(whole.scene.access())
    return {str(one.body["drill"]) for one in opened.journal.of_kind("drill")}


def devices_of(acting: t.Iterable[processes.Process]) -> list[str]:
    """Return the network devices that the first running one of these processes sees."""
    for one in acting:
        with contextlib.suppress(OSError):
            return [line.split(":")[0].strip() for line in Path(f"/proc/{one.pid}/net/dev").read_text().splitlines()[2:]]
    return []


def is_shut(box: Box, whole: Drillable, running: t.Sequence[processes.Process]) -> None:
    """Check that all processes that could act are in one network namespace that has only the loopback device."""
    acting = [one for one in running if one.program not in programs.AROUND]
    networks = networks_of(acting)
    assert len(networks) == 1 and network_of(os.getpid()) not in networks
    assert devices_of(acting) == ["lo"]
    check = probe.verify(Bundle.of(str(box.path)), [probe.parse(one) for one in whole.production], "")
    assert check.verdict == PASS, check


@pytest.mark.mutation
@pytest.mark.parametrize("point", [pytest.param(one, marks=STORY.get(one, ())) for one in MOMENTS])
def test_next_run_removes_everything_of_a_killed_drill(drilled: Drillable, box: Box, tmp_path: Path, point: str) -> None:
    settings = drilled.settings(str(box.path))
    play = killed(lambda: Play("restore_drill", settings, tmp_path, () if point in READING else SOONER), box, drilled, point)
    assert came(lambda: not orphans(play, box), LONGEST, 0.05), orphans(play, box)
    assert entered(drilled) <= {path.split("/")[1] for path in drilled.scene.files("drills/*/report.json.sig")}
    running, secrets = box.note(), [*drilled.secrets(), *box.secrets()]
    if point not in EDGES:
        assert box.left()
        is_shut(box, drilled, running)

    again = Play("restore_drill", settings, tmp_path, () if point in WHOLE else BRIEF)
    assert again.ended() == 0, again.output()
    assert ("verdict: pass" in again.output()) == (point in WHOLE)
    assert box.left() == []
    assert holders(tmp_path, secrets, but=drilled.deployment.directory) == []


@pytest.mark.mutation
@pytest.mark.parametrize("point", ["state is compared", "Redis is filled", "the first service is ready"])
def test_next_run_ends_processes_of_a_killed_controller(drilled: Drillable, box: Box, tmp_path: Path, point: str) -> None:
    """The next run does not wait for it."""
    settings = drilled.settings(str(box.path))
    # An orphan may have ended between the check and the kill.
    for _attempt in range(5):
        play = killed(lambda: Play("restore_drill", settings, tmp_path, () if point in READING else SOONER), box, drilled, point)
        if orphans(play, box):
            break
    assert orphans(play, box)
    box.note()
    again = Play("restore_drill", settings, tmp_path, BRIEF)
    assert again.ended() == 0, again.output()
    assert came(lambda: not orphans(play, box), LONGEST, 0.05), orphans(play, box)
    assert box.left() == []


def new_network() -> subprocess.Popen[bytes]:
    """Start a process in a new network namespace."""
    made = subprocess.Popen(["unshare", *(["--map-root-user"] if os.geteuid() else []), "--net", "sleep", "600"])
    assert came(lambda: network_of(made.pid) not in ("", network_of(os.getpid())))
    return made


def end(one: subprocess.Popen[bytes]) -> str:
    """End the process; return its network namespace."""
    number = network_of(one.pid)
    one.kill()
    one.wait()
    return number


@pytest.mark.no_false_alarm
def test_a_held_network_namespace_keeps_its_number() -> None:
    with contextlib.closing(Networks()) as networks:
        held, other = new_network(), new_network()
        networks.hold([one for one in processes.everyone() if one.pid == held.pid])
        assert networks.numbers == {end(held)}
        seen: set[str] = set()
        given_again = end(other)
        assert came(lambda: seen.add(end(new_network())) or given_again in seen), "the control: that of another is given again"
        assert not seen & networks.numbers


@pytest.mark.no_false_alarm
def test_resources_of_another_sandbox_are_not_counted(
    box: Box, server_install: server_binaries.Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other sandbox may have the same uid, and would have the same namespace number."""
    lifecycle.create(SandboxSpec(str(box.path), server_install))
    note = marker.read(Layout.of(str(box.path)))
    assert box.note() and note is not None
    assert lifecycle.destroy(str(box.path)) and box.left() == []
    same = Identity(note.server_uid, note.server_uid) if note.own_uid else None
    monkeypatch.setattr(users, "server_identity", lambda _taken=(): same)
    other = sandbox_path()
    try:
        lifecycle.create(SandboxSpec(other, server_install))
        running = Box(other).note()
        assert running and box.left() == []
        assert not note.own_uid or {note.server_uid} & {one.uid for one in running}, "the control: it has that uid"
    finally:
        lifecycle.destroy(other)


@pytest.mark.mutation
def test_a_sandbox_from_before_a_reboot_is_removed(box: Box, server_install: server_binaries.Install) -> None:
    """After a reboot none of its processes runs, and its uid may belong to another user."""
    layout = Layout.of(str(box.path))
    lifecycle.create(SandboxSpec(layout.root, server_install))
    bundle = Bundle.of(layout.root)
    redis_server.start(bundle, redis_program(8))
    (box.path / "secrets").mkdir()
    (box.path / "secrets" / "zoneKek").write_text("0" * 64)
    note = marker.read(layout)
    assert note is not None and box.note() and box.has("programs/redis.password", "secrets/zoneKek")
    processes.kill_all(layout, note.exclusive_uid)
    marker.write(layout, dataclasses.replace(note, boot_id="another boot"))
    command = ["setpriv", f"--reuid={note.server_uid}", f"--regid={note.server_uid}", "--clear-groups", "sleep", "600"]
    foreign = subprocess.Popen(command[-2:] if os.geteuid() else command)
    try:
        assert lifecycle.destroy(layout.root) and not box.path.exists()
        assert foreign.poll() is None
    finally:
        foreign.kill()
        foreign.wait()
    assert box.left() == []
    assert not lifecycle.destroy(layout.root)
