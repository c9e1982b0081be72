# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

import pyrage
import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import recipients
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import KeyProblem, OptionError

if t.TYPE_CHECKING:
    from unit.plugins.module_utils._crypto.conftest import Keys


@pytest.fixture
def identity() -> t.Any:
    return pyrage.x25519.Identity.generate()


def private_file(path: Path, text: str | bytes, mode: int = 0o600) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return str(path)


def test_parses_an_age_recipient(identity: t.Any) -> None:
    text = str(identity.to_public())
    found = recipients.parse(f"  {text}\n", "here")
    assert found.text == text
    assert found.fingerprint.startswith("SHA256:")
    assert pyrage.decrypt(pyrage.encrypt(b"x", [found.to_age()]), [identity]) == b"x"


@pytest.mark.parametrize("name", ["backup", "rsa"])
def test_parses_an_ssh_recipient_without_its_comment(keys: Keys, name: str) -> None:
    found = recipients.parse(keys.public(name) + " operator@host with words", "here")
    assert found.text == keys.public(name)
    output = subprocess.run(["ssh-keygen", "-l", "-f", keys.private(name) + ".pub"], capture_output=True, check=True, text=True).stdout
    assert found.fingerprint == output.split()[1]
    sealed = pyrage.encrypt(b"x", [found.to_age()])
    assert pyrage.decrypt(sealed, recipients.load_identities([keys.private(name)])) == b"x"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "age1",
        "age1notakey",
        "ssh-ed25519",
        "ssh-ed25519 !!!!",
        "ssh-ed25519 QUJD",
        "ssh-dss AAAAB3NzaC1kc3MAAACB",
        "/etc/passwd",
        "age1yubikey1q",
        "ä",
    ],
)
def test_error_names_the_position_of_an_invalid_recipient(text: str) -> None:
    with pytest.raises(KeyProblem, match=r"^recipients\[2\] is not an age recipient; expected age1"):
        recipients.parse(text, "recipients[2]")


def test_refuses_an_ecdsa_key_as_recipient(keys: Keys) -> None:
    with pytest.raises(KeyProblem, match=r"^here is not an age recipient"):
        recipients.parse(keys.public("ecdsa"), "here")


@pytest.mark.mutation
@pytest.mark.parametrize("change", [str, str.lower, lambda text: f"ssh-ed25519 AAAA {text}"])
def test_a_private_key_as_recipient_is_refused_and_not_repeated(identity: t.Any, change: t.Callable[[str], str]) -> None:
    secret = str(identity)
    with pytest.raises(KeyProblem, match=r"^here contains an age identity \(a private key\)") as caught:
        recipients.parse(change(secret), "here")
    assert secret[20:40].lower() not in f"{caught.value!r} {caught.value.details}".lower()


def test_combines_options_and_files_in_order_without_duplicates(identity: t.Any, keys: Keys, tmp_path: Path) -> None:
    own = str(identity.to_public())
    path = private_file(tmp_path / "recipients", f"# ours\n\n{keys.public('backup')} comment\n{own}\n  {keys.public('rsa')}\n")
    found = recipients.load([own, own], [path, path])
    assert [one.text for one in found] == [own, keys.public("backup"), keys.public("rsa")]


def test_a_wrong_line_of_a_file_is_named(identity: t.Any, tmp_path: Path) -> None:
    path = private_file(tmp_path / "recipients", f"{identity.to_public()}\n# fine\nnonsense\n")
    with pytest.raises(KeyProblem, match=f"^{path} line 3 is not an age recipient"):
        recipients.load([], [path])


def test_refuses_a_binary_file_as_list_of_recipients(tmp_path: Path) -> None:
    with pytest.raises(KeyProblem, match="line 1 is not an age recipient"):
        recipients.load([], [private_file(tmp_path / "x", b"\x00\xff\x80PGDMP")])


@pytest.mark.parametrize("text", ["", "# only words\n\n"])
def test_refuses_an_empty_list_of_recipients(tmp_path: Path, text: str) -> None:
    with pytest.raises(OptionError, match=r"^no recipient is set; set recipients or recipients_files$"):
        recipients.load([], [private_file(tmp_path / "x", text)])


def test_error_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(KeyProblem, match=f"^key file {tmp_path}/none cannot be read: No such file or directory"):
        recipients.load([], [str(tmp_path / "none")])


@pytest.mark.mutation
def test_refuses_the_signing_key_as_recipient(keys: Keys) -> None:
    found = recipients.load([keys.public("drill"), keys.public("backup")], [])
    with pytest.raises(KeyProblem, match="is the signing key, so this host could decrypt its own backups"):
        recipients.refuse_signing_key(found, recipients.fingerprint(keys.public("backup")))


@pytest.mark.no_false_alarm
def test_another_signing_key_is_accepted(keys: Keys) -> None:
    found = recipients.load([keys.public("drill")], [])
    recipients.refuse_signing_key(found, recipients.fingerprint(keys.public("backup")))
    assert [one.text for one in found] == [keys.public("drill")]


@pytest.mark.mutation
def test_finds_identities_on_the_host(identity: t.Any, keys: Keys, tmp_path: Path) -> None:
    age = private_file(tmp_path / "notes.txt", f"# created: today\n  {identity}\n")
    ssh = private_file(tmp_path / "id", Path(keys.private("drill")).read_bytes())
    locked = private_file(tmp_path / "locked", Path(keys.private("locked")).read_bytes())
    found = recipients.load([keys.public("drill"), keys.public("backup")], [])
    assert recipients.identities_on_host(found, [str(tmp_path), str(tmp_path / "missing"), str(tmp_path)]) == sorted([age, ssh, locked])


@pytest.mark.no_false_alarm
def test_ignores_files_that_are_not_matching_identities(identity: t.Any, keys: Keys, tmp_path: Path) -> None:
    private_file(tmp_path / "stranger", Path(keys.private("stranger")).read_bytes())
    private_file(tmp_path / "text", f"an identity begins with AGE-SECRET-KEY-1; ours is for {identity.to_public()}\n")
    private_file(tmp_path / "mangled", b"-----BEGIN OPENSSH PRIVATE KEY-----\n=x=\n-----END")
    private_file(tmp_path / "drill.pub", keys.public("drill"))
    (tmp_path / "folder").mkdir()
    private_file(tmp_path / "folder" / "deep", str(identity))
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "dangling").symlink_to("nowhere")
    assert recipients.identities_on_host(recipients.load([keys.public("drill")], []), [str(tmp_path)]) == []


def test_loads_age_and_ssh_identities(identity: t.Any, keys: Keys, tmp_path: Path) -> None:
    other = pyrage.x25519.Identity.generate()
    path = private_file(tmp_path / "both", f"# two\r\n{identity}\r\n\n{other}\n")
    found = recipients.load_identities([path, keys.private("rsa")])
    assert len(found) == 3
    for public in (identity.to_public(), other.to_public(), recipients.parse(keys.public("rsa"), "x").to_age()):
        assert pyrage.decrypt(pyrage.encrypt(b"x", [public]), found) == b"x"


def test_refuses_an_empty_list_of_identities() -> None:
    with pytest.raises(OptionError, match=r"^no identity is set to decrypt the set; set identity_files$"):
        recipients.load_identities([])


@pytest.mark.mutation
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_an_identity_that_others_can_read_is_refused(identity: t.Any, tmp_path: Path, mode: int) -> None:
    path = private_file(tmp_path / "key", str(identity), mode)
    with pytest.raises(KeyProblem, match=f"^identity file {path} can be read by others; chmod 600 {path}$"):
        recipients.load_identities([path])


@pytest.mark.parametrize("content", ["", "# nothing\n", "AGE-SECRET-KEY-1BROKEN\n", "-----BEGIN nothing", "public"])
def test_invalid_identity_file_is_named_and_not_printed(identity: t.Any, tmp_path: Path, content: str) -> None:
    path = private_file(tmp_path / "key", str(identity.to_public()) if content == "public" else content)
    with pytest.raises(KeyProblem, match=f"^{path} contains no age identity and no unencrypted SSH private key") as caught:
        recipients.load_identities([path])
    assert "BROKEN" not in str(caught.value)


def test_a_locked_ssh_key_is_refused(keys: Keys) -> None:
    with pytest.raises(KeyProblem, match="locked contains no age identity and no unencrypted SSH private key"):
        recipients.load_identities([keys.private("locked")])


@pytest.mark.mutation
def test_refuses_more_recipients_than_a_header_can_contain(tmp_path: Path) -> None:
    """Files sealed to so many recipients could never be decrypted."""
    many = "\n".join(str(pyrage.x25519.Identity.generate().to_public()) for _turn in range(700))
    with pytest.raises(OptionError, match="700 recipients do not fit"):
        recipients.load([], [private_file(tmp_path / "x", many)])


@pytest.mark.mutation
def test_refuses_a_list_that_is_too_long(tmp_path: Path, identity: t.Any) -> None:
    text = f"{identity.to_public()}\n" + "# filler\n" * (1 << 17) + f"{pyrage.x25519.Identity.generate().to_public()}\n"
    with pytest.raises(KeyProblem, match="larger than 1024 KiB"):
        recipients.load([], [private_file(tmp_path / "x", text)])
