# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import sshsig
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import KeyProblem, TamperedData

DATA = b"what was signed\n"


@pytest.fixture(scope="module")
def armored(keys) -> bytes:
    return keys.sign("backup", DATA, "set@caracal-ops")


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_signature_of_ssh_keygen_covers_its_bytes(keys, algorithm: str) -> None:
    signature = sshsig.parse(keys.sign("backup", DATA, "set@caracal-ops", "-O", f"hashalg={algorithm}"), "s")
    assert signature.covers(DATA)
    assert (signature.namespace, signature.hash_name) == (b"set@caracal-ops", algorithm.encode())


def test_the_fingerprint_is_the_one_that_ssh_keygen_prints(keys, armored: bytes) -> None:
    output = subprocess.run(["ssh-keygen", "-lf", keys.private("backup")], capture_output=True, text=True, check=True).stdout
    assert sshsig.parse(armored, "s").fingerprint == output.split()[1]


def test_armor_equals_the_armor_of_ssh_keygen(armored: bytes) -> None:
    blob = base64.b64decode(b"".join(armored.splitlines()[1:-1]))
    assert sshsig.armor(blob) == armored


@pytest.mark.mutation
@pytest.mark.parametrize("name", ["rsa", "ecdsa"])
def test_other_keys_than_ed25519_are_refused(keys, name: str) -> None:
    with pytest.raises(KeyProblem, match="use ssh-ed25519") as caught:
        sshsig.parse(keys.sign(name, DATA, "set@caracal-ops"), "s")
    assert "\n" not in caught.value.msg


def blob_of(armored: bytes) -> bytes:
    return base64.b64decode(b"".join(armored.splitlines()[1:-1]))


@pytest.mark.mutation
@pytest.mark.parametrize(
    "change",
    [
        lambda good: b"",
        lambda good: good[:-1],
        lambda good: good + b"\n",
        lambda good: b"x" + good,
        lambda good: good.replace(b"\n", b"\r\n"),
        lambda good: good.replace(b"\n", b"", 2),
        lambda good: good * 100,
        lambda good: sshsig.armor(blob_of(good)[:-1]),
        lambda good: sshsig.armor(blob_of(good) + b"\0"),
        lambda good: sshsig.armor(b"SSHSIG\0\0\0\2" + blob_of(good)[10:]),
        lambda good: sshsig.armor(blob_of(good).replace(b"sha512", b"sha384")),
        lambda good: sshsig.armor(b"SSHSIG\0\0\0\1\xff\xff\xff\xff"),
        lambda good: sshsig.armor(blob_of(good)[:10] + sshsig.wire_string(sshsig.wire_string(b"ssh-ed25519"))),
    ],
)
def test_refuses_signatures_that_ssh_keygen_does_not_write(armored: bytes, change) -> None:
    with pytest.raises((TamperedData, KeyProblem)) as caught:
        sshsig.parse(change(armored), "x.sig")
    assert "x.sig" in caught.value.msg and "\n" not in caught.value.msg


@pytest.mark.mutation
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_flipped_bit_is_found(armored: bytes, data: st.DataObject) -> None:
    whole = bytearray(armored + DATA)
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8
    signature, signed = bytes(whole[: len(armored)]), bytes(whole[len(armored) :])
    try:
        parsed = sshsig.parse(signature, "s")
    except (TamperedData, KeyProblem):
        return
    good = sshsig.parse(armored, "s")
    assert not parsed.covers(signed) or (parsed.key, parsed.namespace) != (good.key, good.namespace)
