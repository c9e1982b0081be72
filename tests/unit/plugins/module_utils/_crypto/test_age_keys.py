# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our age keys compared with pyrage and with the age program."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pyrage
import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import age_keys
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import KeyProblem


def test_pyrage_accepts_generated_keys() -> None:
    for _number in range(20):
        identity = age_keys.generate()
        other = pyrage.x25519.Identity.from_str(identity)
        recipient = age_keys.recipient_of(identity, "here")
        assert recipient == str(other.to_public()) == age_keys.check_recipient(recipient, "here")
        assert pyrage.decrypt(pyrage.encrypt(b"x", [pyrage.x25519.Recipient.from_str(recipient)]), [other]) == b"x"


def test_accepts_keys_generated_by_pyrage() -> None:
    identity = pyrage.x25519.Identity.generate()
    assert age_keys.recipient_of(str(identity), "here") == str(identity.to_public())


def test_age_decrypts_with_generated_keys(tmp_path: Path) -> None:
    identity = age_keys.generate()
    (tmp_path / "identity").write_text(f"{identity}\n", encoding="ascii")
    sealed = pyrage.encrypt(b"x", [pyrage.x25519.Recipient.from_str(age_keys.recipient_of(identity, "here"))])
    done = subprocess.run(["age", "--decrypt", "--identity", str(tmp_path / "identity")], input=sealed, capture_output=True, check=True)
    assert done.stdout == b"x"


GOOD = str(pyrage.x25519.Identity.generate().to_public())


@pytest.mark.mutation
@pytest.mark.parametrize(
    "text",
    [
        "",
        "age1",
        GOOD.upper(),
        f"{GOOD} ",
        f" {GOOD}",
        f"{GOOD}\n",
        f"{GOOD}\n{GOOD}",
        GOOD[:-1],
        GOOD[:-1] + ("q" if GOOD[-1] != "q" else "p"),
        f"{GOOD} comment",
        GOOD.replace("age1", "age11"),
        "age1" + "q" * 58,
        "ssh-ed25519 AAAA",
    ],
    ids=map(str, range(20)),
)
def test_text_that_is_not_one_recipient_is_refused(text: str) -> None:
    with pytest.raises(KeyProblem):
        age_keys.check_recipient(text, "here")


@pytest.mark.mutation
@pytest.mark.parametrize("change", [str.lower, lambda text: text[:-1], lambda text: f"{text}Q", lambda _text: GOOD])
def test_invalid_identity_is_refused_and_not_printed(change) -> None:
    text = change(age_keys.generate())
    with pytest.raises(KeyProblem) as caught:
        age_keys.recipient_of(text, "/a/file")
    assert "/a/file" in caught.value.msg and text not in caught.value.msg
