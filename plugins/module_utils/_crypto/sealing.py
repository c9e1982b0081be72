# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Streaming encryption to age files and decryption: plain → zstd → age → sink, and back.

EOF does not mean success: pyrage writes a complete age file even if the stage before it dies. So nothing in this file
publishes an object. The caller publishes after `finish` has returned, and `finish` returns only if every stage
succeeded.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import threading
import typing as t

from .._deps import require_pyrage
from .._errors import BackupError, StageFailed, TamperedData, WrongIdentity
from .._reasons import NO_IDENTITY
from .._stream import compression, pipes
from .header_proof import Bounded
from .recipients import Recipient


@dataclasses.dataclass(frozen=True)
class Sealed:
    """Sizes in bytes and SHA-256 in hex of the input and the output."""

    plain_size: int
    plain_sha256: str
    size: int
    sha256: str


class Sealer:
    """Encrypts: `write` plain bytes, then call `finish`. `close` without `finish` leaves garbage that must not be published."""

    def __init__(self, sink: pipes.Sink, recipients: t.Sequence[Recipient]) -> None:
        self._hash = hashlib.sha256()
        self._size = 0
        self._out = _HashingSink(sink)
        self._compressor = compression.compressor()
        self._buffer = bytearray()
        read_end, self._pipe = pipes.large_pipe()
        self._stage = _Stage("sealing", self._seal, read_end, [recipient.to_age() for recipient in recipients])

    def _seal(self, read_end: int, recipients: list[t.Any]) -> None:
        with open(read_end, "rb", pipes.PIECE) as reader:
            try:
                require_pyrage().encrypt_io(reader, self._out, recipients)
            except Exception as exc:  # pyrage wraps the sink's error in its own text
                raise (self._out.error or exc) from exc
        if self._out.error is not None:
            # pyrage loses an error of its very last write, and for a small artifact that is the only write.
            raise self._out.error

    def write(self, data: bytes) -> int:
        """Write plain bytes. Small pieces are collected first, since each stage has a cost per call."""
        if not self._buffer and len(data) >= pipes.PIECE:
            self._take(data)
            return len(data)
        self._buffer += data
        if len(self._buffer) >= pipes.PIECE:
            self._flush()
        return len(data)

    def _flush(self) -> None:
        data, self._buffer = bytes(self._buffer), bytearray()
        self._take(data)

    def _take(self, data: bytes) -> None:
        self._size += len(data)
        self._hash.update(data)
        self._push(self._compressor.compress(data))

    def _push(self, data: bytes) -> None:
        try:
            pipes.write_all(self._pipe, data)
        except BrokenPipeError as exc:
            self._stage.join()
            raise StageFailed("encryption stopped early; see the log of the module") from exc

    def finish(self) -> Sealed:
        """Flush, wait for every stage and return sizes and digests. Raises the error of a stage."""
        self._flush()
        self._push(self._compressor.flush())
        del self._compressor  # and with it its thread
        self.close()
        self._stage.join()
        return Sealed(self._size, self._hash.hexdigest(), self._out.size, self._out.digest.hexdigest())

    def close(self) -> None:
        """Close the pipe and wait for the stage, ignoring its errors. Harmless if called twice."""
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
            self._stage.wait()


class Opener:
    """Decrypts: `read(n)` returns plain bytes, and b"" only if the whole artifact was authentic and complete."""

    def __init__(self, source: t.BinaryIO, identities: t.Sequence[t.Any], name: str) -> None:
        self._name = name
        self._source = source
        self._read_end, write_end = pipes.large_pipe()
        self._raw = open(self._read_end, "rb", pipes.PIECE)  # noqa: SIM115 - closed by close()
        self._stage = _Stage("opening", self._open, write_end, list(identities))
        self._plain = compression.Decompressor(self._raw, name)

    def _open(self, write_end: int, identities: list[t.Any]) -> None:
        pyrage, source = require_pyrage(), Bounded(self._source, self._name)
        with open(write_end, "wb", pipes.PIECE) as writer:
            source.read(0)
            try:
                pyrage.decrypt_io(source, writer, identities)
                while self._source.read(pipes.PIECE):  # a source with a digest compares it at its end
                    pass
            except pyrage.DecryptError as exc:
                raise _decrypt_problem(self._name, str(exc)) from exc
            except OSError as exc:
                if "Broken pipe" in str(exc):
                    raise
                raise TamperedData(f"{self._name}: altered or truncated; use another copy of the set") from exc

    def read(self, size: int) -> bytes:
        try:
            data = self._plain.read(size)
        except TamperedData:
            self._blame_stage()
            raise
        if not data:
            self._stage.join()
        return data

    def _blame_stage(self) -> None:
        """Raise the error of the previous stage if it is the cause. That stage may still be writing, so the pipe is closed first."""
        self._raw.close()
        self._stage.wait()
        if isinstance(self._stage.error, BackupError):
            raise self._stage.error

    def read_all(self, limit: int) -> bytes:
        """Return the whole content, at most `limit` bytes."""
        try:
            data = self._plain.read_all(limit)
        except TamperedData:
            self._blame_stage()
            raise
        self._stage.join()
        return data

    def finish(self) -> None:
        """Read the rest, so that the whole artifact is verified."""
        while self.read(pipes.PIECE):
            pass

    def close(self) -> None:
        """Stop reading; the stage ends on its broken pipe. Harmless if called twice."""
        self._raw.close()
        self._stage.wait()
        self._source.close()

    def __enter__(self) -> Opener:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _decrypt_problem(name: str, error: str) -> BackupError:
    if "No matching keys" in error:
        words = f"{name}: none of the identities decrypts it; give the identity of a recipient that its manifest lists"
        return WrongIdentity(words, reason=NO_IDENTITY)
    return TamperedData(f"{name}: not an intact age file ({error.splitlines()[0]}); use another copy of the set")


class _HashingSink:
    """Counts and hashes the bytes that it passes on."""

    def __init__(self, sink: pipes.Sink) -> None:
        self._sink = sink
        self.digest = hashlib.sha256()
        self.size = 0
        self.error: Exception | None = None

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size += len(data)
        try:
            self._sink.write(data)
        except Exception as exc:
            self.error = exc
            raise
        return len(data)

    def flush(self) -> None:
        """Do nothing. pyrage flushes at the end, but the store makes bytes durable when it publishes."""


class _Stage:
    """A thread that raises its error in `join`."""

    def __init__(self, name: str, work: t.Callable[..., None], *args: t.Any) -> None:
        self._name = name
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work, args), name=name, daemon=True)
        self._thread.start()

    def _run(self, work: t.Callable[..., None], args: tuple[t.Any, ...]) -> None:
        try:
            work(*args)
        except BaseException as exc:  # noqa: BLE001 - the thread's end must be told to whoever joins it
            self.error = exc

    def wait(self) -> None:
        self._thread.join()

    def join(self) -> None:
        self._thread.join()
        if isinstance(self.error, BackupError):
            raise self.error
        if self.error is not None:
            raise StageFailed(f"{self._name} failed: {type(self.error).__name__}: {self.error}") from self.error
