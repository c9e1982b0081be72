# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One call verifies a restore. A single difference from the set keeps the services from starting."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import KeyProblem
from scenes.fixtures import Copy
from scenes.scene import Result, Scene
from twin import keys
from twin.releases.known import RELEASES

OTHER_KEK = "5e" * 16 + "a7" * 16


@pytest.fixture
def folder(restored: Copy, tmp_path: Path) -> Path:
    """Return the directory of the restored secrets."""
    made = tmp_path / "secrets"
    made.mkdir(mode=0o700)
    for name, text in keys.for_seed(restored.spec.seed).as_files(RELEASES[restored.spec.release].family).items():
        (made / name).write_text(text, encoding="ascii")
    return made


def verify(scene: Scene, restored: Copy, **given: t.Any) -> Result:
    usual = {"login_unix_socket": restored.info.socket_dir, "login_port": restored.info.port, "audit_retention_days": 3650}
    return scene.call("restore_verify", **{**usual, **given})


def verdicts(found: Result) -> dict[str, str]:
    return {check["id"]: check["verdict"] for check in found["checks"]}


@pytest.mark.no_false_alarm
def test_a_whole_restore_is_proved(scene: Scene, restored: Copy, folder: Path) -> None:
    found = verify(scene, restored, secrets_directory=str(folder))
    found_verdicts = verdicts(found)
    assert not found.get("failed") and "fail" not in found_verdicts.values() and not found["changed"]
    assert found["set_id"] == scene.sets()[-1]
    for one in ("migrations.versions", "journal.freshness", "audit.hmac", "envelopes.kek"):
        assert found_verdicts[one] == "pass", found_verdicts


@pytest.mark.mutation
def test_one_row_that_changed_keeps_services_away(scene: Scene, restored: Copy) -> None:
    try:
        restored.execute("UPDATE zones SET name = name || '?' WHERE id = (SELECT min(id) FROM zones)")
        found = verify(scene, restored)
    finally:
        restored.reset("caracal")
    failed = [check["message"] for check in found["checks"] if check["verdict"] == "fail"]
    assert failed and found["failed"] and found["verdict"] == "fail" and all(one in found["msg"] for one in failed)
    assert "pass" not in verdicts(found).values(), "the console shows the whole result"


@pytest.mark.mutation
def test_a_kek_that_opens_nothing_keeps_services_away(scene: Scene, restored: Copy, folder: Path) -> None:
    (folder / "secretStoreKek").write_text(OTHER_KEK, encoding="ascii")
    found = verify(scene, restored, secrets_directory=str(folder))
    assert found["failed"] and verdicts(found)["envelopes.kek"] == "fail"


def test_previous_kek_in_secrets_directory_is_tried(scene: Scene, restored: Copy, folder: Path) -> None:
    """The services do the same during a key rotation."""
    (folder / "secretStoreKek").rename(folder / "secretStoreKekPrevious")
    (folder / "secretStoreKek").write_text(OTHER_KEK, encoding="ascii")
    found = verify(scene, restored, secrets_directory=str(folder))
    (check,) = [one for one in found["checks"] if one["id"] == "envelopes.kek"]
    assert len(check["details"]["given"]) == 2 and check["verdict"] != "fail"


@pytest.mark.mutation
def test_a_kek_before_that_is_not_the_sets_hides_nothing(scene: Scene, restored: Copy, folder: Path) -> None:
    (folder / "secretStoreKek").rename(folder / "secretStoreKekPrevious")
    (folder / "secretStoreKek").write_text(OTHER_KEK, encoding="ascii")
    found = verify(scene, restored, secrets_directory=str(folder), restored_secrets=["secrets/secretStoreKek"])
    assert found["failed"] and verdicts(found)["envelopes.kek"] == "fail"
    for name in ("secrets/secretStoreKekPrevious", "previous/kek"):
        found = verify(scene, restored, secrets_directory=str(folder), restored_secrets=["secrets/secretStoreKek", name])
        assert verdicts(found)["envelopes.kek"] != "fail"


def test_former_audit_keys_of_the_set_are_used(scene: Scene, restored: Copy, folder: Path, tmp_path: Path) -> None:
    retired = tmp_path / "retired"
    retired.mkdir()
    (folder / "auditHmacKey").rename(retired / "001.audit_hmac_key")
    (folder / "auditHmacKey").write_text(OTHER_KEK, encoding="ascii")
    given = {"secrets_directory": str(folder), "retired_directory": str(retired)}
    assert verdicts(verify(scene, restored, **given))["audit.hmac"] == "unproven"
    found = verify(scene, restored, **given, restored_secrets=["secrets/secretStoreKek", "retired/001.audit_hmac_key"])
    assert verdicts(found)["audit.hmac"] == "pass"


def test_without_secrets_no_envelope_check_is_reported(scene: Scene, restored: Copy) -> None:
    found = verify(scene, restored)
    found_verdicts = verdicts(found)
    assert not found.get("failed") and not [one for one in found_verdicts if one.startswith("envelopes.")]
    assert found_verdicts["audit.hmac"] == "unproven" and found["verdict"] == "unproven"


@pytest.mark.mutation
def test_unproven_restore_fails_if_valid_data_is_required(scene: Scene, restored: Copy, folder: Path) -> None:
    found = verify(scene, restored, require_valid=True)
    assert found["failed"] and found["verdict"] == "unproven" and "audit.hmac" in found["msg"]
    assert "pass" not in verdicts(found).values()
    assert not verify(scene, restored, require_valid=True, secrets_directory=str(folder)).get("failed")


@pytest.mark.mutation
def test_secrets_that_are_not_there_are_an_error(scene: Scene, restored: Copy, folder: Path) -> None:
    (folder / "secretStoreKek").unlink()
    with pytest.raises(KeyProblem):
        verify(scene, restored, secrets_directory=str(folder))
