# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""GNU tar reads our output. We read or refuse the output of GNU tar or of an attacker."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import StageFailed, TamperedData
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import tar
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream.tar import Member

FILES = {
    Member("pending-1-1700000000000000000.ndjson", 12, 1_700_000_000_123_456_789, 0o600, 65532, 65532): b'{"id":"one"}',
    Member("empty", 0, 1_700_000_001_000_000_001, 0o444, 0, 0): b"",
    Member("console/" + "long" * 40 + "/smtp", 1025, 1_700_000_002_999_999_999, 0o640, 2**22, 7): b"x" * 1025,
}


def archive(files: t.Mapping[Member, bytes] | None = None) -> bytes:
    files = FILES if files is None else files
    out = io.BytesIO()
    writer = tar.Writer(out)
    for member, data in files.items():
        assert writer.add(member, io.BytesIO(data)) == hashlib.sha256(data).hexdigest()
    writer.finish()
    return out.getvalue()


def read(data: bytes) -> dict[Member, bytes]:
    return {member: source.read() for member, source in tar.members(io.BytesIO(data), "the archive")}


def test_written_archive_is_read_back() -> None:
    assert read(archive()) == FILES
    assert read(archive({})) == {}


def test_gnu_tar_extracts_what_is_written(tmp_path: Path) -> None:
    subprocess.run(["tar", "--extract", "--directory", tmp_path, "--no-same-owner"], input=archive(), check=True)
    for member, data in FILES.items():
        path = tmp_path / member.name
        assert (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode & 0o7777) == (data, member.mtime_ns, member.mode)


def test_a_member_that_is_not_read_is_skipped() -> None:
    assert [member for member, _source in tar.members(io.BytesIO(archive()), "the archive")] == list(FILES)


def test_a_source_that_ends_early_is_an_error() -> None:
    with pytest.raises(StageFailed, match="became shorter while it was read"):
        tar.Writer(io.BytesIO()).add(Member("one", 5, 0, 0o600, 0, 0), io.BytesIO(b"1234"))


def foreign(change: t.Callable[[tarfile.TarInfo], None], name: str = "one") -> bytes:
    out = io.BytesIO()
    info = tarfile.TarInfo(name)
    change(info)
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as made:
        made.addfile(info, io.BytesIO(b"\0" * info.size))
    return out.getvalue()


def typed(kind: bytes) -> t.Callable[[tarfile.TarInfo], None]:
    def change(info: tarfile.TarInfo) -> None:
        info.type, info.linkname = kind, "/etc/passwd"

    return change


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_member_that_is_not_regular_file_is_refused(kind: bytes) -> None:
    with pytest.raises(TamperedData, match="not a regular file"):
        read(foreign(typed(kind)))


@pytest.mark.parametrize("name", ["/etc/passwd", "../one", "a/../../one", "a//b", "./a", "."])
def test_a_path_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(TamperedData, match="leads out of the directory"):
        read(foreign(lambda info: None, name))


def test_a_name_twice_is_refused() -> None:
    member = Member("one", 1, 0, 0o600, 0, 0)
    twice = archive({member: b"1"})[:-1024] + archive({member: b"1"})
    with pytest.raises(TamperedData, match="'one' twice"):
        read(twice)


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(TamperedData, match="invalid time"):
        read(foreign(lambda info: info.pax_headers.update(mtime="-5.5")))


@pytest.mark.parametrize("cut", [1, 100, 600, 1600, 2600])
def test_an_archive_that_ends_early_is_refused(cut: int) -> None:
    whole = archive()
    with pytest.raises(TamperedData, match=r"not an intact tar archive|became shorter|ends early"):
        read(whole[:cut])


def test_garbage_is_refused() -> None:
    with pytest.raises(TamperedData, match="not an intact tar archive"):
        read(b"garbage" * 1000)


class Endless:
    """A header followed by endless zeros, which zstd can encode in a few bytes. It counts the bytes that are read."""

    def __init__(self, head: bytes) -> None:
        self._head = head
        self.given = 0

    def read(self, size: int) -> bytes:
        data, self._head = self._head[:size], self._head[size:]
        self.given += size
        if self.given > LIMIT:
            raise MemoryError(f"{self.given} bytes were read")
        return data or bytes(min(size, 1 << 20))


LIMIT = 8 << 20
HUGE = 1 << 40


def head(kind: bytes, size: int = HUGE, name: str = "one") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def sparse(data: bytes, **fields: str) -> bytes:
    """Return a file in GNU's sparse format with pax headers."""
    return foreign(lambda info: info.pax_headers.update({f"GNU.sparse.{name}": value for name, value in fields.items()})) + data


BOMBS = {
    "pax header": head(tarfile.XHDTYPE),
    "global pax header": head(tarfile.XGLTYPE),
    "long name": head(tarfile.GNUTYPE_LONGNAME),
    "long link": head(tarfile.GNUTYPE_LONGLINK),
    "sparse map": head(tarfile.GNUTYPE_SPARSE, 0)[:482] + b"\1" + head(tarfile.GNUTYPE_SPARSE, 0)[483:],
    "sparse pax": sparse(b"", map="0,1,9999999999999,1", size="99999999999999", name="one"),
    "pax headers that follow one another": head(tarfile.XHDTYPE, 0) * 3,
    "a negative size": foreign(lambda info: info.pax_headers.update(size="-1")),
    "nothing but an end": bytes(512),
    "a size of many digits": foreign(lambda info: info.pax_headers.update(size="9" * 5000)),
}


@pytest.mark.mutation
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_header_that_asks_for_too_much_is_refused_before_it_is_read(bomb: str) -> None:
    source = Endless(BOMBS[bomb])
    with pytest.raises(TamperedData):
        list(tar.members(source, "the archive"))
    assert source.given < 4 << 20


@pytest.mark.mutation
def test_too_many_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar, "MEMBERS_LIMIT", 2)
    assert len(FILES) == 3
    with pytest.raises(TamperedData, match="more than 2 files"):
        read(archive())


def test_file_name_that_is_not_utf8_is_read_back_byte_for_byte() -> None:
    files = {Member(os.fsdecode(b"\xff\x01" * count + b"x"), 1, 0, 0o600, 0, 0): b"1" for count in (1, 80)}
    assert read(archive(files)) == files
