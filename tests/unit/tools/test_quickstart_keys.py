# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The quickstart's keys: their owner and permissions, and that the collection trusts them."""

from __future__ import annotations

from pathlib import Path

import pyrage
import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.allowed_signers import Verifier
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.signing import Signer
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError
from tools import quickstart_keys as keys

DEPLOYMENT = "quickstart"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_only_the_owner_can_read_the_keys(tmp_path: Path) -> None:
    keys.make(tmp_path, DEPLOYMENT)
    made = [path for path in tmp_path.rglob("*") if path.name != "signing_key.pub"]
    assert {path.stat().st_mode & 0o777 for path in made if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in made if path.is_file()} == {0o600}


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    keys.make(tmp_path, DEPLOYMENT)
    before = contents(tmp_path)
    keys.make(tmp_path, DEPLOYMENT)
    assert contents(tmp_path) == before


def test_backup_host_has_no_identity(tmp_path: Path) -> None:
    keys.make(tmp_path, DEPLOYMENT)
    held = {name for name, data in contents(tmp_path / keys.BACKUP).items() if b"AGE-SECRET-KEY" in data}
    elsewhere = {name for name, data in contents(tmp_path).items() if b"AGE-SECRET-KEY" in data}
    assert not held
    of_secrets = {"drill-host/secrets.identity", "operator/break-glass-secrets.identity"}
    assert elsewhere == {"drill-host/drill.identity", "operator/break-glass.identity", *of_secrets}


@pytest.mark.parametrize("identity", ["drill-host/drill.identity", "operator/break-glass.identity"])
def test_both_identities_decrypt_files_for_the_recipients(tmp_path: Path, identity: str) -> None:
    keys.make(tmp_path, DEPLOYMENT)
    lines = (tmp_path / keys.BACKUP / "database.recipients").read_text(encoding="utf-8").splitlines()
    to = [pyrage.x25519.Recipient.from_str(line) for line in lines if not line.startswith("#")]
    secret = next(line for line in (tmp_path / identity).read_text(encoding="utf-8").splitlines() if line.startswith("AGE"))
    assert pyrage.decrypt(pyrage.encrypt(b"row", to), [pyrage.x25519.Identity.from_str(secret)]) == b"row"


@pytest.mark.parametrize(
    ("host", "role", "namespace"),
    [
        (keys.BACKUP, "backup", "set@caracal-ops"),
        (keys.DRILL, "drill", "drill@caracal-ops"),
        (keys.OPERATOR, "operator", "journal@caracal-ops"),
    ],
)
def test_each_key_is_trusted_for_its_own_signatures(tmp_path: Path, host: str, role: str, namespace: str) -> None:
    keys.make(tmp_path, DEPLOYMENT)
    signature = Signer(str(tmp_path / host / "signing_key"), f"{role}@{DEPLOYMENT}").sign(b"data", namespace)
    found = Verifier.load(str(tmp_path / keys.OPERATOR / "allowed_signers"), None).verify(b"data", signature, namespace)
    assert found.principal == f"{role}@{DEPLOYMENT}"


@pytest.mark.parametrize(
    ("host", "role", "namespace"), [(keys.BACKUP, "backup", "drill@caracal-ops"), (keys.OPERATOR, "operator", "set@caracal-ops")]
)
def test_no_key_is_trusted_for_other_signatures(tmp_path: Path, host: str, role: str, namespace: str) -> None:
    keys.make(tmp_path, DEPLOYMENT)
    signature = Signer(str(tmp_path / host / "signing_key"), f"{role}@{DEPLOYMENT}").sign(b"data", namespace)
    with pytest.raises(BackupError):
        Verifier.load(str(tmp_path / host / "allowed_signers"), None).verify(b"data", signature, namespace)


def test_the_output_names_public_keys_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert keys.main(["--directory", str(tmp_path)]) is None
    output = capsys.readouterr().out
    assert len(output.splitlines()) == 3
    assert "AGE-SECRET-KEY" not in output
    assert "PRIVATE" not in output


def test_a_missing_ssh_keygen_gives_a_one_line_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert keys.main(["--directory", str(tmp_path / "new")]) == (
        "quickstart_keys: ssh-keygen is missing; install it, ssh-keygen comes with OpenSSH's client"
    )
