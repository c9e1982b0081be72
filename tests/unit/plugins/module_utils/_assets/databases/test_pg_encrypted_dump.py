# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The dump: refusals of its preflight, files left by a failure or a kill, predictions of check mode."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import signal
import typing as t
import uuid
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import recipients as age
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import snapshot
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    Busy,
    KeyProblem,
    MissingDependency,
    NoRoom,
    ObjectMissing,
    OptionError,
    PermissionMissing,
    StageFailed,
    StorageError,
    Unreachable,
    VersionMismatch,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage import local
from harness.waiting import PATIENCE, came, eventually
from scenes import scene as scenes
from scenes.fixtures import Committed
from scenes.scene import Scene, new_identity, new_ssh_key, tree
from scenes.twin_database import Copier, TwinCluster

ID = "20260102T030405Z-abcd"
PASSWORD = "correct: horse\\battery 'staple'"
DATABASES = ["caracal", "caracal_auth"]
Reader = t.Callable[..., dict[str, t.Any]]


@pytest.fixture
def reader(scene: Scene, caracal_database: TwinCluster) -> t.Iterator[Reader]:
    """Return a function that creates roles like a backup host's and returns their login options: `reader("BYPASSRLS",
    "pg_read_all_data")`.
    """
    made: list[str] = []

    def make(attributes: str = "", *groups: str) -> dict[str, t.Any]:
        name = f"reader_{uuid.uuid4().hex[:8]}"
        made.append(name)
        quoted = PASSWORD.replace("'", "''")
        caracal_database.execute(f"CREATE ROLE {name} LOGIN {attributes} PASSWORD E'{quoted.replace(chr(92), chr(92) * 2)}'")
        for group in groups:
            caracal_database.execute(f"GRANT {group} TO {name}")
        password = scene.root / "backup" / f"{name}.password"
        password.write_text(f"{PASSWORD}\n")
        password.chmod(0o600)
        return {"login_user": name, "login_password_file": str(password)}

    yield make
    for name in made:
        caracal_database.execute(f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def test_check_mode_writes_nothing_and_the_second_run_changes_nothing(scene: Scene) -> None:
    before = tree(scene.root)
    predicted = scene.call("pg_encrypted_dump", check_mode=True, set_id=ID)
    assert tree(scene.root) == before
    made = scene.call("pg_encrypted_dump", set_id=ID)
    assert predicted["changed"] and made["changed"] and predicted.keys() == made.keys()
    assert [one["database"] for one in predicted["databases"]] == [one["database"] for one in made["databases"]] == DATABASES
    for name in ("release", "sight"):
        assert [one[name] for one in predicted["databases"]] == [one[name] for one in made["databases"]]
    assert [one["sight"] for one in made["databases"]] == ["superuser"] * 2
    assert made["diff"]["after"].startswith(predicted["diff"]["after"])
    before = tree(scene.repository)
    for check_mode in (True, False):
        again = scene.call("pg_encrypted_dump", check_mode=check_mode, set_id=ID)
        assert not again["changed"] and again["artifacts"] == made["artifacts"] and again["databases"] == made["databases"]
    # The write test changes the modification time of the repository's own directory.
    assert scenes.outside(tree(scene.repository), ".") == scenes.outside(before, ".")


def test_database_order_does_not_change_family_and_release(scene: Scene) -> None:
    scene.backup(databases=DATABASES[::-1])
    facts = scene.call("backup_set_verify")["set_facts"]
    assert (facts["family"], facts["release"], facts["databases"]) == ("secret_store", "v1.0.0", DATABASES[::-1])


def test_set_contains_no_plaintext(scene: Scene, caracal_database: TwinCluster) -> None:
    scene.backup()
    known = plaintext(caracal_database)
    assert len(known) > 20
    assert readable(scene, known) == []


def plaintext(source: TwinCluster) -> list[bytes]:
    """Return texts of the source that an unencrypted dump or inventory would contain."""
    queries = (
        "SELECT name FROM policies UNION SELECT left(content, 40) FROM policy_versions UNION SELECT request_id FROM admin_audit_events",
        "SELECT content_sha256 FROM audit_events WHERE chain_seq < 20 UNION SELECT slug FROM zones UNION SELECT id FROM sessions",
        "SELECT 'COPY public.zones' UNION SELECT 'CREATE TABLE' UNION SELECT 'caracalcoordinator' UNION SELECT 'manifest_sha256\t'",
    )
    return [text.encode() for query in queries for (text,) in source.execute(query) if text and len(text) >= 8]


def readable(scene: Scene, known: t.Sequence[bytes]) -> list[str]:
    """Return the files of the repository, finished or not, that contain one of the texts."""
    return [path for path in scene.files() if any(text in (scene.repository / path).read_bytes() for text in known)]


def test_refuses_invalid_recipients(scene: Scene) -> None:
    none: dict[str, t.Any] = {"set_id": ID, "recipients_files": []}
    scene.refused("pg_encrypted_dump", OptionError, "no recipient", "recipients_files", **none)
    for text in ("age1nonsense", "somebody", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-dss AAAA", " "):
        scene.refused("pg_encrypted_dump", KeyProblem, "recipients[1]", "not an age recipient", **none, recipients=[text])
    secret = scene.identity.read_text().strip()
    for text in (secret, secret.lower()):
        scene.refused("pg_encrypted_dump", KeyProblem, "recipients[1]", "private key", **none, recipients=[text])
    bad = scene.root / "bad"
    for text, kind, words in (
        ("", OptionError, "no recipient"),
        ("# none\n", OptionError, "no recipient"),
        (secret, KeyProblem, "bad line 1"),
    ):
        bad.write_text(text)
        scene.refused("pg_encrypted_dump", kind, words, set_id=ID, recipients_files=[str(bad)])
    bad.unlink()
    scene.refused("pg_encrypted_dump", KeyProblem, str(bad), "check the path", set_id=ID, recipients_files=[str(bad)])


def test_a_host_that_could_open_its_own_backups_is_refused(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    signing = scene.key("backup").with_suffix(".pub").read_text()
    words = (age.fingerprint(signing), "signing key", "another key pair")
    scene.refused("pg_encrypted_dump", KeyProblem, *words, set_id=ID, recipients=[signing])
    home, mine = scene.root / "home", scene.root / "mine"
    monkeypatch.setenv("HOME", str(home))
    (home / ".config" / "age").mkdir(parents=True)
    mine.mkdir()
    recipients = mine / "recipients"
    recipients.write_text(scene.recipients.read_text())
    for folder in (scene.root / "backup", mine, home / ".config" / "age"):
        lying = folder / "keys.txt"
        new_identity(lying)
        message = scene.refused("pg_encrypted_dump", KeyProblem, str(lying), "move it", set_id=ID, recipients_files=[str(recipients)])
        assert lying.read_text().strip() not in message
        lying.unlink()
    new_ssh_key(mine / "id")
    public = (mine / "id.pub").read_text()
    scene.refused("pg_encrypted_dump", KeyProblem, str(mine / "id"), set_id=ID, recipients_files=[str(recipients)], recipients=[public])
    (mine / "id").unlink()
    options: dict[str, t.Any] = {"set_id": ID, "recipients_files": [str(recipients)], "recipients": [public], "check_mode": True}
    assert scene.call("pg_encrypted_dump", **options)["changed"]


def test_a_signing_key_that_others_can_use_is_refused(scene: Scene) -> None:
    scene.key("backup").chmod(0o644)
    scene.refused("pg_encrypted_dump", KeyProblem, str(scene.key("backup")), "0644", "chmod 600", set_id=ID)
    scene.key("backup").unlink()
    scene.refused("pg_encrypted_dump", KeyProblem, str(scene.key("backup")), "check the path", set_id=ID)
    scene.refused("pg_encrypted_dump", OptionError, "signing_key", set_id=ID, signing_key=None)


def test_refuses_unreachable_servers_and_missing_databases(scene: Scene, tmp_path: Path) -> None:
    refused = scene.refused
    refused("pg_encrypted_dump", Unreachable, "database nothing does not exist", set_id=ID, databases=["caracal", "nothing"])
    refused("pg_encrypted_dump", Unreachable, str(tmp_path), "login_", set_id=ID, login_unix_socket=str(tmp_path))
    refused("pg_encrypted_dump", Unreachable, "127.0.0.1", "login_", set_id=ID, login_host="127.0.0.1", login_port=1)
    refused("pg_encrypted_dump", Unreachable, "no.such.host.invalid", set_id=ID, login_host="no.such.host.invalid")
    refused("pg_encrypted_dump", Unreachable, "nobody", set_id=ID, login_user="nobody")


def test_a_database_that_is_not_caracals_is_refused(scene: Scene, caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    name = caracal_copy()
    caracal_database.execute("DROP TABLE secret_store", database=name)
    scene.refused("pg_encrypted_dump", VersionMismatch, set_id=ID, databases=[name])


def test_unknown_release_is_reported_and_backed_up(scene: Scene, caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    name = caracal_copy()
    caracal_database.execute("INSERT INTO schema_migrations VALUES ('0004_tomorrow', now())", database=name)
    warnings: list[str] = []
    result = scene.call("pg_encrypted_dump", set_id=ID, databases=[name], warn=warnings.append)
    assert result["databases"][0]["release"] is None and result["changed"]
    assert len(warnings) == 1 and name in warnings[0] and "4 migrations" in warnings[0] and "\n" not in warnings[0]


def test_wrong_passwords_are_refused_and_never_repeated(scene: Scene, reader: Reader) -> None:
    login = reader("BYPASSRLS", "pg_read_all_data")
    wrong = Path(login["login_password_file"])
    wrong.write_text("a wrong one")
    message = scene.refused("pg_encrypted_dump", Unreachable, login["login_user"], "password authentication failed", set_id=ID, **login)
    assert PASSWORD not in message
    wrong.write_bytes(b"\xff\xfe")
    scene.refused("pg_encrypted_dump", KeyProblem, str(wrong), "UTF-8", set_id=ID, **login)
    wrong.unlink()
    scene.refused("pg_encrypted_dump", KeyProblem, str(wrong), set_id=ID, **login)


@pytest.mark.mutation
def test_a_role_that_would_not_see_every_row_is_refused(scene: Scene, reader: Reader) -> None:
    """Under row-level security the role reads no rows and gets no error: the backup would be empty and look good."""
    login = reader("", "pg_read_all_data")
    words = (login["login_user"], "missing: ALTER ROLE … BYPASSRLS", f"ALTER ROLE {login['login_user']} BYPASSRLS")
    scene.refused("pg_encrypted_dump", PermissionMissing, *words, set_id=ID, **login)
    login = reader("BYPASSRLS")
    words = (login["login_user"], "missing: GRANT pg_read_all_data", f"GRANT pg_read_all_data TO {login['login_user']}")
    scene.refused("pg_encrypted_dump", PermissionMissing, *words, set_id=ID, **login)
    login = reader("")
    message = scene.refused("pg_encrypted_dump", PermissionMissing, "pg_read_all_data", "BYPASSRLS", set_id=ID, **login)
    assert PASSWORD not in message


@pytest.mark.no_false_alarm
def test_backup_role_creates_the_same_set_as_a_superuser(scene: Scene, reader: Reader) -> None:
    by_superuser = scene.inventory()
    result = scene.backup(**reader("BYPASSRLS", "pg_read_all_data"))
    assert [one["sight"] for one in result["databases"]] == ["pg_read_all_data with BYPASSRLS"] * 2
    by_reader = scene.inventory()
    for ours, theirs in zip(by_reader["databases"], by_superuser["databases"], strict=True):
        # Marks of rows have a random key.
        assert {name for name in ours if ours[name] != theirs[name]} <= {"plain", "row_marks"}
    assert by_reader["roles"] == by_superuser["roles"]


def test_refuses_outdated_and_missing_clients(scene: Scene, tmp_path: Path) -> None:
    old = tmp_path / "bin"
    old.mkdir()
    scene.refused("pg_encrypted_dump", MissingDependency, str(old), "pg_dump", "install", set_id=ID, pg_bin=str(old))
    for tool in ("pg_dump", "pg_restore", "psql"):
        (old / tool).write_text(f"#!/bin/sh\necho '{tool} (PostgreSQL) 16.99'\n")
        (old / tool).chmod(0o755)
    scene.refused(
        "pg_encrypted_dump", MissingDependency, str(old), "16.99 is older than 17", "install PostgreSQL 17", set_id=ID, pg_bin=str(old)
    )


def test_a_store_without_room_is_refused(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local.LocalStore, "free_bytes", lambda _store: 1 << 20)
    scene.refused("pg_encrypted_dump", NoRoom, str(scene.repository), "1 MiB free", "free disk space", set_id=ID, check_mode=True)
    with pytest.raises(StorageError, match="1 MiB free"):
        scene.call("pg_encrypted_dump", set_id=ID)
    assert not scene.files(f"**/*{ID}*") and not scene.files(f"sets/{ID}/**/*")


def test_two_dumps_at_once_are_refused(scene: Scene, caracal_database: TwinCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "PATIENCE", 0.5)
    for name in DATABASES:
        with snapshot.Snapshot(caracal_database.server, name):
            scene.refused("pg_encrypted_dump", Busy, f"database {name}", "wait", set_id=ID)
    assert scene.call("pg_encrypted_dump", set_id=ID)["changed"]


def in_child(work: t.Callable[[], t.Any]) -> tuple[int, str]:
    """Run `work` in a child process and return its exit code (negative: the signal) and its error as text."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def run() -> None:
        os.setpgid(0, 0)
        receiver.close()
        try:
            work()
        except Exception as exc:  # noqa: BLE001 - the test looks at what it was
            sender.send(f"{type(exc).__name__}: {exc}")

    child = context.Process(target=run)
    child.start()
    sender.close()
    message = ""
    with contextlib.suppress(EOFError):
        message = receiver.recv()
    child.join(PATIENCE)
    assert child.exitcode is not None and child.pid is not None
    group = child.pid
    if not came(lambda: not alive(group)):  # workers and tools die with it
        os.killpg(group, signal.SIGKILL)
        raise AssertionError("processes of a killed run live on")
    return child.exitcode, message


def alive(group: int) -> list[str]:
    """Return the live processes of a group. Zombies do not count."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _end, rest = entry.read_text().rpartition(")")
            state, _parent, leader = rest.split()[:3]
            if int(leader) == group and state != "Z":
                found.append(name)
    return found


def is_unfinished(path: str) -> bool:
    """Return whether the name is a temporary one that no object has."""
    return Path(path).name.startswith(".")


def left_behind(scene: Scene, before: t.Sequence[str], set_id: str) -> list[str]:
    """Return new files. An uncommitted set has only sealed objects under its own ID, and unfinished ones."""
    new = sorted(set(scene.files()) - set(before))
    for path in new:
        head = (scene.repository / path).read_bytes()[:24]
        assert set_id in path or is_unfinished(path), path
        assert path.endswith("audit-blocks.tsv.zst") or b"age-encryption.org/v1".startswith(head[:21]), path
    return new


@pytest.mark.mutation
@pytest.mark.parametrize("part", [0.1, 0.9])
def test_dump_to_disk_that_fills_up_creates_no_set(committed: Committed, scene: Scene, caracal_database: TwinCluster, part: float) -> None:
    """A limit on the file size replaces a full disk: the same write fails in the same way."""
    sets = scene.sets()
    for leaf in scene.files("objects/**/*"):
        (scene.repository / leaf).unlink()
    before = scene.files()
    limit = int(max(one["size"] for one in committed.second["artifacts"]) * part)

    def dump() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        scene.call("pg_encrypted_dump", set_id=ID)

    code, message = in_child(dump)
    assert code == 0 and message.startswith("StorageError: ") and "file size limit" in message and "\n" not in message
    new = left_behind(scene, before, ID)
    assert not [path for path in new if "/parts/" in path]
    assert readable(scene, plaintext(caracal_database)) == [] and scene.sets() == sets
    scene.call("backup_set", state="aborted", set_id=ID)
    assert scene.files() == before
    assert scene.call("pg_encrypted_dump", set_id=ID)["changed"]


KILLS = {
    "unfinished": lambda key, written: written > 4096,
    "archive": lambda key, written: key.endswith("caracal.dump.zst.age"),
    "second database": lambda key, written: key.endswith("caracal_auth.schema.zst.age"),
    "inventory": lambda key, written: key.endswith("inventory.json.zst.age"),
}


@pytest.mark.mutation
@pytest.mark.parametrize("point", KILLS)
def test_only_encrypted_removable_files_remain_of_killed_dump(scene: Scene, caracal_database: TwinCluster, point: str) -> None:
    for leaf in scene.files("objects/**/*"):
        (scene.repository / leaf).unlink()  # so that every partition is stored again
    before, sets = scene.files(), scene.sets()
    code, message = in_child(lambda: _dump_and_die(scene, KILLS[point]))
    assert (code, message) == (-signal.SIGKILL, "")
    new = left_behind(scene, before, ID)
    assert new and not [path for path in new if "/parts/" in path]
    assert readable(scene, plaintext(caracal_database)) == [] and scene.sets() == sets
    scene.refused("backup_set", OptionError, "no artifact", check_mode=False, state="committed", set_id=ID)
    _wait_until_orphans_ended(caracal_database)
    scene.backup()
    assert len(scene.sets()) == len(sets) + 1 and scene.call("backup_set_verify")["verdict"] == "pass"
    scene.call("backup_set", state="aborted", set_id=ID)
    assert [path for path in scene.files() if ID in path or is_unfinished(path)] == []


def _dump_and_die(scene: Scene, now: t.Callable[[str, int], bool]) -> None:
    """Send SIGKILL to the module's process from the first of its processes to reach this step."""
    victim = os.getpid()
    write, publish = local._LocalWriter.write, local._LocalWriter.publish

    def die() -> t.NoReturn:
        os.kill(victim, signal.SIGKILL)
        while True:
            signal.pause()

    def writing(self: t.Any, data: bytes) -> int:
        done = write(self, data)
        if now("", self._size):
            die()
        return done

    def publishing(self: t.Any, key: str) -> t.Any:
        done = publish(self, key)
        if now(key, 0):
            die()
        return done

    local._LocalWriter.write, local._LocalWriter.publish = writing, publishing  # type: ignore[method-assign]
    scene.call("pg_encrypted_dump", set_id=ID)


def _wait_until_orphans_ended(source: TwinCluster) -> None:
    """Wait, because the server notices the death of a client with a delay."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '% alone'"
    eventually(lambda: source.execute(query, database="postgres") == [(0,)])


@pytest.mark.mutation
def test_dump_tool_that_dies_midway_stores_no_archive(scene: Scene, server_install: t.Any, tmp_path: Path) -> None:
    """Its output so far is a valid beginning, and the end of the output looks normal."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool, ending in (("pg_dump", "exit 1"), ("pg_restore", "exit 0"), ("psql", "exit 0")):
        real = os.path.join(server_install.bindir, tool)
        (tools / tool).write_text(
            f'#!/bin/sh\ncase "$*" in *--version*|*--schema-only*) exec {real} "$@";; *--format=custom*) {real} "$@" | head -c 20000; '
            f'echo "{tool}: server closed the connection" >&2; {ending};; *) exec {real} "$@";; esac\n'
        )
        (tools / tool).chmod(0o755)
    before = scene.files()
    with pytest.raises(StageFailed) as raised:
        scene.call("pg_encrypted_dump", set_id=ID, pg_bin=str(tools))
    assert "server closed the connection" in raised.value.msg and "\n" not in raised.value.msg
    new = left_behind(scene, before, ID)
    assert not [path for path in new if "caracal.dump" in path or "/parts/" in path]


def test_refuses_a_missing_repository_and_another_deployment(scene: Scene, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    scene.refused("pg_encrypted_dump", ObjectMissing, nowhere, "create_repository", set_id=ID, repository=nowhere)
    scene.refused("pg_encrypted_dump", OptionError, "belongs to deployment prod", set_id=ID, deployment="test")
