# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib
import signal
import socket

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import KeyProblem, ObjectMissing, StageFailed, Unreachable
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lifecycle, processes
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.bundle import NETWORK, Bundle
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import Layout, SandboxSpec
from harness.small_programs import as_nobody
from harness.waiting import eventually


def interfaces() -> list[str]:
    return [name for _index, name in socket.if_nameindex()]


def seen(path: str) -> bool:
    return os.path.exists(path)


def reaches(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


def mounts(pid: int | str) -> tuple[str, ...]:
    return tuple(os.readlink(f"/proc/{pid}/ns/{name}") for name in ("net", "mnt"))


def test_inside_there_is_a_loopback_and_what_the_sandbox_is_shown(bundle: Bundle, tmp_path: pathlib.Path) -> None:
    secret = tmp_path / "identity"
    secret.write_text("AGE-SECRET-KEY")
    root = f"/proc/{bundle.info.pid}/root"
    assert seen(f"{root}{bundle.info.data_directory}") and seen(f"{root}/usr/bin")
    outside = [str(secret), os.path.expanduser("~/."), "/etc/passwd-", "/etc/shadow", "/sys", Layout.of(bundle.info.directory).marker]
    shown = [path for path in outside if seen(f"{root}{path}")]
    if bundle.isolated:
        assert bundle.run(interfaces) == ["lo"] and shown == []
    else:
        assert bundle.run(interfaces) == interfaces() and str(secret) in shown


def test_network_namespace_alone_leaves_files_visible(bundle: Bundle, tmp_path: pathlib.Path) -> None:
    assert bundle.run(seen, str(tmp_path), namespaces=NETWORK)
    assert (bundle.run(interfaces, namespaces=NETWORK) == ["lo"]) == bundle.isolated


def test_the_server_is_reached_from_inside_and_nothing_of_ours_is(bundle: Bundle) -> None:
    with socket.socket() as ours:
        ours.bind(("127.0.0.1", 0))
        ours.listen()
        assert bundle.run(reaches, ours.getsockname()[1]) != bundle.isolated
    if bundle.isolated:
        assert bundle.run(reaches, bundle.info.port)


def test_we_stay_outside(bundle: Bundle) -> None:
    before = mounts("self")
    inside = bundle.run(mounts, "self", namespaces=NETWORK)
    assert mounts("self") == before
    assert (inside[0] == mounts(bundle.info.pid)[0]) and (inside[0] != before[0]) == bundle.isolated


def fails(kind: type[Exception]) -> None:
    raise kind("the key does not fit")


def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_backup_errors_are_passed_on_and_others_are_converted(bundle: Bundle) -> None:
    with pytest.raises(KeyProblem, match="the key does not fit"):
        bundle.run(fails, KeyProblem)
    with pytest.raises(StageFailed, match="ZeroDivisionError: the key does not fit"):
        bundle.run(fails, ZeroDivisionError)


@pytest.mark.mutation
def test_killed_function_is_an_error_and_leaves_no_process(bundle: Bundle) -> None:
    before = {process.pid for process in processes.everyone() if process.parent == os.getpid()}
    with pytest.raises(StageFailed, match="exit code -9"):
        bundle.run(dies)
    assert {process.pid for process in processes.everyone() if process.parent == os.getpid()} == before


@pytest.mark.mutation
def test_sandbox_with_dead_server_cannot_be_entered(own_bundle: Bundle) -> None:
    os.kill(own_bundle.info.pid, signal.SIGKILL)
    eventually(lambda: processes.look(own_bundle.info.pid) is None)
    with pytest.raises(Unreachable, match="is not running"):
        Bundle.of(own_bundle.info.directory)
    if own_bundle.isolated:
        with pytest.raises(StageFailed, match=r"cannot enter the sandbox .*; run as the user who created it") as caught:
            own_bundle.run(seen, "/")
        assert "\n" not in caught.value.msg


def test_directory_without_sandbox_is_reported_as_missing(sandbox_directory: str) -> None:
    with pytest.raises(ObjectMissing, match="contains no sandbox"):
        Bundle.of(sandbox_directory)


def test_an_ordinary_user_enters_too(server_install: Install, sandbox_directory: str) -> None:
    """The server's namespaces then belong to a user namespace, which is entered first."""
    isolated, found, secret, port = as_nobody(_enter, SandboxSpec(sandbox_directory, server_install))
    assert isolated and found == ["lo"] and not secret and port


def _enter(spec: SandboxSpec) -> tuple[bool, list[str], bool, bool]:
    lifecycle.create(spec)
    try:
        made = Bundle.of(spec.directory)
        return made.isolated, made.run(interfaces), seen(f"/proc/{made.info.pid}/root/etc/shadow"), made.run(reaches, made.info.port)
    finally:
        lifecycle.destroy(spec.directory)
