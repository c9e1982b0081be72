# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import time
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.allowed_signers import Verifier
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError, KeyProblem, TamperedData

DATA = b'{"a": 1}\n'
SET = "set@caracal-ops"
NOW = datetime.datetime(2026, 11, 25, tzinfo=datetime.timezone.utc)


@pytest.fixture
def allowed(keys, tmp_path: Path) -> Path:
    path = tmp_path / "allowed_signers"
    path.write_text(
        f'backup@prod {keys.public("backup")}\ndrill@prod namespaces="drill@*",valid-before="20260101Z" {keys.public("drill")}\n'
    )
    return path


@pytest.fixture
def verifier(allowed: Path) -> Verifier:
    return Verifier.load(str(allowed), clock=lambda: NOW)


@pytest.mark.no_false_alarm
def test_accepts_a_known_signer(keys, verifier: Verifier) -> None:
    info = verifier.verify(DATA, keys.sign("backup", DATA, SET), SET, "backup@prod")
    assert info.principal == "backup@prod" and info.fingerprint.startswith("SHA256:")
    assert verifier.verify(DATA, keys.sign("backup", DATA, SET), SET) == info


def refused(verifier: Verifier, kind: type[BackupError], words: str, signature: bytes, **asked: object) -> None:
    with pytest.raises(kind, match=words) as caught:
        verifier.verify(**{"data": DATA, "signature": signature, "namespace": SET, "name": "x.json", **asked})  # type: ignore[arg-type]
    assert "x.json" in caught.value.msg and "\n" not in caught.value.msg


@pytest.mark.mutation
def test_altered_bytes_are_found(keys, verifier: Verifier) -> None:
    refused(verifier, TamperedData, "does not match its signature by SHA256:", keys.sign("backup", DATA + b" ", SET))


@pytest.mark.mutation
def test_a_signature_for_another_namespace_is_refused(keys, verifier: Verifier) -> None:
    refused(verifier, TamperedData, "for 'drill@caracal-ops', not for set@", keys.sign("backup", DATA, "drill@caracal-ops"))


@pytest.mark.mutation
def test_refuses_an_unknown_signer(keys, verifier: Verifier) -> None:
    refused(verifier, KeyProblem, "which is not in .*allowed_signers", keys.sign("stranger", DATA, SET))


@pytest.mark.mutation
def test_a_key_of_another_principal_is_refused(keys, verifier: Verifier) -> None:
    refused(verifier, KeyProblem, "which is not a key of operator@prod", keys.sign("backup", DATA, SET), principal="operator@prod")


@pytest.mark.mutation
def test_a_key_outside_its_namespaces_is_refused(keys, verifier: Verifier) -> None:
    refused(verifier, KeyProblem, "may not sign for set@caracal-ops", keys.sign("drill", DATA, SET))


@pytest.mark.mutation
def test_key_expiry_is_evaluated_at_the_given_time(keys, verifier: Verifier) -> None:
    signature = keys.sign("drill", DATA, "drill@caracal-ops")
    refused(verifier, KeyProblem, "not valid at 2026-11-25", signature, namespace="drill@caracal-ops")
    at = datetime.datetime(2025, 12, 1, tzinfo=datetime.timezone.utc)
    assert verifier.verify(DATA, signature, "drill@caracal-ops", "drill@prod", at).principal == "drill@prod"


@pytest.mark.mutation
def test_a_revoked_key_is_refused(keys, allowed: Path, tmp_path: Path) -> None:
    revoked = tmp_path / "revoked"
    revoked.write_text(keys.public("backup") + " leaked in June\n")
    refused(Verifier.load(str(allowed), str(revoked)), KeyProblem, "is revoked", keys.sign("backup", DATA, SET))


@pytest.mark.mutation
def test_a_missing_list_of_revoked_keys_is_an_error(allowed: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyProblem, match=r"revoked_keys .*nowhere cannot be read"):
        Verifier.load(str(allowed), str(tmp_path / "nowhere"))


@pytest.mark.mutation
@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.replace("backup@prod", "backup@test"),
        lambda line: line.replace(" ssh-", ' valid-before="20991231Z" ssh-', 1),
        lambda line: line.replace(" ssh-", ' valid-after="20200101Z" ssh-', 1),
        lambda line: line.replace(" ssh-", ' namespaces="x" ssh-', 1),
        lambda line: line + line.replace("backup@prod", "drill@prod"),
    ],
)
def test_digest_depends_on_the_meaning_of_the_lists(keys, tmp_path: Path, change) -> None:
    path, revoked, line = tmp_path / "signers", tmp_path / "revoked", f"backup@prod {keys.public('backup')}\n"
    path.write_text(line)
    revoked.write_text("")
    digest = Verifier.load(str(path), str(revoked)).digest
    path.write_text(f"# a word\n\n{line}")
    assert Verifier.load(str(path), str(revoked)).digest == Verifier.load(str(path)).digest == digest
    revoked.write_text(keys.public("drill") + "\n")
    assert Verifier.load(str(path), str(revoked)).digest != digest
    path.write_text(change(line))
    assert Verifier.load(str(path)).digest != digest


@pytest.mark.mutation
def test_digest_depends_on_the_resolved_points_in_time(keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "signers"
    path.write_text(f'backup@prod valid-before="20261231" {keys.public("backup")}\n')
    found = set()
    for zone in ("UTC", "Pacific/Auckland"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        found.add(Verifier.load(str(path)).digest)
    monkeypatch.undo()
    time.tzset()
    assert len(found) == 2
