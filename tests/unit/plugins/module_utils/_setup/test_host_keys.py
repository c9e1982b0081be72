# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import stat
import subprocess
import typing as t
from pathlib import Path

import pyrage
import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.signing import Signer
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import KeyProblem, OptionError, StorageError
from ansible_collections.caracal_ops.backup.plugins.module_utils._setup import host_keys


def call(folder: Path, check_mode: bool = False, **own: t.Any) -> dict[str, t.Any]:
    given = {
        "signing_key": str(folder / "signing_key"),
        "principal": "drill@prod",
        "identity_files": [str(folder / "a.identity"), str(folder / "b.identity")],
        **own,
    }
    checked = complete(host_keys.Options, given)
    return host_keys.run(Invocation(checked, check_mode, lambda _text: None))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "keys"
    made.mkdir(mode=0o700)
    return made


def test_keys_are_created_once_and_only_public_parts_are_reported(folder: Path) -> None:
    predicted = call(folder, check_mode=True)
    assert list(folder.iterdir()) == []
    made = call(folder)
    assert predicted["made"] == made["made"] == [str(folder / name) for name in ("signing_key", "a.identity", "b.identity")]
    assert predicted["diff"] == made["diff"] and predicted["changed"] and made["changed"]
    assert sorted(path.name for path in folder.iterdir()) == ["a.identity", "b.identity", "signing_key", "signing_key.pub"]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes.pop("signing_key.pub") == 0o644 and set(modes.values()) == {0o600}
    signer = Signer(str(folder / "signing_key"), "drill@prod")
    assert (made["public_key"], made["fingerprint"]) == (signer.public_key_line, signer.fingerprint)
    assert signer.sign(b"x", "set@caracal-ops")
    for one in made["recipients"]:
        text = Path(one["file"]).read_text(encoding="ascii").split("\n")[1]
        assert one["recipient"] == str(pyrage.x25519.Identity.from_str(text).to_public()) and text not in str(made)
    private = (folder / "signing_key").read_text(encoding="ascii").split("\n")[1]
    assert private not in str(made)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    again = call(folder)
    assert (again["changed"], again["made"], again["public_key"]) == (False, [], made["public_key"])
    assert again["recipients"] == made["recipients"] and {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_key_with_a_passphrase_is_kept(folder: Path) -> None:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "a passphrase", "-f", str(folder / "signing_key")]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    kept = call(folder, identity_files=[])
    assert not kept["changed"] and kept["public_key"] in (folder / "signing_key.pub").read_text(encoding="ascii")


@pytest.mark.mutation
def test_a_folder_that_is_missing_or_readable_by_every_user_is_refused(folder: Path) -> None:
    with pytest.raises(StorageError):
        call(folder / "none")
    folder.chmod(0o777)
    with pytest.raises(KeyProblem):
        call(folder)
    assert list(folder.iterdir()) == []


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("name", "text", "mode"),
    [
        ("a.identity", "nothing\n", 0o600),
        ("a.identity", "", 0o600),
        ("a.identity", f"{pyrage.x25519.Identity.generate()}\n", 0o644),
        ("a.identity", f"{pyrage.x25519.Identity.generate()}\n{pyrage.x25519.Identity.generate()}\n", 0o600),
        ("signing_key", "nothing\n", 0o600),
    ],
    ids=["no identity", "empty", "readable by every user", "two", "no key"],
)
def test_invalid_key_file_is_refused_and_kept(folder: Path, name: str, text: str, mode: int) -> None:
    (folder / name).write_text(text, encoding="ascii")
    (folder / name).chmod(mode)
    with pytest.raises(KeyProblem) as caught:
        call(folder)
    assert (folder / name).read_text(encoding="ascii") == text and "AGE-SECRET-KEY" not in caught.value.msg


@pytest.mark.mutation
@pytest.mark.parametrize("given", [{"principal": "drill@a b"}, {"principal": "drill"}, {"signing_key": "/var/empty/x.pub"}])
def test_a_name_that_cannot_be_is_refused(folder: Path, given: dict[str, str]) -> None:
    with pytest.raises(OptionError):
        call(folder, **given)
    assert list(folder.iterdir()) == []
