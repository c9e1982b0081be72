# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import functools
import hashlib
import io
import os
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import recipients
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.recipients import Recipient
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.sealing import Opener, Sealed, Sealer
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    BackupError,
    KeyProblem,
    StageFailed,
    StorageError,
    TamperedData,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import compression
from harness.waiting import PATIENCE

if t.TYPE_CHECKING:
    from unit.plugins.module_utils._crypto.conftest import Keys

IDENTITY = pyrage.x25519.Identity.generate()
UNKNOWN = pyrage.x25519.Identity.generate()
TO = [recipients.parse(str(IDENTITY.to_public()), "test")]
NAME = "sets/x/postgres/caracal.dump.zst.age"


def sealed_bytes(*parts: bytes, to: t.Sequence[Recipient] | None = None) -> bytes:
    sink = io.BytesIO()
    sealer = Sealer(sink, TO if to is None else to)
    for part in parts:
        sealer.write(part)
    sealer.finish()
    return sink.getvalue()


def open_all(data: bytes, identity: t.Any = IDENTITY, size: int = 1 << 20) -> bytes:
    found = bytearray()
    with Opener(io.BytesIO(data), [identity], NAME) as source:
        while chunk := source.read(size):
            found += chunk
    return bytes(found)


def in_time(work: t.Callable[[], t.Any]) -> BackupError:
    """Return the error of `work`. Fail if a stage waits for another stage forever."""
    caught: list[Exception] = []

    def catch() -> None:
        try:
            work()
        except Exception as exc:  # noqa: BLE001 - raised again below, in the test's own thread
            caught.append(exc)

    thread = threading.Thread(target=catch, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), f"still waiting after {PATIENCE:.0f} s"
    assert caught, "ended without an error"
    if not isinstance(caught[0], BackupError):
        raise caught[0]
    return caught[0]


def no_stage_left() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name in ("sealing", "opening")]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=5000), max_size=8), st.integers(1, 6000))
def test_any_payload_is_decrypted_unchanged(parts: list[bytes], size: int) -> None:
    plain = b"".join(parts)
    sink = io.BytesIO()
    sealer = Sealer(sink, TO)
    for part in parts:
        sealer.write(part)
    done = sealer.finish()
    data = sink.getvalue()
    assert done == Sealed(len(plain), hashlib.sha256(plain).hexdigest(), len(data), hashlib.sha256(data).hexdigest())
    assert open_all(data, size=size) == plain


@pytest.mark.parametrize("size", [0, 1, (1 << 18) - 1, 1 << 18, (1 << 18) + 1, 9_000_001])
def test_payloads_around_buffer_sizes_are_unchanged(size: int) -> None:
    plain = os.urandom(size)
    assert open_all(sealed_bytes(plain)) == plain


def test_read_all_refuses_more_than_its_limit() -> None:
    data = sealed_bytes(b"x" * 1000)
    with Opener(io.BytesIO(data), [IDENTITY], NAME) as source:
        assert source.read_all(1000) == b"x" * 1000
    with Opener(io.BytesIO(data), [IDENTITY], NAME) as source, pytest.raises(TamperedData, match="more than 999 bytes when unpacked"):
        source.read_all(999)


def test_age_and_zstd_decrypt_our_artifacts(keys: Keys, tmp_path: Path) -> None:
    plain = os.urandom(1 << 20) + b"rows\n" * 500_000
    to = [*TO, recipients.parse(keys.public("drill"), "x"), recipients.parse(keys.public("rsa"), "x")]
    (tmp_path / "sealed").write_bytes(sealed_bytes(plain, to=to))
    (tmp_path / "identity").write_text(str(IDENTITY))
    for identity in (str(tmp_path / "identity"), keys.private("drill"), keys.private("rsa")):
        packed = subprocess.run(
            ["age", "--decrypt", "--identity", identity, str(tmp_path / "sealed")], capture_output=True, check=True
        ).stdout
        assert subprocess.run(["zstd", "--decompress", "--stdout"], input=packed, capture_output=True, check=True).stdout == plain


def test_decrypts_artifacts_created_with_age_and_zstd(keys: Keys) -> None:
    plain = os.urandom(1 << 20) + b"rows\n" * 500_000
    packed = subprocess.run(["zstd", "-1", "-T0", "-c"], input=plain, capture_output=True, check=True).stdout
    argv = ["age", "--encrypt", "--recipient", str(IDENTITY.to_public()), "--recipient", keys.public("drill")]
    data = subprocess.run(argv, input=packed, capture_output=True, check=True).stdout
    assert open_all(data) == plain
    assert open_all(data, recipients.load_identities([keys.private("drill")])[0]) == plain


@pytest.mark.mutation
@pytest.mark.parametrize("size", [0, 100, 3 << 20])
def test_another_identity_is_a_key_problem(size: int) -> None:
    data = sealed_bytes(os.urandom(size))
    error = in_time(lambda: open_all(data, UNKNOWN))
    assert isinstance(error, KeyProblem)
    assert error.msg == f"{NAME}: none of the identities decrypts it; give the identity of a recipient that its manifest lists"


@pytest.mark.mutation
def test_every_flipped_byte_is_found() -> None:
    whole = bytearray(sealed_bytes(b"a row\n" * 20))
    for position in range(len(whole)):
        whole[position] ^= 0x01
        # In the header, no identity decrypts a changed stanza.
        with pytest.raises((TamperedData, KeyProblem), match=f"^{NAME}: "):
            open_all(bytes(whole))
        whole[position] ^= 0x01
    assert open_all(bytes(whole)) == b"a row\n" * 20


@pytest.mark.mutation
def test_every_early_end_is_found() -> None:
    whole = sealed_bytes(b"a row\n" * 20)
    for length in range(len(whole)):
        with pytest.raises(TamperedData, match=f"^{NAME}: .*use another copy of the set$"):
            open_all(whole[:length])


@pytest.mark.mutation
@pytest.mark.parametrize("position", [0.3, 0.6, 0.999])
@pytest.mark.parametrize("damage", ["flip", "cut", "swap"])
def test_damage_in_the_middle_of_a_large_artifact_is_found(damage: str, position: float) -> None:
    whole = sealed_bytes(os.urandom(4 << 20))
    at = int(len(whole) * position)
    bad = {
        "flip": whole[:at] + bytes([whole[at] ^ 0x80]) + whole[at + 1 :],
        "cut": whole[:at],
        "swap": whole[: at - 65552] + whole[at : at + 65552] + whole[at - 65552 : at] + whole[at + 65552 :],
    }[damage]
    error = in_time(lambda: open_all(bad))
    assert isinstance(error, TamperedData)
    assert error.msg.startswith(f"{NAME}: ")
    assert no_stage_left()


@pytest.mark.mutation
@pytest.mark.parametrize("more", [b"\0", b"x" * 70_000])
def test_bytes_after_the_artifact_are_found(more: bytes) -> None:
    assert isinstance(in_time(lambda: open_all(sealed_bytes(os.urandom(100_000)) + more)), TamperedData)


@pytest.mark.mutation
@pytest.mark.parametrize("size", [10, 8 << 20])
@pytest.mark.parametrize("what", ["no zstd", "more behind", "cut"])
def test_an_authentic_artifact_with_wrong_content_is_refused_in_time(what: str, size: int) -> None:
    packed = compression.compress(os.urandom(size))
    inside = {"no zstd": os.urandom(size), "more behind": packed + os.urandom(size), "cut": packed[:-3]}[what]
    words = {"no zstd": "not a zstd stream", "more behind": "there is trailing data", "cut": "ends too early"}[what]
    data = pyrage.encrypt(inside, [IDENTITY.to_public()])
    for work in (lambda: open_all(data), lambda: Opener(io.BytesIO(data), [IDENTITY], NAME).read_all(64 << 20)):
        error = in_time(work)
        assert isinstance(error, TamperedData)
        if size > 10 or what != "no zstd":
            assert words in error.msg
    assert no_stage_left()


@pytest.mark.mutation
def test_refuses_oversized_content_in_time() -> None:
    data = sealed_bytes(os.urandom(8 << 20))
    error = in_time(lambda: Opener(io.BytesIO(data), [IDENTITY], NAME).read_all(1 << 20))
    assert isinstance(error, TamperedData)
    assert "more than 1048576 bytes when unpacked" in error.msg
    assert no_stage_left()


def test_closing_a_partly_read_artifact_ends_its_stages() -> None:
    source = Opener(io.BytesIO(sealed_bytes(os.urandom(8 << 20))), [IDENTITY], NAME)
    assert source.read(10)
    source.close()
    source.close()
    assert no_stage_left()


@pytest.mark.mutation
def test_read_error_of_the_store_is_reported() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 1 << 20:
                raise OSError(5, "Input/output error")
            return super().read(size)

    whole = sealed_bytes(os.urandom(4 << 20))
    with Opener(Broken(whole), [IDENTITY], NAME) as source:
        error = in_time(lambda: source.read_all(64 << 20))
    assert isinstance(error, TamperedData | StorageError | StageFailed)


class Full(io.BytesIO):
    """A disk with `room` bytes."""

    def __init__(self, room: int, error: Exception) -> None:
        super().__init__()
        self._room = room
        self._error = error

    def write(self, data: t.Any, /) -> int:
        if self.tell() + len(data) > self._room:
            raise self._error
        return super().write(data)


class Counting(io.BytesIO):
    """A sink that fails after the first `good` writes."""

    def __init__(self, good: int = 1 << 30) -> None:
        super().__init__()
        self.count = 0
        self._good = good

    def write(self, data: t.Any, /) -> int:
        if self.count == self._good:
            raise StorageError("full")
        self.count += 1
        return super().write(data)


def seal_into(sink: io.BytesIO, plain: bytes) -> None:
    sealer = Sealer(sink, TO)
    sealer.write(plain)
    sealer.finish()


@pytest.mark.mutation
@pytest.mark.parametrize("room", [0, 100, 1 << 20])
def test_full_disk_raises_the_error_of_the_store(room: int) -> None:
    full = StorageError("/srv/backup is full; make room", path="/srv/backup")

    def work() -> None:
        sealer = Sealer(Full(room, full), TO)
        for _turn in range(16):
            sealer.write(os.urandom(1 << 19))
        sealer.finish()

    assert in_time(work) is full
    assert no_stage_left()


@pytest.mark.mutation
@pytest.mark.parametrize("size", [0, 1, 7000, 9000, 70_000])
def test_full_disk_at_any_write_is_reported(size: int) -> None:
    plain = os.urandom(size)
    need = len(sealed_bytes(plain))
    # The length of headers varies, so the last byte is tested with a sink that accepts all writes except the last.
    for room in [0, need // 2]:
        assert in_time(functools.partial(seal_into, Full(room, StorageError("full")), plain)).msg == "full"
    writes = Counting()
    seal_into(writes, plain)
    for last in range(writes.count):
        assert in_time(functools.partial(seal_into, Counting(last), plain)).msg == "full"


@pytest.mark.mutation
def test_other_errors_of_the_sink_are_reported() -> None:
    def work() -> None:
        sealer = Sealer(Full(10, OSError(28, "No space left on device")), TO)
        sealer.write(b"x")
        sealer.finish()

    error = in_time(work)
    assert isinstance(error, StageFailed)
    assert error.msg == "sealing failed: OSError: [Errno 28] No space left on device"


@pytest.mark.mutation
def test_full_disk_publishes_no_object(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path / "store"))
    with store.writer("sets") as out, pytest.raises(StorageError, match="full"):
        sealer = Sealer(out, TO)
        out.write = Full(1 << 20, StorageError("full")).write  # type: ignore[assignment, method-assign]
        for _turn in range(16):
            sealer.write(os.urandom(1 << 19))
        sealer.finish()
        out.publish("sets/x")
    assert store.list("") == []
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []


def break_off() -> None:
    raise ConnectionResetError("the source died")


@pytest.mark.mutation
def test_failed_source_publishes_nothing_readable(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path / "store"))
    written = io.BytesIO()
    with pytest.raises(ConnectionResetError), store.writer("sets") as out:
        sealer = Sealer(written, TO)
        try:
            sealer.write(os.urandom(3 << 20))
            break_off()
        finally:
            sealer.close()
        out.publish("sets/x")
    assert store.list("") == []
    # age does not notice the damage: only the missing end of the zstd frame shows it.
    assert len(pyrage.decrypt(written.getvalue(), [IDENTITY])) < 3 << 20
    with pytest.raises(TamperedData, match="the zstd stream ends too early"):
        open_all(written.getvalue())


def test_close_is_harmless_twice_and_after_finish() -> None:
    sink = io.BytesIO()
    sealer = Sealer(sink, TO)
    sealer.write(b"x")
    sealer.finish()
    sealer.close()
    sealer.close()
    assert open_all(sink.getvalue()) == b"x"
    assert no_stage_left()


MEMORY = """
import os, resource, sys
import pyrage
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import recipients
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.sealing import Opener, Sealer

identity = pyrage.x25519.Identity.generate()
to = [recipients.parse(str(identity.to_public()), "x")]
make = os.urandom if sys.argv[1] == "random" else bytes

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def seal(rounds):
    with open(sys.argv[2], "wb") as sink:
        sealer = Sealer(sink, to)
        for _ in range(rounds):
            sealer.write(make(1 << 20))
        return sealer.finish().plain_size

seal(3)
before = peak()
total = seal(200)
with Opener(open(sys.argv[2], "rb"), [identity], "x") as source:
    while chunk := source.read(1 << 20):
        total -= len(chunk)
print(total, (peak() - before) // 1024)
"""


@pytest.mark.parametrize("content", ["random", "zeros"])
def test_memory_does_not_grow_with_the_artifact(content: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    argv = [sys.executable, "-c", MEMORY, content, str(tmp_path / "sealed")]
    missing, growth = map(int, subprocess.run(argv, capture_output=True, check=True, env=environment).stdout.split())
    assert missing == 0
    assert growth < 60
