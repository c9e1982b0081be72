# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import signing, sshsig
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.signing import Signer
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import KeyProblem, MissingDependency

DATA = b"\0binary\n" * 1000
SET = "set@caracal-ops"


def copy(keys, name: str, target: Path) -> Path:
    target.write_bytes(Path(keys.private(name)).read_bytes())
    target.chmod(0o600)
    return target


@pytest.mark.no_false_alarm
def test_ssh_keygen_accepts_our_signatures(keys, tmp_path: Path) -> None:
    signer = Signer(keys.private("backup"), "backup@prod")
    (tmp_path / "sig").write_bytes(signer.sign(DATA, SET))
    (tmp_path / "allowed").write_text(f"backup@prod {signer.public_key_line}\n")
    argv = ["ssh-keygen", "-Y", "verify", "-f", str(tmp_path / "allowed"), "-I", "backup@prod", "-n", SET, "-s", str(tmp_path / "sig")]
    assert b"Good" in subprocess.run(argv, input=DATA, capture_output=True, check=True).stdout


def test_the_public_half_is_known_without_a_pub_file(keys, tmp_path: Path) -> None:
    signer = Signer(str(copy(keys, "backup", tmp_path / "alone")), "backup@prod")
    assert signer.public_key_line == keys.public("backup")
    assert signer.fingerprint == Signer(keys.private("locked"), "backup@prod").fingerprint
    assert sshsig.parse(signer.sign(b"", SET), "s").covers(b"")


def test_an_agent_signs_for_a_pub_file_and_for_a_key_with_a_passphrase(keys, agent: str, tmp_path: Path) -> None:
    subprocess.run(["ssh-add", "-q", keys.private("backup")], check=True, stderr=subprocess.DEVNULL)
    public = tmp_path / "only.pub"
    public.write_text(keys.public("backup") + " comment\n")
    for path in (str(public), keys.private("locked")):
        signer = Signer(path, "backup@prod")
        assert sshsig.parse(signer.sign(DATA, SET), "s").fingerprint == signer.fingerprint


@pytest.mark.mutation
def test_a_passphrase_is_never_asked_for(keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("SSH_ASKPASS", "/bin/cat")
    started = time.monotonic()
    with pytest.raises(KeyProblem, match="if it has a passphrase, add it to an agent") as caught:
        Signer(keys.private("locked"), "backup@prod").sign(DATA, SET)
    assert time.monotonic() - started < signing.TIMEOUT
    assert "\n" not in caught.value.msg and keys.private("locked") in caught.value.msg


@pytest.mark.mutation
def test_public_key_without_an_agent_cannot_sign(keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    public = tmp_path / "only.pub"
    public.write_text(keys.public("backup"))
    with pytest.raises(KeyProblem, match="cannot sign"):
        Signer(str(public), "backup@prod").sign(DATA, SET)


@pytest.mark.mutation
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_may_read_is_refused(keys, tmp_path: Path, mode: int) -> None:
    path = copy(keys, "backup", tmp_path / "open")
    path.chmod(mode)
    with pytest.raises(KeyProblem, match="chmod"):
        Signer(str(path), "backup@prod")


@pytest.mark.mutation
@pytest.mark.parametrize("name", ["rsa", "ecdsa", "rsa.pub"])
def test_other_keys_than_ed25519_are_refused(keys, name: str) -> None:
    with pytest.raises(KeyProblem, match="use ssh-ed25519"):
        Signer(keys.private(name), "backup@prod")


@pytest.mark.mutation
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"ssh-ed25519",
        b"-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nSECRET\n",
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
        b"AGE-SECRET-KEY-1SECRET",
    ],
)
def test_invalid_key_is_refused_and_not_printed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyProblem, match="is not an OpenSSH key") as caught:
        Signer(str(path), "backup@prod")
    assert "SECRET" not in caught.value.msg


@pytest.mark.mutation
def test_reports_a_missing_key(tmp_path: Path) -> None:
    with pytest.raises(KeyProblem, match="nowhere cannot be read: No such file"):
        Signer(str(tmp_path / "nowhere"), "backup@prod")


@pytest.mark.mutation
def test_reports_a_missing_tool(keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "PATH", str(tmp_path))
    with pytest.raises(MissingDependency, match="cannot run ssh-keygen"):
        Signer(keys.private("backup"), "backup@prod").sign(DATA, SET)
