# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verified prefix: the beginning of a journal that this host has verified. Later calls need not read it again.

Each repository has two files next to the high-water mark. `.index` starts with a line that names what it is bound to.
Fixed-size records follow, each with a digest of everything before it. `.rows` has the entries; each record has the
place, size and digest of its row. Both files only grow, so a reader uses the records that existed at its start. A
writer that is killed leaves rows without a record, or an incomplete record. Both are ignored.

If the files are damaged, belong to another journal or are writable by others, there is no prefix. Then the whole
journal is read, and the next call that advances the mark writes both files again. A reader never repairs them, because
it may run in check mode.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import json
import os
import secrets
import struct
import typing as t
import weakref

from .._crypto.allowed_signers import Verifier
from .._files import trusted
from .._files.folder import Folder
from . import entry as entries
from . import judging, layout, lock
from .entry import Entry, Head
from .fields import parse_timestamp
from .judging import Reach, Signed
from .repository import Repository

TYPE = "verified-prefix"
# Increase this with each change of the entries that a reader accepts, or of the way it interprets them.
FORMAT = 2
INDEX, ROWS = "index", "rows"
KINDS = (*entries.MAY_SIGN, entries.TAKEN_BACK)
_RUN = 32
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_MICROSECOND = datetime.timedelta(microseconds=1)
# Place and size of the row, the kind of the entry with corrections, the two times of its `Reach`, digests of the entry
# and of the row. The digest of the index up to this record follows.
_FIELDS = struct.Struct(">QIBqq32s16s")
_DIGEST = 16
_SIZE = _FIELDS.size + _DIGEST
_KIND, _SHA256 = struct.Struct(">QI").size, struct.Struct(">QIBqq").size


class Verified(t.Protocol):
    """The journal to store: its repository, its signers, its entries, and the prefix that was verified before."""

    repository_id: str
    deployment: str
    verifier: Verifier
    prefix: Prefix | None

    @property
    def head(self) -> Head: ...

    @property
    def entries(self) -> t.Sequence[Entry]: ...

    @property
    def is_assumed(self) -> bool: ...

    def signed(self, number: int) -> Signed: ...


class Damaged(Exception):
    """A file of the prefix is damaged. The journal handles this error, so it never reaches other callers."""


@dataclasses.dataclass(frozen=True)
class _Record:
    place: int
    size: int
    kind: int
    reach: Reach
    sha256: bytes
    row: bytes

    @classmethod
    def parse(cls, data: bytes) -> _Record:
        place, size, kind, time, claimed, sha256, row = _FIELDS.unpack_from(data)
        return cls(place, size, kind, Reach(_EPOCH + time * _MICROSECOND, _EPOCH + claimed * _MICROSECOND), sha256, row)

    def to_bytes(self) -> bytes:
        times = ((at - _EPOCH) // _MICROSECOND for at in (self.reach.time, self.reach.claimed))
        return _FIELDS.pack(self.place, self.size, self.kind, *times, self.sha256, self.row)

    @property
    def end(self) -> int:
        return self.place + self.size


class _Chain:
    """Adds to each record a digest of all data before it. `hashed` has the index so far."""

    def __init__(self, hashed: t.Any) -> None:
        self._hashed = hashed

    def add(self, record: _Record) -> bytes:
        data = record.to_bytes()
        self._hashed.update(data)
        digest: bytes = self._hashed.digest()[:_DIGEST]
        self._hashed.update(digest)
        return data + digest


class Prefix:
    """Entries 1 to `len`, each read on access. All faults raise Damaged."""

    def __init__(self, index: bytes, head: int, rows: int, verifier: Verifier, location: str = "") -> None:
        """Open a prefix. The records start after `head` bytes of the index. `rows` is a descriptor that is closed with this object."""
        self.rows, self._verifier, self._location = rows, verifier, location
        weakref.finalize(self, os.close, rows)
        # The end of the last complete record.
        self.end = head + (len(index) - head) // _SIZE * _SIZE
        self._records = memoryview(index)[head : self.end]
        self._hashed = hashlib.sha256(memoryview(index)[: max(self.end - _DIGEST, 0)])
        last = self._records[-_DIGEST:]
        if not last or self._hashed.digest()[:_DIGEST] != last or os.fstat(rows).st_size < self.record(len(self)).end:
            raise Damaged
        self._hashed.update(last)

    def __len__(self) -> int:
        return len(self._records) // _SIZE

    def record(self, number: int) -> _Record:
        return _Record.parse(bytes(self._records[(number - 1) * _SIZE : number * _SIZE]))

    def sha256(self, number: int) -> str:
        start = (number - 1) * _SIZE + _SHA256
        return self._records[start : start + 32].hex()

    @property
    def reach(self) -> Reach:
        """The reach of the chain at the last entry."""
        return self.record(len(self)).reach

    @property
    def chain(self) -> _Chain:
        """A chain for the next records."""
        return _Chain(self._hashed.copy())

    def numbers(self, kinds: t.Collection[str]) -> list[int]:
        """Return the numbers of the entries that count as one of these kinds."""
        wanted = {KINDS.index(one) for one in kinds if one in KINDS}
        return [number for number, kind in enumerate(self._records[_KIND::_SIZE], 1) if kind in wanted]

    def entry(self, number: int) -> Entry:
        """Return an entry as evaluated. The result is the same at any later time."""
        record = self.record(number)
        _kind, *values, _fingerprint = self._values(record)
        return self._entry(number, KINDS[record.kind], values, record.reach.time)

    def signed(self, number: int) -> Signed:
        """Return an entry as its writer signed it, to be evaluated again."""
        kind, *values, fingerprint = self._values(self.record(number))
        name = f"{self._location}/{layout.entry_key(number)}"
        written = self._entry(number, kind, values, parse_timestamp(values[0]["store"] or values[0]["host"]))
        return Signed(self._verifier.remembered(fingerprint, layout.NAMESPACE_JOURNAL, name), written)

    def _values(self, record: _Record) -> t.Any:
        """Return the values that `_row` stored for an entry."""
        try:
            data = os.pread(self.rows, record.size, record.place)
        except OSError as exc:
            raise Damaged from exc
        if hashlib.sha256(data).digest()[:_DIGEST] != record.row:
            raise Damaged
        return json.loads(data)

    def _entry(self, number: int, kind: str, values: t.Sequence[t.Any], judged: datetime.datetime) -> Entry:
        previous = self.sha256(number - 1) if number > 1 else None
        time, principal, machine, subjects, body = values
        return Entry(number, self.sha256(number), previous, kind, subjects, time, principal, machine, body, judged)


def _row(signed: Signed) -> bytes:
    one = signed.entry
    values = (one.kind, one.time, one.principal, one.machine, one.subjects, one.body, signed.authentic.fingerprint)
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()


def paths(mark: str, repository: str) -> tuple[str, str]:
    """Return the paths of the index and of the rows of a repository. Both are next to the mark."""
    return f"{mark}.{repository}.{INDEX}", f"{mark}.{repository}.{ROWS}"


def _locate(mark: str, repository: str) -> tuple[Folder, str, str]:
    """Return the open directory of both files, and their names in it. Raises OSError, KeyProblem."""
    index, rows = (os.path.basename(path) for path in paths(mark, repository))
    return trusted.folder(os.path.dirname(os.path.abspath(mark))), index, rows


def load(mark: str, repository: Repository, verifier: Verifier, sequence: int, sha256: str) -> Prefix | None:
    """Return the prefix stored next to a mark, or None if it does not fit. Writes nothing.

    The mark's entry must be in the prefix or come after it.
    """
    try:
        with lock.shared(mark):
            found = _open(mark, repository.id, repository.deployment, verifier, os.O_RDONLY, repository.store.location)
    except (OSError, Damaged):
        return None
    now, reach = verifier.now(), found.reach
    # If a time is in the future, the evaluation depends on the time of each call.
    if reach.time > now or reach.claimed > now + judging.SKEW:
        return None
    return found if sequence > len(found) or found.sha256(sequence) == sha256 else None


def _open(mark: str, repository: str, deployment: str, verifier: Verifier, flags: int, location: str = "") -> Prefix:
    """Open the files of a prefix. Raises OSError, Damaged."""
    folder, index, rows = _locate(mark, repository)
    with folder:
        with os.fdopen(_own(folder, index, os.O_RDONLY), "rb") as stream:
            data = stream.read()
        descriptor = _own(folder, rows, flags)
    head = _head(repository, deployment, verifier, os.pread(descriptor, _RUN, 0))
    if data[: len(head)] != head:
        os.close(descriptor)
        raise Damaged
    return Prefix(data, len(head), descriptor, verifier, location)


def _own(folder: Folder, name: str, flags: int) -> int:
    """Return a descriptor of a file that no other user can write. Raises OSError, Damaged."""
    descriptor = folder.open(name, flags)
    if not trusted.is_private(descriptor):
        os.close(descriptor)
        raise Damaged
    return descriptor


def _head(repository: str, deployment: str, verifier: Verifier, run: bytes) -> bytes:
    """Return the first line of an index, which binds it to a journal and to its signers.

    The rows start with `run`, so files of two different writers do not match.
    """
    fields = {"type": TYPE, "format": FORMAT, "kinds": KINDS, "repository": repository, "deployment": deployment}
    return json.dumps({**fields, "signers": verifier.digest, "run": run.decode("ascii", "replace")}).encode() + b"\n"


def is_kept(journal: Verified) -> bool:
    """Return whether there is nothing to add: all entries were verified before, or they were read with assumed corrections."""
    return journal.is_assumed or bool(journal.prefix and journal.head.sequence == len(journal.prefix))


def keep(mark: str, journal: Verified) -> None:
    """Save the verified entries whose evaluation does not depend on the current time. The caller must hold the mark's write lock.

    New entries are appended. If the whole journal was read, both files are written again unless they are already
    complete, so that a fault does not persist. Failures are ignored: the next call reads more entries and gets the same
    result.
    """
    if is_kept(journal):
        return
    with contextlib.suppress(OSError):
        there = _there(mark, journal)
        if journal.prefix is None and (there is None or len(there) <= journal.head.sequence):
            if there is None or not _is_whole(there, journal):
                _write(mark, journal)
        elif journal.prefix and there and len(journal.prefix) <= len(there) < journal.head.sequence:
            _append(mark, journal, there)


def _there(mark: str, journal: Verified) -> Prefix | None:
    """Return the stored prefix of this journal, if there is one."""
    try:
        found = _open(mark, journal.repository_id, journal.deployment, journal.verifier, os.O_RDWR)
    except (OSError, Damaged):
        return None
    last = min(len(found), journal.head.sequence)
    return found if journal.entries[last - 1].sha256 == found.sha256(last) else None


def _is_whole(there: Prefix, journal: Verified) -> bool:
    """Return whether the stored files contain everything that can be kept of the journal, compared byte by byte."""
    number = 0
    for number, (record, row) in enumerate(_rows_of(journal, 0, _RUN), 1):
        if number > len(there) or there.record(number) != record or os.pread(there.rows, len(row), record.place) != row:
            return False
    return number == len(there)


def _rows_of(journal: Verified, count: int, place: int, before: Reach | None = None) -> t.Iterator[tuple[_Record, bytes]]:
    """Yield records and rows of the entries after the first `count`. The first row is stored at `place`."""
    now, judged = journal.verifier.now(), journal.entries
    signed = [journal.signed(number) for number in range(count + 1, journal.head.sequence + 1)]
    for one, reach in zip(signed, judging.reaches(signed, before), strict=True):
        if reach.time > now:
            return
        kind, sha256, row = KINDS.index(judged[one.entry.sequence - 1].kind), bytes.fromhex(one.entry.sha256), _row(one)
        yield _Record(place, len(row), kind, reach, sha256, hashlib.sha256(row).digest()[:_DIGEST]), row
        place += len(row)


def _append(mark: str, journal: Verified, there: Prefix) -> None:
    """Append rows before their records, since a record without its row would be damage."""
    last, chain = there.record(len(there)), there.chain
    made = list(_rows_of(journal, len(there), last.end, last.reach))
    _put(there.rows, b"".join(row for _record, row in made), last.end)
    folder, name, _rows = _locate(mark, journal.repository_id)
    with folder:
        index = _own(folder, name, os.O_WRONLY)
    try:
        _put(index, b"".join(chain.add(record) for record, _row in made), there.end)
    finally:
        os.close(index)


def _put(descriptor: int, data: bytes, place: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, place)
        view, place = view[written:], place + written
    os.fsync(descriptor)


def _write(mark: str, journal: Verified) -> None:
    folder, index, rows = _locate(mark, journal.repository_id)
    run = secrets.token_hex(_RUN // 2).encode()
    head = _head(journal.repository_id, journal.deployment, journal.verifier, run)
    chain = _Chain(hashlib.sha256(head))
    with folder, folder.replacing(index) as listing, folder.replacing(rows) as out:
        listing.write(head)
        out.write(run)
        for record, row in _rows_of(journal, 0, len(run)):
            out.write(row)
            listing.write(chain.add(record))
