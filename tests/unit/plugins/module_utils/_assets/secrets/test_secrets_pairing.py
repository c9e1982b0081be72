# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sets with secrets that do or do not decrypt their database, in real databases of both families."""

from __future__ import annotations

import hashlib
import typing as t
import uuid
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError, KeyProblem, OptionError
from harness.fixtures import NOW, make_twin
from scenes import secrets_scene
from scenes.scene import Result, part_content
from scenes.twin_database import TwinCluster
from twin import keys
from twin.spec import Spec

FREELY = "SET session_replication_role = replica"
OTHER = hashlib.sha256(b"another key").hexdigest()
OTHER_ID = hashlib.sha256(bytes.fromhex(OTHER)).hexdigest()[:16]
SEALED = {
    "secret_store": (
        "DELETE FROM secrets",
        "DELETE FROM secret_store",
        "UPDATE provider_connections SET access_token_ct = NULL, refresh_token_ct = NULL",
        "DELETE FROM notification_sinks",
        "DELETE FROM operator_plan_secrets",
    ),
    "zone_kek": (
        "DELETE FROM secrets",
        "UPDATE providers SET secret_config_ct = NULL, secret_config_nonce = NULL",
        "DELETE FROM provider_grants",
    ),
}


@pytest.fixture(scope="module")
def older(server_install: t.Any) -> t.Iterator[TwinCluster]:
    """Yield a twin of the family zone_kek."""
    with make_twin(server_install, Spec(events=100, seed="older", now=NOW, release="v2026.06.21")) as made:
        yield made


class Case:
    """A deployment, and a copy of its database that a test may damage."""

    def __init__(self, root: Path, cluster: TwinCluster) -> None:
        self.made = secrets_scene.make(root, cluster)
        self.database = f"copy_{uuid.uuid4().hex[:12]}"
        self.family = "zone_kek" if (self.made.directory / "zoneKek").exists() else "secret_store"
        self.kek = "zoneKek" if self.family == "zone_kek" else "secretStoreKek"
        cluster.execute(f"CREATE DATABASE {self.database} TEMPLATE caracal OWNER caracal STRATEGY file_copy", database="postgres")

    def close(self) -> None:
        self.made.cluster.execute(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)", database="postgres")

    def read(self, *statements: str, **given: t.Any) -> tuple[str, Result]:
        """Run both passes around the dump of the damaged copy."""
        if statements:
            self.made.cluster.execute(FREELY, *statements, database=self.database)
        set_id = self.made.opened()
        self.made.bundle(set_id, 1, **given)
        self.made.scene.call("pg_encrypted_dump", set_id=set_id, databases=[self.database])
        return set_id, self.made.bundle(set_id, 2, **given)

    def refused(self, *words: str, statements: tuple[str, ...] = (), **given: t.Any) -> None:
        """Assert that no second part is written, so that the set cannot be committed."""
        with pytest.raises(BackupError) as raised:
            self.read(*statements, **given)
        message = raised.value.msg
        assert raised.type is KeyProblem and "\n" not in message and not [word for word in words if word not in message], message
        values = [path.read_text() for path in self.made.directory.iterdir()]
        assert not [value for value in values if value in message]
        (part,) = self.made.scene.files("sets/*/parts/secrets.*")
        set_id = part.split("/")[1]
        assert part.endswith("secrets.1.json")
        self.made.scene.refused("backup_set", OptionError, "no second reading", state="committed", set_id=set_id)


@pytest.fixture
def case(tmp_path: Path, caracal_database: TwinCluster) -> t.Iterator[Case]:
    made = Case(tmp_path / "scene", caracal_database)
    yield made
    made.close()


@pytest.fixture
def older_case(tmp_path: Path, older: TwinCluster) -> t.Iterator[Case]:
    made = Case(tmp_path / "older", older)
    yield made
    made.close()


@pytest.fixture(params=["case", "older_case"])
def either(request: pytest.FixtureRequest) -> Case:
    return t.cast(Case, request.getfixturevalue(request.param))


# ---- both families


@pytest.mark.no_false_alarm
def test_the_right_keys_pass(either: Case) -> None:
    _set_id, result = either.read()
    assert result["pairing"]["verdict"] == "pass"


@pytest.mark.mutation
def test_another_kek_is_refused(either: Case) -> None:
    either.made.put(either.kek, OTHER)
    column = "secrets.envelope" if either.family == "secret_store" else "secrets.ciphertext"
    either.refused(column, "KEK")


@pytest.mark.mutation
def test_another_audit_key_is_refused(either: Case) -> None:
    either.made.put("auditHmacKey", OTHER)
    either.refused("the chain audit has rows that none of the audit keys signed", OTHER_ID)


@pytest.mark.no_false_alarm
def test_a_retired_audit_key_passes(either: Case) -> None:
    old = either.made.file("old", (either.made.directory / "auditHmacKey").read_text())
    either.made.put("auditHmacKey", OTHER)
    _set_id, result = either.read(retired_audit_keys=[str(old)])
    assert result["pairing"]["verdict"] == "pass"
    assert result["key_ids"]["audit_hmac_key"] == OTHER_ID and "audit_hmac_key_retired.1" in result["key_ids"]


@pytest.mark.mutation
def test_pairing_is_unproven_without_a_sealed_value(either: Case) -> None:
    either.made.put(either.kek, OTHER)
    set_id, result = either.read(*SEALED[either.family])
    assert result["pairing"]["verdict"] == "unproven" and "no column contains a sealed value" in result["pairing"]["message"]
    either.made.commit(set_id)
    assert either.made.manifest(set_id)["pairing"]["verdict"] == "unproven"


@pytest.mark.mutation
def test_pairing_is_unproven_without_a_signed_row(either: Case) -> None:
    either.made.put("auditHmacKey", OTHER)
    _set_id, result = either.read("UPDATE audit_events SET chain_hmac = ''", "UPDATE admin_audit_events SET chain_hmac = NULL")
    assert result["pairing"]["verdict"] == "unproven" and "no audit row is signed" in result["pairing"]["message"]


# ---- keys that contain their ID


@pytest.mark.mutation
def test_kek_rotation_in_progress_needs_both_keks(case: Case) -> None:
    case.made.put("secretStoreKek", OTHER)
    case.refused(OTHER_ID, "previous_kek")


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("how", ["secret", "option"])
def test_kek_rotation_in_progress_passes_with_both_keks(case: Case, how: str) -> None:
    old = (case.made.directory / "secretStoreKek").read_text()
    case.made.put("secretStoreKek", OTHER)
    given = {}
    if how == "secret":
        case.made.put("secretStoreKekPrevious", old)
    else:
        given = {"previous_kek": str(case.made.file("old", old))}
    set_id, result = case.read(**given)
    assert result["pairing"]["verdict"] == "pass" and result["key_ids"]["kek_previous"] == keys.for_seed("shared").kek_id.hex()
    case.made.commit(set_id)
    case.made.restore()
    assert (case.made.target / "secretStoreKekPrevious").read_text() == old


@pytest.mark.mutation
def test_one_column_under_another_kek_is_refused_by_name(case: Case) -> None:
    mixed = f"UPDATE notification_sinks SET secret_ct = overlay(secret_ct placing '\\x{OTHER_ID}'::bytea from 5 for 8)"
    case.refused("notification_sinks.secret_ct", OTHER_ID, statements=(mixed,))


@pytest.mark.mutation
def test_pairing_is_unproven_with_an_invalid_envelope(case: Case) -> None:
    _set_id, result = case.read("UPDATE notification_sinks SET secret_ct = '\\x00'::bytea")
    assert result["pairing"]["verdict"] == "unproven" and "notification_sinks.secret_ct" in result["pairing"]["message"]


@pytest.mark.no_false_alarm
def test_expired_plan_secret_may_name_another_kek(case: Case) -> None:
    spared = (
        "UPDATE operator_plan_secrets SET expires_at = now() - interval '1 day', envelope = overlay(envelope placing '\\x{}' from 5 for 8)"
    )
    _set_id, result = case.read(spared.format(OTHER_ID))
    assert case.made.cluster.execute("SELECT count(*) > 0 FROM operator_plan_secrets", database=case.database) == [(True,)]
    assert result["pairing"]["verdict"] == "pass"


@pytest.mark.mutation
@pytest.mark.parametrize("how", ["environment", "option"])
def test_pairing_is_unproven_with_an_external_secret_backend(case: Case, how: str) -> None:
    environment = case.made.file("caracal.env", 'CARACAL_MODE=stable\nexport CARACAL_SECRET_BACKEND="vault"\n')
    given = {"environment_file": str(environment)} if how == "environment" else {"secret_backend": "vault"}
    set_id, result = case.read(**given)
    assert result["pairing"]["verdict"] == "unproven" and "vault" in result["pairing"]["message"]
    case.made.commit(set_id)
    assert "vault" in case.made.manifest(set_id)["left_out"]["external secret values"]


# ---- keys without an ID


@pytest.mark.mutation
def test_refuses_a_column_that_cannot_be_decrypted(older_case: Case) -> None:
    flipped = "UPDATE providers SET secret_config_ct = set_byte(secret_config_ct, 0, get_byte(secret_config_ct, 0) # 1)"
    older_case.refused("providers.secret_config_ct", "zoneKek", statements=(f"{flipped} WHERE secret_config_ct IS NOT NULL",))


@pytest.mark.mutation
def test_pairing_is_unproven_if_one_value_cannot_be_decrypted(older_case: Case) -> None:
    first = "WHERE ctid = (SELECT min(ctid) FROM secrets)"
    _set_id, result = older_case.read(f"UPDATE secrets SET ciphertext = set_byte(ciphertext, 0, get_byte(ciphertext, 0) # 1) {first}")
    assert result["pairing"]["verdict"] == "unproven" and "secrets.ciphertext" in result["pairing"]["message"]


def test_older_family_refuses_a_previous_kek(older_case: Case) -> None:
    given = {"previous_kek": str(older_case.made.file("old", OTHER))}
    older_case.made.scene.call("backup_set", state="open", create_repository=True)
    older_case.made.scene.refused(
        "secrets_bundle", OptionError, "previous_kek", set_id=older_case.made.scene.new_id(), reading=1, **older_case.made.sources(**given)
    )


# ---- results of the census


def test_census_has_no_counts_and_is_removed_at_commit(either: Case) -> None:
    set_id, _result = either.read()
    part = part_content(either.made.scene.repository / f"sets/{set_id}/parts/postgres.json")
    (census,) = part["sealed"].values()
    assert set(census) == {"columns", "rows"}
    if either.family == "secret_store":
        assert set(map(tuple, census["columns"].values())) <= {(), (keys.for_seed("shared").kek_id.hex(),)}
    else:
        assert set(map(tuple, census["columns"].values())) <= {(), ("",)}
    for chain, content, previous, mac in census["rows"]:
        assert chain in ("audit", "admin") and len(content) == len(mac) == 64 and len(previous) in (0, 64)
    either.made.commit(set_id)
    assert either.made.scene.files("sets/*/parts/*") == []


def test_refuses_a_set_without_the_database_of_caracal(tmp_path: Path, caracal_database: TwinCluster) -> None:
    made = secrets_scene.make(tmp_path / "scene", caracal_database)
    set_id = made.opened()
    made.bundle(set_id, 1)
    made.scene.call("pg_encrypted_dump", set_id=set_id, databases=["caracal_auth"])
    made.scene.refused(
        "secrets_bundle", OptionError, "does not contain the database of Caracal", set_id=set_id, reading=2, **made.sources()
    )
