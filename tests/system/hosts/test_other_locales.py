# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A source that sorts text by the rules of a language. The digests of source and copy do not depend on these rules."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import catalog, server_binaries, tables
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lifecycle
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxSpec
from harness.fixtures import NOW, FreshCluster, make_twin, sandbox_path
from scenes import scene as scenes
from scenes.by_hand import Recover
from scenes.fixtures import Copy
from scenes.scene import Result, Scene
from scenes.twin_database import TwinCluster
from system.sets.test_round_trip import DATABASES, contents
from twin.spec import Spec

ENGLISH = "LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"
WORDS = ["a", "A", "b", "B", "ä", "Ä", "z", "Z", "zz", "_", "-a", "é", "e", "E", "10", "9", ""]
ORDER = "SELECT string_agg(word, ',' ORDER BY word) FROM words"
KEPT = ("encoding", "owner", "connection_limit", "set")


def literals(words: list[str]) -> str:
    return ", ".join(f"('{word}', 'note {number}')" for number, word in enumerate(words))


def speak(source: TwinCluster, clients: str) -> None:
    """Create the twin's database again with English collation, and with settings that an operator may have changed."""
    source.execute("ALTER DATABASE caracal RENAME TO plain", f"CREATE DATABASE caracal TEMPLATE template0 {ENGLISH}", database="postgres")
    login = ["-h", source.info.socket_dir, "-U", source.info.superuser]
    dumped = subprocess.run([os.path.join(clients, "pg_dump"), *login, "plain"], check=True, capture_output=True).stdout
    load = [os.path.join(clients, "psql"), *login, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "caracal"]
    subprocess.run(load, input=dumped, check=True, capture_output=True)
    source.execute(
        "DROP DATABASE plain",
        "CREATE TABLE words (word text PRIMARY KEY, note text)",
        f"INSERT INTO words VALUES {literals(WORDS)}",
        "REVOKE ALL ON DATABASE caracal FROM PUBLIC",
        "GRANT CONNECT ON DATABASE caracal TO caracalapi WITH GRANT OPTION",
        "GRANT TEMPORARY ON DATABASE caracal TO caracalsts",
        'ALTER DATABASE caracal SET search_path = public, "Odd, path"',
        "ALTER DATABASE caracal SET work_mem = '5MB'",
        "ALTER DATABASE caracal CONNECTION LIMIT 40",
    )


@dataclasses.dataclass(frozen=True)
class Spoken:
    """A set of a source with English collation."""

    scene: Scene
    source: TwinCluster
    clients: str


@pytest.fixture(scope="module")
def spoken(newer_install: server_binaries.Install, newer_clients: str, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Spoken]:
    with make_twin(newer_install, Spec(events=300, seed="spoken", now=NOW)) as source:
        speak(source, newer_clients)
        scene = scenes.make(tmp_path_factory.mktemp("spoken") / "scene", source.info.socket_dir)
        scene.backup(pg_bin=newer_clients)
        yield Spoken(scene, source, newer_clients)


@dataclasses.dataclass(frozen=True)
class Heard:
    """The copy, and the result of its restore."""

    copy: Copy
    restored: Result


@contextlib.contextmanager
def restored(spoken: Spoken, install: server_binaries.Install) -> t.Iterator[Heard]:
    directory = sandbox_path()
    try:
        info = lifecycle.create(SandboxSpec(directory, install)).info
        result = spoken.scene.call("pg_encrypted_restore", sandbox=directory, pg_bin=spoken.clients)
        recorded = spoken.scene.inventory()["databases"]
        copy = Copy(info, spoken.source.spec, {one["database"]: one["settings"] for one in recorded})
        copy.keep()
        yield Heard(copy, result)
    finally:
        lifecycle.destroy(directory)


@pytest.fixture(scope="module")
def elsewhere(spoken: Spoken, server_install: server_binaries.Install) -> t.Iterator[Heard]:
    """Yield a copy in a server without language collations."""
    with restored(spoken, server_install) as heard:
        yield heard


@pytest.fixture(scope="module")
def alike(spoken: Spoken, newer_install: server_binaries.Install) -> t.Iterator[Heard]:
    """Yield a copy in a server with all language collations."""
    with restored(spoken, newer_install) as heard:
        yield heard


def verify(spoken: Spoken, copy: TwinCluster) -> tuple[Result, dict[str, Result]]:
    result = spoken.scene.call("state_verify", sandbox=copy.info.directory, pg_bin=spoken.clients)
    return result, {check["id"]: check for check in result["checks"]}


def settings(cluster: TwinCluster, database: str = "caracal") -> dict[str, t.Any]:
    with Session(cluster.server, database) as session:
        return catalog.settings(session)


@pytest.mark.no_false_alarm
def test_a_copy_with_another_collation_passes_with_a_warning(spoken: Spoken, elsewhere: Heard) -> None:
    there = settings(spoken.source)
    assert (there["provider"], there["locale"], there["collate"], there["ctype"]) == ("icu", "en-US", "C", "C.UTF-8")
    assert spoken.source.execute(ORDER) != elsewhere.copy.execute(ORDER) == [(",".join(sorted(WORDS)),)]

    messages = {check["id"]: check["message"] for check in elsewhere.restored["checks"] if check["verdict"] == "warn"}
    assert messages.keys() == {"restore.caracal.locale", *(f"restore.{name}.version" for name in DATABASES)}
    assert messages["restore.caracal.locale"].startswith("the server does not have locale en-US of icu; ")
    assert messages["restore.caracal.locale"].endswith(" uses C.UTF-8, so text sorts differently")
    result, checks = verify(spoken, elsewhere.copy)
    assert result["verdict"] == "pass", result
    warned = {name for name, check in checks.items() if check["verdict"] == "warn" and not name.startswith("state.outboxes.")}
    assert warned == {"inventory.caracal.settings", "inventory.caracal.extensions"}
    assert "provider is libc instead of icu" in checks["inventory.caracal.settings"]["message"]
    assert checks["inventory.caracal.tables"]["verdict"] == checks["inventory.audit_blocks"]["verdict"] == "pass"
    for name in DATABASES:
        assert contents(elsewhere.copy, name) == contents(spoken.source, name)


@pytest.mark.no_false_alarm
def test_a_copy_keeps_the_collation_if_the_server_has_it(spoken: Spoken, alike: Heard) -> None:
    assert {check["verdict"] for check in alike.restored["checks"]} == {"pass"}
    result, checks = verify(spoken, alike.copy)
    assert result["verdict"] == checks["inventory.caracal.settings"]["verdict"] == "pass", result
    assert alike.copy.execute(ORDER) == spoken.source.execute(ORDER)
    assert settings(alike.copy) == settings(spoken.source)


def test_restores_access_list_and_settings_of_the_database(spoken: Spoken, elsewhere: Heard) -> None:
    there, here = settings(spoken.source), settings(elsewhere.copy)
    assert {name: here[name] for name in KEPT} == {name: there[name] for name in KEPT}
    assert sorted(here["acl"]) == sorted(there["acl"]) and len(there["acl"]) == 3
    assert there["set"] == ['search_path=public, "Odd, path"', "work_mem=5MB"] and there["connection_limit"] == 40
    assert elsewhere.copy.execute("SELECT has_database_privilege('caracalgateway', 'caracal', 'CONNECT')") == [(False,)]


DAMAGE = {
    "case of a key": "UPDATE words SET word = 'ZZ' WHERE word = 'zz'",
    "a and A change places": "UPDATE words SET note = CASE word WHEN 'a' THEN 'note 1' ELSE 'note 0' END WHERE word IN ('a', 'A')",
    "one replaced by its neighbour": "UPDATE words SET word = 'æ' WHERE word = 'ä'",
    "one gone": "DELETE FROM words WHERE word = 'é'",
    "composed otherwise": "UPDATE words SET word = normalize('é', NFD) WHERE word = 'é'",
}


@pytest.mark.mutation
@pytest.mark.parametrize("name", DAMAGE)
def test_finds_a_changed_row(spoken: Spoken, elsewhere: Heard, name: str) -> None:
    elsewhere.copy.execute(DAMAGE[name])
    result, checks = verify(spoken, elsewhere.copy)
    elsewhere.copy.reset("caracal")
    assert result["verdict"] == "fail"
    assert {one for one, check in checks.items() if check["verdict"] == "fail"} == {"inventory.caracal.tables"}
    assert "1 table(s) differ from the set; first: public.words: " in checks["inventory.caracal.tables"]["message"]


def test_recovery_commands_keep_a_known_locale(
    spoken: Spoken,
    recover: Recover,
    newer_install: server_binaries.Install,
    fresh_cluster: FreshCluster,
) -> None:
    path = {"PATH": os.pathsep.join([spoken.clients, os.environ["PATH"]])}
    copy = TwinCluster(fresh_cluster(install=newer_install), spoken.source.spec)
    done = recover(spoken.scene, spoken.scene.sets()[-1], copy.info, **path)
    assert done.returncode == 0 and done.stderr == ""
    result, checks = verify(spoken, copy)
    assert result["verdict"] == checks["inventory.caracal.settings"]["verdict"] == "pass", result


def test_recovery_commands_replace_an_unknown_locale(spoken: Spoken, recover: Recover, fresh_cluster: FreshCluster) -> None:
    path = {"PATH": os.pathsep.join([spoken.clients, os.environ["PATH"]])}
    copy = TwinCluster(fresh_cluster(), spoken.source.spec)
    done = recover(spoken.scene, spoken.scene.sets()[-1], copy.info, **path)
    assert done.returncode == 0 and done.stderr == ""
    result, checks = verify(spoken, copy)
    assert result["verdict"] == "pass" and checks["inventory.caracal.settings"]["verdict"] == "warn", result


KEYS = {
    "default": "(word text PRIMARY KEY, n int)",
    "of the column": '(word text COLLATE "en-US-x-icu" PRIMARY KEY, n int)',
    "without case": "(word text COLLATE folded PRIMARY KEY, n int)",
    "composite": "(n int, word varchar(9), PRIMARY KEY (word, n))",
    "array": "(word text[] PRIMARY KEY, n int)",
    "domain": "(word spelled PRIMARY KEY, n int)",
    "none": "(word text, n int)",
}


@pytest.mark.parametrize("kind", KEYS)
def test_digests_do_not_depend_on_the_collation(spoken: Spoken, kind: str) -> None:
    """Both are on one server, so that only the collation can differ. Without bytewise sorting the digests do differ."""
    found, careless = [], []
    words = [word for word in WORDS if kind != "without case" or word == word.lower()]
    for number, locale in enumerate((ENGLISH, "LOCALE_PROVIDER libc LOCALE 'C.UTF-8'")):
        name = f"keys_{number}"
        spoken.source.execute(f"CREATE DATABASE {name} TEMPLATE template0 {locale}", database="postgres")
        value = "array[w, w]" if kind == "array" else "w"
        spoken.source.execute(
            "CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
            "CREATE DOMAIN spelled AS text",
            f"CREATE TABLE k {KEYS[kind]}",
            f"INSERT INTO k (word, n) SELECT {value}, n FROM unnest(ARRAY{words!r}::text[]) WITH ORDINALITY u(w, n)",
            database=name,
        )
        with Session(spoken.source.server, name) as session:
            table = next(one for one in tables.read_tables(session) if one.name == "k")
            found.append(tables.digest(session, table))
            plain = tables.LineHash()
            session.copy_to("COPY (SELECT word, n FROM public.k ORDER BY word) TO STDOUT", plain)
            careless.append(plain.hexdigest())
        spoken.source.execute(f"DROP DATABASE {name}", database="postgres")
    assert found[0]["rows"] == len(words)
    assert found[0] == found[1]
    assert (careless[0] != careless[1]) == (kind not in ("of the column", "without case"))
