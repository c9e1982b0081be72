# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets of both families into sets and back: sharing, two passes, the rules for recipients. No value appears elsewhere."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import KeyProblem, OptionError
from harness.fixtures import NOW, make_twin
from scenes import secrets_scene
from scenes.playing import COLLECTIONS
from scenes.sampling import forms
from scenes.scene import ENTERED, new_identity
from scenes.secrets_scene import Deployment, contents
from scenes.twin_database import TwinCluster
from twin import keys
from twin.spec import Spec

NEW_TOKEN = "5f" * 16 + "a7" * 16


@pytest.fixture(scope="module")
def older(server_install: t.Any) -> t.Iterator[TwinCluster]:
    """Yield a twin of the family zone_kek."""
    with make_twin(server_install, Spec(events=100, seed="older", now=NOW, release="v2026.06.21")) as made:
        yield made


@pytest.fixture
def deployment(tmp_path: Path, caracal_database: TwinCluster) -> Deployment:
    return secrets_scene.make(tmp_path / "scene", caracal_database)


@pytest.fixture
def older_deployment(tmp_path: Path, older: TwinCluster) -> Deployment:
    return secrets_scene.make(tmp_path / "older", older)


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("which", ["deployment", "older_deployment"])
def test_restored_secrets_match_the_source(which: str, request: pytest.FixtureRequest) -> None:
    made: Deployment = request.getfixturevalue(which)
    made.put("allowlist/operatorAllowlist.json", "{}\n")
    made.put("metricsBearer", "with a newline at its end\n")
    set_id, result = made.backup()
    assert result["pairing"]["verdict"] == "pass" and result["shared"] and result["changed_names"] == []
    manifest = made.manifest(set_id)
    assert manifest["pairing"] == result["pairing"] and manifest["key_ids"] == result["key_ids"]
    assert [one["path"] for one in manifest["artifacts"] if one["kind"] == "secrets"] == [result["path"]]
    predicted = made.restore(check_mode=True)
    assert not made.target.exists()
    restored = made.restore()
    assert {**predicted, **ENTERED} == {**restored, **ENTERED} and restored["changed"]
    assert contents(made.target) == contents(made.directory)
    assert made.target.stat().st_mode & 0o777 == 0o700
    again = made.restore()
    assert not again["changed"] and again["unchanged"] == restored["written"]


def test_pairing_message_names_keys_and_columns(deployment: Deployment) -> None:
    _set_id, result = deployment.backup()
    ids = result["key_ids"]
    assert sorted(ids) == ["audit_hmac_key", "gateway_sts_hmac_key", "idempotency_hmac_key", "kek", "streams_hmac_key"]
    assert ids["kek"] == keys.for_seed("shared").kek_id.hex()
    assert result["pairing"]["message"] == (
        "every envelope of notification_sinks.secret_ct, provider_connections.access_token_ct, provider_connections.refresh_token_ct, "
        f"secret_store.envelope, secrets.envelope names KEK {ids['kek']}; audit key {ids['audit_hmac_key']} signed rows of admin and audit"
    )


def test_second_call_of_a_pass_changes_nothing(deployment: Deployment) -> None:
    set_id = deployment.dumped()
    before = contents(deployment.scene.repository)
    again = deployment.bundle(set_id, 1)
    assert not again["changed"] and again["count"] == len(again["names"]) == 13
    assert contents(deployment.scene.repository) == before


def test_check_mode_verifies_pairing_and_writes_nothing(deployment: Deployment) -> None:
    set_id = deployment.dumped()
    before = contents(deployment.scene.root)
    predicted = deployment.scene.call("secrets_bundle", check_mode=True, set_id=set_id, reading=2, **deployment.sources())
    assert contents(deployment.scene.root) == before
    assert {**deployment.bundle(set_id, 2), "seconds": 0} == {**predicted, "seconds": 0}
    deployment.put("auditHmacKey", "0f" + "c3" * 31)
    with pytest.raises(KeyProblem, match="none of the audit keys"):
        deployment.scene.call("secrets_bundle", check_mode=True, set_id=deployment.dumped(), reading=2, **deployment.sources())


def test_check_mode_works_on_an_empty_set(deployment: Deployment) -> None:
    deployment.scene.call("backup_set", state="open", create_repository=True)
    for reading in (1, 2):
        result = deployment.scene.call(
            "secrets_bundle", check_mode=True, set_id=deployment.scene.new_id(), reading=reading, **deployment.sources()
        )
        assert result["changed"] and result["pairing"] is None


# ---- one object for each state


def test_next_set_shares_an_unchanged_secrets_object(deployment: Deployment) -> None:
    first, made = deployment.backup()
    second, result = deployment.backup()
    assert result["path"] == made["path"] and f".{first}." in made["path"]
    artifact = next(one for one in deployment.manifest(second)["artifacts"] if one["kind"] == "secrets")
    assert artifact["shared_from"] == first and len(deployment.scene.files("objects/secrets/*")) == 1
    deployment.restore(set_id=second)
    assert contents(deployment.target) == contents(deployment.directory)


@pytest.mark.parametrize("change", ["content", "mode", "name", "recipient", "damage"])
def test_changed_state_creates_a_new_object(deployment: Deployment, change: str) -> None:
    _first, made = deployment.backup()
    if change == "content":
        deployment.put("caracalAdminToken", NEW_TOKEN)
    elif change == "mode":
        (deployment.directory / "caracalAdminToken").chmod(0o400)
    elif change == "name":
        deployment.put("metricsBearer", NEW_TOKEN)
    elif change == "recipient":
        with open(deployment.recipients, "a", encoding="ascii") as out:
            out.write(new_identity(deployment.identity.with_name("another")) + "\n")
    else:
        path = deployment.scene.repository / made["path"]
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-1])
    set_id = deployment.opened()
    result = deployment.bundle(set_id, 1)
    assert not result["shared"] and result["path"] != made["path"]
    assert (result["key_set"] == made["key_set"]) == (change in ("recipient", "damage"))


def test_file_times_alone_are_not_a_change(deployment: Deployment) -> None:
    _first, made = deployment.backup()
    for path in deployment.directory.iterdir():
        os.utime(path, (1, 1))
    assert deployment.bundle(deployment.opened(), 1)["path"] == made["path"]


def test_set_contains_both_states_of_secrets_changed_meanwhile(deployment: Deployment) -> None:
    set_id = deployment.dumped()
    before = contents(deployment.directory)
    deployment.put("caracalAdminToken", NEW_TOKEN)
    (deployment.directory / "stsDbPassword").unlink()
    warned: list[str] = []
    result = deployment.scene.call("secrets_bundle", warn=warned.append, set_id=set_id, reading=2, **deployment.sources())
    assert result["changed_names"] == ["secrets/caracalAdminToken", "secrets/stsDbPassword"]
    assert any("secrets changed while the backup ran" in one for one in warned)
    deployment.commit(set_id)
    objects = [one["path"] for one in deployment.manifest(set_id)["artifacts"] if one["kind"] == "secrets"]
    assert len(objects) == 2 and objects[1] == result["path"]
    deployment.restore()
    assert contents(deployment.target) == contents(deployment.directory)
    other = deployment.scene.root / "first"
    deployment.restore(directory=str(other), key_set=Path(objects[0]).name.partition(".")[0])
    assert contents(other) == before


def test_kek_changed_meanwhile_is_listed_with_both_ids(deployment: Deployment) -> None:
    set_id = deployment.dumped()
    old = deployment.first_ids(set_id)
    deployment.put("secretStoreKek", "0f" + "c3" * 31)
    result = deployment.bundle(set_id, 2)
    assert result["pairing"]["verdict"] == "pass" and result["changed_names"] == ["secrets/secretStoreKek"]
    deployment.commit(set_id)
    ids = deployment.manifest(set_id)["key_ids"]
    assert ids["kek.1"] == old["kek"] != ids["kek"] and old["kek"] in result["pairing"]["message"]
    for artifact in deployment.manifest(set_id)["artifacts"]:
        if artifact["kind"] == "secrets":
            name = Path(artifact["path"]).name.partition(".")[0]
            restored = deployment.restore(directory=str(deployment.scene.root / name), key_set=name)
            assert restored["key_ids"]["kek"] in (ids["kek"], ids["kek.1"])


# ---- order


def test_passes_must_run_before_and_after_the_dump(deployment: Deployment) -> None:
    set_id = deployment.opened()
    refused(deployment, OptionError, "reading 1 of the secrets is missing", set_id=set_id, reading=2)
    deployment.bundle(set_id, 1)
    refused(deployment, OptionError, "does not contain its database", set_id=set_id, reading=2, check_mode=False)
    deployment.scene.call("pg_encrypted_dump", set_id=set_id)
    deployment.scene.refused("backup_set", OptionError, "no second reading", state="committed", set_id=set_id)
    late = deployment.opened()
    deployment.scene.call("pg_encrypted_dump", set_id=late)
    refused(deployment, OptionError, "already contains its database", set_id=late, reading=1)


def test_secrets_of_the_other_family_are_refused(deployment: Deployment) -> None:
    set_id = deployment.dumped()
    (deployment.directory / "secretStoreKek").unlink()
    deployment.put("zoneKek", "0f" + "c3" * 31)
    refused(deployment, OptionError, "uses secretStoreKek", "zoneKek", set_id=set_id, reading=2)


def refused(made: Deployment, kind: type[t.Any], *words: str, check_mode: bool | None = None, **given: t.Any) -> str:
    if given["reading"] == 2 and check_mode is None and not made.scene.files(f"sets/{given['set_id']}/parts/*"):
        check_mode = False  # check mode predicts a set without any part
    return made.scene.refused("secrets_bundle", kind, *words, check_mode=check_mode, **made.sources(**given))


# ---- recipients


@pytest.mark.mutation
def test_recipient_of_database_and_secrets_is_refused_unless_allowed(deployment: Deployment) -> None:
    set_id = deployment.opened()
    shared = {"recipients_files": [str(deployment.scene.recipients), str(deployment.recipients)]}
    refused(deployment, KeyProblem, "decrypts the database and its secrets", set_id=set_id, reading=1, **shared)
    # Pass 2 uses the recipients of the dump, not the option.
    deployment.bundle(set_id, 1, database_recipients_files=[], **shared)
    deployment.scene.call("pg_encrypted_dump", set_id=set_id)
    refused(deployment, KeyProblem, "decrypts the database", set_id=set_id, reading=2, database_recipients_files=[], **shared)
    result = deployment.bundle(set_id, 2, allow_same_recipients=True, **shared)
    assert result["pairing"]["verdict"] == "pass"


# ---- values


def test_no_secret_value_appears_in_output_repository_or_processes(deployment: Deployment) -> None:
    """No value is in Ansible's most verbose output, in the repository, in an argument list or in an environment."""
    deployment.put("console/smtpUrl", "smtp://operator:hunter2-hunter2@mail")
    deployment.file("caracal.env", "STS_ADMIN_TOKEN=token-of-the-sts-3141\n").chmod(0o600)
    retired = deployment.file("retired.key", "1d" + "e7" * 31)
    others = {"environment_file": str(deployment.scene.root / "caracal.env"), "retired_audit_keys": [str(retired)]}
    values = [path.read_text() for path in deployment.directory.rglob("*") if path.is_file()]
    values += ["hunter2-hunter2", "token-of-the-sts-3141", retired.read_text()]
    needles = [form for value in values for form in forms(value)]
    with Watch() as watch:
        set_id = deployment.opened()
        output = play(deployment, "secrets_bundle", set_id=set_id, reading=1, **deployment.sources(**others))
        deployment.scene.call("pg_encrypted_dump", set_id=set_id)
        output += json.dumps(contents_of_parts(deployment, set_id))
        output += play(deployment, "secrets_bundle", set_id=set_id, reading=2, **deployment.sources(**others))
        output += json.dumps(contents_of_parts(deployment, set_id))
        deployment.commit(set_id)
        target = {"directory": str(deployment.target), "identity_files": [str(deployment.identity)]}
        output += play(deployment, "secrets_restore", **target)
    assert contents(deployment.target) == contents(deployment.directory)
    assert '"changed": true' in output and "caracalAdminToken" in output and "module_args" in output
    assert watch.seen and any(b"secrets_bundle" in one for one in watch.seen)
    places = {"output": output.encode(), **{str(index): one for index, one in enumerate(watch.seen)}}
    places.update({name: content for name, (_mode, content) in contents(deployment.scene.repository).items()})
    assert len(places) > 20
    assert [(name, needle) for needle in needles for name, content in places.items() if needle in content] == []


@pytest.mark.mutation
def test_search_finds_each_form_of_a_value(deployment: Deployment) -> None:
    value = (deployment.directory / "secretStoreKek").read_text()
    raw = bytes.fromhex(value)
    shown = (value.encode(), value.upper().encode(), raw, base64.b64encode(raw), base64.b64encode(value.encode()))
    assert all(any(needle in one for needle in forms(value)) for one in shown)


def contents_of_parts(made: Deployment, set_id: str) -> dict[str, str]:
    return {name: (made.scene.repository / name).read_text() for name in made.scene.files(f"sets/{set_id}/parts/*")}


def play(made: Deployment, name: str, **given: t.Any) -> str:
    """Run the module like a user, with Ansible's most verbose output."""
    command = [sys.executable, "-m", "ansible.cli.adhoc", "localhost", "-i", "localhost,", "-c", "local", "-vvvvv", "--diff"]
    command += ["-e", f"ansible_python_interpreter={sys.executable}", "-m", f"caracal_ops.backup.{name}"]
    command += ["-a", json.dumps(made.scene.given(name, **given))]
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
        **{"ANSIBLE_HOME": str(made.scene.root / "ansible"), "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "ANSIBLE_NOCOLOR": "true"},
        **{"PYTHONPATH": os.pathsep.join(sys.path), "ANSIBLE_REMOTE_TEMP": str(made.scene.root / "ansible" / "tmp")},
    }
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


class Watch:
    """Records the argument lists and environments of all processes that run in the meantime."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._stop.is_set():
            for name in os.listdir("/proc"):
                if name.isdigit():
                    for what in ("cmdline", "environ"):
                        try:
                            self.seen.add(Path(f"/proc/{name}/{what}").read_bytes())
                        except OSError:
                            continue
            time.sleep(0.002)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        self._thread.join()
