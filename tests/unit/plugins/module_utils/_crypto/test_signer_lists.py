# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""We interpret the operator's file like ssh-keygen."""

from __future__ import annotations

import datetime
import subprocess
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import signer_lists
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.allowed_signers import Verifier
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import KeyProblem

DATA = b"data\n"
NAMESPACE = "set@caracal-ops"
AT = "20260615120000"


def ssh_believes(tmp_path: Path, allowed: Path, signature: bytes, principal: str) -> bool:
    sig = tmp_path / "sig"
    sig.write_bytes(signature)
    argv = ["ssh-keygen", "-Y", "verify", "-f", str(allowed), "-I", principal, "-n", NAMESPACE, "-s", str(sig), "-O", f"verify-time={AT}Z"]
    return subprocess.run(argv, input=DATA, capture_output=True, check=False).returncode == 0


def we_believe(allowed: Path, signature: bytes, principal: str) -> bool:
    at = datetime.datetime.strptime(AT, "%Y%m%d%H%M%S").replace(tzinfo=datetime.timezone.utc)
    try:
        Verifier.load(str(allowed)).verify(DATA, signature, NAMESPACE, principal, at)
    except KeyProblem:
        return False
    return True


@pytest.mark.parametrize(
    ("line", "trusted"),
    [
        ("backup@prod {key}", True),
        ("backup@prod {key} a comment with words", True),
        ("# backup@prod {key}", False),
        ("\n\n  \nbackup@prod {key}\n\n", True),
        ("backup@test {key}", False),
        ("other@prod,backup@prod {key}", True),
        ('"backup@prod,other" {key}', True),
        ("*@prod {key}", True),
        ("backup@pro? {key}", True),
        ("backup@pro?? {key}", False),
        ("backup@[p]rod {key}", False),
        ("*@prod,!backup@prod {key}", False),
        ("BACKUP@prod {key}", False),
        ('backup@prod namespaces="set@caracal-ops" {key}', True),
        ('backup@prod namespaces="git,set@*" {key}', True),
        ('backup@prod namespaces="git" {key}', False),
        ('backup@prod namespaces="git" {key}\nbackup@prod {key}', True),
        ('backup@prod valid-after="20260101Z" {key}', True),
        ('backup@prod valid-after="20260701Z" {key}', False),
        ('backup@prod valid-before="20260701Z" {key}', True),
        ('backup@prod valid-before="202606151159Z" {key}', False),
        ('backup@prod valid-after="20260615120000Z" {key}', True),
        ('backup@prod valid-after="20260615120001Z" {key}', False),
        ('backup@prod valid-before="20260615120000Z" {key}', True),
        ('backup@prod namespaces="set@caracal-ops",valid-after="20260101",valid-before="20261231235959" {key}', True),
        ('backup@prod NAMESPACES="set@caracal-ops" {key}', True),
    ],
)
def test_interprets_lines_like_ssh_keygen(keys, tmp_path: Path, line: str, trusted: bool) -> None:
    allowed = tmp_path / "allowed_signers"
    allowed.write_text(line.format(key=keys.public("backup")) + f"\nstranger@prod {keys.public('stranger')}\n")
    signature = keys.sign("backup", DATA, NAMESPACE)
    assert ssh_believes(tmp_path, allowed, signature, "backup@prod") is trusted
    assert we_believe(allowed, signature, "backup@prod") is trusted


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("backup@prod cert-authority {key}", "option cert-authority is not supported"),
        ('backup@prod namespaces="set",cert-authority {key}', "option cert-authority is not supported"),
        ('backup@prod verify-required="yes" {key}', "option verify-required is not supported"),
        ('backup@prod namespaces="a",namespaces="b" {key}', "namespaces is given twice"),
        ("backup@prod namespaces {key}", "option namespaces is not supported"),
        ('backup@prod namespaces="a {key}', "expected a public key after the options"),
        ('backup@prod valid-after="tomorrow" {key}', "'tomorrow' is not a time"),
        ('backup@prod valid-after="20261301Z" {key}', "does not match|unconverted"),
        ('backup@prod valid-after="20270101Z",valid-before="20260101Z" {key}', "not before"),
        ("backup@prod", "expected principals and a public key"),
        ("backup@prod ssh-ed25519", "incomplete"),
        ("backup@prod ssh-ed25519 AAAA", "damaged"),
        ("backup@prod ssh-ed25519 !!!", "damaged"),
        ("backup@prod {rsa}", "of type 'ssh-rsa'; use ssh-ed25519"),
        ("backup@prod ssh-ed25519 {rsa_blob}", "does not match its first word"),
    ],
)
def test_error_names_an_unsupported_line(keys, tmp_path: Path, line: str, words: str) -> None:
    allowed = tmp_path / "allowed_signers"
    rsa = keys.public("rsa")
    text = line.format(key=keys.public("backup"), rsa=rsa, rsa_blob=rsa.split()[1])
    allowed.write_text(f"drill@prod {keys.public('drill')}\n\n{text}\n")
    with pytest.raises(KeyProblem, match=words) as caught:
        signer_lists.read_allowed(str(allowed))
    assert f"{allowed} line 3" in caught.value.msg and "\n" not in caught.value.msg


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        (b"", "lists no signer"),
        (b"# empty\n", "lists no signer"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"a" * (2 << 20), "larger than"),
    ],
)
def test_refuses_a_file_that_is_not_a_list_of_signers(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "allowed_signers"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(KeyProblem, match=words) as caught:
        signer_lists.read_allowed(str(path))
    assert str(path) in caught.value.msg


def test_revoked_keys_of_any_type_are_read(keys, tmp_path: Path) -> None:
    path = tmp_path / "revoked"
    path.write_text(f"# leaked\n{keys.public('rsa')} comment\n\n{keys.public('backup')}\n")
    assert len(signer_lists.read_revoked(str(path))) == 2
    path.write_text("")
    assert signer_lists.read_revoked(str(path)) == frozenset()


@pytest.mark.mutation
def test_a_binary_revocation_list_is_refused(keys, tmp_path: Path) -> None:
    krl = tmp_path / "krl"
    subprocess.run(["ssh-keygen", "-q", "-k", "-f", str(krl), keys.private("backup") + ".pub"], check=True, stdout=subprocess.DEVNULL)
    with pytest.raises(KeyProblem, match="binary revocation list; give a text file"):
        signer_lists.read_revoked(str(krl))


@pytest.mark.mutation
@pytest.mark.parametrize("line", ["SHA256:abc", "ssh-ed25519", "ssh-ed25519 AAAA", "serial: 1"])
def test_a_line_that_revokes_nothing_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "revoked"
    path.write_text(f"\n{line}\n")
    with pytest.raises(KeyProblem, match="line 2"):
        signer_lists.read_revoked(str(path))
