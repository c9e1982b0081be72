# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What we write, GNU tar reads; what GNU tar or an intruder writes, we read or refuse."""

from __future__ import annotations

import hashlib
import io
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


def test_what_is_written_is_read() -> None:
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
def test_what_is_no_plain_file_is_refused(kind: bytes) -> None:
    with pytest.raises(TamperedData, match="no plain file"):
        read(foreign(typed(kind)))


@pytest.mark.parametrize("name", ["/etc/passwd", "../one", "a/../../one", "a//b", "./a", "."])
def test_a_path_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(TamperedData, match="leads elsewhere"):
        read(foreign(lambda info: None, name))


def test_a_name_twice_is_refused() -> None:
    member = Member("one", 1, 0, 0o600, 0, 0)
    twice = archive({member: b"1"})[:-1024] + archive({member: b"1"})
    with pytest.raises(TamperedData, match="'one' twice"):
        read(twice)


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(TamperedData, match="time that is none"):
        read(foreign(lambda info: info.pax_headers.update(mtime="-5.5")))


@pytest.mark.parametrize("cut", [1, 100, 600, 1600, 2600])
def test_an_archive_that_ends_early_is_refused(cut: int) -> None:
    whole = archive()
    with pytest.raises(TamperedData, match=r"no intact tar archive|became shorter|ends early"):
        read(whole[:cut])


def test_garbage_is_refused() -> None:
    with pytest.raises(TamperedData, match="no intact tar archive"):
        read(b"garbage" * 1000)
