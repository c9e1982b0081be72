# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pyrage
import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import header_proof
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.recipients import load_identities
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.sealing import Opener
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import TamperedData


def sealed(*identities: pyrage.x25519.Identity, content: bytes = b"x" * 300_000) -> bytes:
    return bytes(pyrage.encrypt(content, [one.to_public() for one in identities]))


def test_header_shows_which_identity_decrypts_the_object() -> None:
    ours, theirs, nobodys = (pyrage.x25519.Identity.generate() for _turn in range(3))
    data = sealed(ours, theirs)
    head = header_proof.header(io.BytesIO(data), "x.age")
    assert data.startswith(head) and len(head) < 500
    assert [header_proof.opens(head, one, "x.age") for one in (ours, theirs, nobodys)] == [True, True, False]


@pytest.mark.parametrize("content", [b"", b"x"])
def test_reads_the_header_of_a_small_object(content: bytes) -> None:
    ours = pyrage.x25519.Identity.generate()
    assert header_proof.opens(header_proof.header(io.BytesIO(sealed(ours, content=content)), "x"), ours, "x")


def test_ssh_identity_matches_among_many_recipients(tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    public = pyrage.ssh.Recipient.from_str((tmp_path / "key.pub").read_text(encoding="ascii"))
    others = [pyrage.x25519.Identity.generate().to_public() for _turn in range(200)]
    head = header_proof.header(io.BytesIO(pyrage.encrypt(b"x", [*others, public])), "x")
    (identity,) = load_identities([str(tmp_path / "key")])
    assert header_proof.opens(head, identity, "x")


@pytest.mark.mutation
@pytest.mark.parametrize("data", [b"", b"no age file\n" * 9, b"age-encryption.org/v1\n-> X25519 a\nb\n"])
def test_refuses_a_file_that_is_not_an_age_file(data: bytes) -> None:
    with pytest.raises(TamperedData, match=r"x\.age"):
        header_proof.header(io.BytesIO(data), "x.age")


@pytest.mark.mutation
def test_an_altered_header_is_refused() -> None:
    ours = pyrage.x25519.Identity.generate()
    head = header_proof.header(io.BytesIO(sealed(ours)), "x.age")
    begin = head.index(b"\n--- ") + 5
    other = head[:begin] + (b"A" if head[begin : begin + 1] != b"A" else b"B") + head[begin + 1 :]
    with pytest.raises(TamperedData, match="not authentic"):
        header_proof.opens(other, ours, "x.age")
    with pytest.raises(TamperedData):
        header_proof.header(io.BytesIO(head[:-1]), "x.age")


@pytest.mark.mutation
def test_a_header_of_thousands_of_recipients_never_reaches_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser's time grows with the square of the header's size: 8,000 recipients take more than a minute."""
    ours = pyrage.x25519.Identity.generate()
    first, _newline, rest = sealed(ours).partition(b"\n")
    bomb = (
        first
        + b"\n"
        + b"-> X25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n" * 8000
        + rest
    )
    monkeypatch.setattr(pyrage, "decrypt_io", lambda source, *_others: source.read(1) and pytest.fail("it was parsed"))
    with Opener(io.BytesIO(bomb), [ours], "x.age") as source, pytest.raises(TamperedData, match="no complete age header was found"):
        source.read(1)


@pytest.mark.no_false_alarm
def test_reads_a_source_that_returns_few_bytes_at_a_time() -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(7, size or 0))

    ours = pyrage.x25519.Identity.generate()
    data = sealed(ours, content=b"x")
    bounded = header_proof.Bounded(Slow(data), "x.age")
    assert b"".join(iter(lambda: bounded.read(5), b"")) == data
    assert header_proof.header(Slow(data), "x.age") == header_proof.header(io.BytesIO(data), "x.age")
