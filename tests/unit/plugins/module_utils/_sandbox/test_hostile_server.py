# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A restored database runs code as its server's user, and attacks programs that enter its sandbox from outside."""

from __future__ import annotations

import codecs
import importlib
import os
import sys
import typing as t

import psycopg2
import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import TargetRefused
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lifecycle, probe
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.bundle import Bundle
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxInfo, SandboxSpec
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.probe import Target
from harness import small_programs
from harness.fixtures import FreshCluster
from harness.small_programs import as_nobody

# Loaded early, because an ordinary user may not be able to read this Python's files.
for encoding in ("ascii", "idna"):
    codecs.lookup(encoding)
# An empty path on this host. It represents a directory of Python modules that the drill host has and the sandbox cannot see.
FOLDER = "/caracal-nowhere"
NAME = "caracal_planted"
HOST = "planted.invalid"
PLANT = (
    f"mkdir {FOLDER}; echo RAN=True > {FOLDER}/{NAME}.py; rm -rf /etc/hosts /etc/nsswitch.conf; "
    f"echo 127.0.0.9 {HOST} > /etc/hosts; echo hosts: files > /etc/nsswitch.conf; chmod -R a+rX {FOLDER} /etc; true"
)


def run_in_server(info: SandboxInfo, script: str) -> None:
    """Run code as any superuser of the copy can. A restored function can do the same."""
    connection = psycopg2.connect(host=info.socket_dir, port=info.port, user=info.superuser, dbname="postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"COPY (SELECT 1) TO PROGRAM $x$ cat >/dev/null; ({script}) >/dev/null 2>&1 $x$")
    connection.close()


def imports() -> bool:
    sys.path.insert(0, FOLDER)
    sys.path_importer_cache.clear()
    try:
        return bool(importlib.import_module(NAME).RAN)
    except ModuleNotFoundError:
        return False


def resolves() -> list[t.Any]:
    return probe._resolved(Target(HOST, 1))


def there(path: str) -> bool:
    return os.path.exists(path)


def _attack(spec: SandboxSpec) -> dict[str, t.Any]:
    lifecycle.create(spec)
    try:
        made = Bundle.of(spec.directory)
        run_in_server(made.info, PLANT)
        return {
            "isolated": made.isolated,
            "planted": there(f"/proc/{made.info.pid}/root{FOLDER}"),
            "imported": made.run(imports),
            "resolved": made.run(resolves),
            "check": probe.verify(made, [Target(HOST, 1, recorded=True)], "").verdict,
        }
    finally:
        lifecycle.destroy(spec.directory)


@pytest.mark.mutation
def test_files_planted_by_server_are_neither_imported_nor_used_for_name_lookup(server_install: Install, sandbox_directory: str) -> None:
    """As an ordinary user; then the sandbox's root directory belongs to the server's own user."""
    found = as_nobody(_attack, SandboxSpec(sandbox_directory, server_install))
    assert found == {"isolated": True, "planted": False, "imported": False, "resolved": [], "check": "pass"}


def _lead_away(spec: SandboxSpec, other: str) -> str:
    """Return the server that our module reaches after the sandbox's server has replaced its socket with a link to `other`."""
    made = lifecycle.create(spec).info
    socket = f"{made.socket_dir}/.s.PGSQL.{made.port}"
    run_in_server(made, f"ln -sf {other} {socket}.new && mv {socket}.new {socket}; true")
    try:
        info = lifecycle.attach(spec.directory)
    except TargetRefused as exc:
        return exc.msg
    connection = psycopg2.connect(host=info.socket_dir, port=info.port, user=info.superuser, dbname="postgres")
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT system_identifier::text FROM pg_control_system()")
        (found,) = cursor.fetchone()
    connection.close()
    return "its own" if found == made.system_identifier else "another server"


@pytest.mark.mutation
def test_server_cannot_redirect_module_to_another_server(
    server_install: Install, sandbox_directory: str, fresh_cluster: FreshCluster
) -> None:
    """For example, to the PostgreSQL of the drill host, which identifies its administrator by the system user."""
    other = fresh_cluster()
    spec = SandboxSpec(sandbox_directory, server_install)
    assert _lead_away(spec, f"{other.socket_dir}/.s.PGSQL.{other.port}") == "its own"


@pytest.mark.mutation
def test_socket_replaced_by_server_of_same_user_is_refused(server_install: Install, sandbox_directory: str) -> None:
    """As an ordinary user, who owns the directory of the socket inside and outside."""
    found = as_nobody(_lead_away_and_remove, SandboxSpec(sandbox_directory, server_install))
    assert found.endswith("is not a socket: a program in the sandbox has replaced it; remove the sandbox and do not use its set")


def _lead_away_and_remove(spec: SandboxSpec) -> str:
    try:
        return _lead_away(spec, "/nowhere")
    finally:
        lifecycle.destroy(spec.directory)


@pytest.fixture
def shut(server_install: Install, sandbox_directory: str) -> Bundle:
    return small_programs.make("bubblewrap", sandbox_directory, server_install)


def namespaces() -> dict[str, str]:
    return {name: os.readlink(f"/proc/self/ns/{name}") for name in ("mnt", "net", "pid", "ipc", "uts")}


def test_only_the_network_is_joined(shut: Bundle) -> None:
    outside, inside = namespaces(), shut.run(namespaces)
    assert {name for name in outside if outside[name] != inside[name]} == {"net"}


def belongings() -> tuple[list[str], list[str]]:
    return sorted(os.environ), [
        os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if there(f"/proc/self/fd/{name}")
    ]


@pytest.mark.mutation
def test_function_in_sandbox_has_no_environment_or_open_files_of_host(
    shut: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: t.Any
) -> None:
    monkeypatch.setenv("CARACAL_TEST_SECRET", "of the operator")
    secret = tmp_path / "identity"
    secret.write_text("AGE-SECRET-KEY")
    with open(secret, encoding="ascii"):
        environment, files = shut.run(belongings)
    assert environment == [] and str(secret) not in files
    assert not [path for path in files if not path.startswith(("/dev/null", "pipe:", "/proc/"))]
