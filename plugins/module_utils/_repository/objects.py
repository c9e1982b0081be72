# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stored artifacts, compared with the manifest.

Anyone with write access to the store can put other versions and delete markers over an object. So the version with the
signed SHA-256 counts. Data that is read again for use is also compared again.
"""

from __future__ import annotations

import contextlib
import hashlib
import typing as t

from .._crypto.recipients import Recipient, load_identities
from .._crypto.sealing import Opener, Sealed, Sealer
from .._errors import ObjectMissing, StorageError, TamperedData
from .._reasons import ALTERED_OBJECT
from .._report.check import FAIL, PASS, Check
from .._storage.archived import Held
from .._storage.base import Store
from .._storage.overlapped import in_order
from .._stream.progress import SILENT, Counted, Progress
from .artifact import Artifact

CHUNK = 1 << 20
CHECK_ID = "set.objects"
# Hashing uses a processor, and a remote store has a latency.
AT_ONCE = 4


@contextlib.contextmanager
def sealed(
    store: Store, folder: str, recipients: t.Sequence[Recipient], key: str | None = None
) -> t.Iterator[tuple[Sealer, t.Callable[[str], Sealed]]]:
    """Yield a sealer that writes a new object of the store, and a function that publishes the object under a key.

    Publish the object when it is complete. Pass `key` if it is known before the content.
    """
    with store.writer(folder, key) as out:
        sealer = Sealer(out, recipients)

        def publish(key: str) -> Sealed:
            made = sealer.finish()
            out.publish(key)
            return made

        try:
            yield sealer, publish
        finally:
            sealer.close()


class Readable(t.Protocol):
    """The part of a store that readers need."""

    def open(self, key: str) -> t.BinaryIO: ...


def open_sealed(store: Readable, key: str, identity_files: t.Sequence[str]) -> Opener:
    """Return a reader of the decrypted bytes of an object."""
    return Opener(store.open(key), load_identities(identity_files), key)


class Watched:
    """A store that counts the bytes read by its readers."""

    def __init__(self, store: Readable, progress: Progress) -> None:
        self._store, self._progress = store, progress

    def open(self, key: str) -> t.BinaryIO:
        return t.cast("t.BinaryIO", Counted(self._store.open(key), self._progress))


class SignedObjects:
    """Read access to the artifacts of a verified manifest, and to nothing else.

    At the end of a stream, TamperedData is raised if its bytes differ from the signed ones, even if an earlier
    verification passed.
    """

    def __init__(self, store: Store, artifacts: t.Iterable[Artifact]) -> None:
        self._store = store
        self._artifacts = {one.path: one for one in artifacts}

    def open(self, key: str) -> t.BinaryIO:
        where = f"{self._store.location}/{key}"
        if key not in self._artifacts:
            raise ObjectMissing(f"{where} is not an artifact of the set; use another copy of the set")
        one = self._artifacts[key]
        stream = self._store.open_held(find(self._store, key, one.sha256, one.size))
        return t.cast("t.BinaryIO", _Signed(stream, one.sha256, where))


class _Signed:
    """A stream that is compared with its SHA-256 at its end."""

    def __init__(self, stream: t.BinaryIO, sha256: str, where: str) -> None:
        self._stream, self._sha256, self._where = stream, sha256, where
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._digest.update(data)
        if (not data or size < 0) and size != 0 and self._digest.hexdigest() != self._sha256:
            words = f"{self._where} was altered; use another copy of the set, and find out who exchanges objects"
            raise TamperedData(words, reason=ALTERED_OBJECT)
        return data

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> _Signed:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def find(store: Store, key: str, sha256: str, size: int | None = None) -> Held:
    """Return the signed version of a key. Raises ObjectMissing, and TamperedData if no version has that size.

    The content is read only if several versions have the size.
    """
    where = f"{store.location}/{key}"
    versions = store.versions(key)
    if not versions:
        raise ObjectMissing(f"{where} is missing; use another copy of the set")
    fitting = [one for one in versions if size in (None, one.size)]
    if not fitting:
        raise TamperedData(f"{where} has {versions[0].size} bytes instead of {size}; use another copy of the set")
    if len(fitting) > 1:
        for one in fitting:
            with store.open_held(one) as stream:
                if digest(stream) == sha256:
                    return one
    return fitting[0]


def read(store: Store, key: str, sha256: str, limit: int, size: int | None = None) -> bytes | None:
    """Return a small signed object, or None if its content differs. Raises ObjectMissing, TamperedData, StorageError (too large)."""
    with store.open_held(find(store, key, sha256, size)) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise StorageError(f"{store.location}/{key} is larger than {limit} bytes, so it cannot be the expected file; use another copy")
    return data if hashlib.sha256(data).hexdigest() == sha256 else None


def is_shadowed(store: Store, key: str, sha256: str, size: int | None = None) -> bool:
    """Return whether a newer version or a delete marker hides the signed version. Raises as `find`."""
    found = find(store, key, sha256, size)
    return found.marked or found.version != store.versions(key)[-1].version


def digest(stream: t.BinaryIO, progress: Progress = SILENT) -> str:
    """Return the SHA-256 of the rest of a stream."""
    made = hashlib.sha256()
    while chunk := stream.read(CHUNK):
        made.update(chunk)
        progress.count(len(chunk))
    return made.hexdigest()


def check_size(store: Store, artifact: Artifact) -> None:
    """Raise ObjectMissing if the object is missing, and TamperedData if its size differs."""
    sizes = [one.size for one in store.versions(artifact.path)]
    where = f"{store.location}/{artifact.path}"
    if not sizes:
        raise ObjectMissing(f"{where} is missing; use another copy of the set")
    if artifact.size not in sizes:
        raise TamperedData(f"{where} has {sizes[0]} bytes instead of {artifact.size}; use another copy of the set")


def is_there(store: Store, artifact: Artifact, sizes: t.Mapping[str, int]) -> bool:
    """Return whether the artifact is stored with its size, according to a listing or in an older version.

    An attacker who can only hide an object, for example with a delete marker, must not cause its permanent deletion.
    """
    if sizes.get(artifact.path) == artifact.size:
        return True
    return any(one.size == artifact.size for one in store.versions(artifact.path))


def verify(store: Store, artifacts: t.Sequence[Artifact], progress: Progress = SILENT) -> list[Check]:
    """Verify every stored byte. Returns one passed check, or one failed check for each faulty artifact."""
    paths = {one.sha256: one.path for one in artifacts}
    total = sum(one.size for one in artifacts)
    progress.begin("verifying", total)
    failed = [check for check in in_order(lambda one: _compare(store, one, paths, progress), artifacts, AT_ONCE) if check]
    if failed:
        return failed
    return [Check(CHECK_ID, PASS, f"{len(artifacts)} objects, {total} bytes, every SHA-256 matches the signed manifest")]


def _compare(store: Store, artifact: Artifact, paths: t.Mapping[str, str], progress: Progress) -> Check | None:
    """Return a failed check if the artifact is faulty."""
    try:
        with store.open_held(find(store, artifact.path, artifact.sha256, artifact.size)) as stream:
            found = digest(stream, progress)
    except (StorageError, TamperedData) as exc:
        return Check(CHECK_ID, FAIL, exc.msg, details={"path": artifact.path})
    if found == artifact.sha256:
        return None
    other = paths.get(found)
    what = f"contains the bytes of {other}" if other else "was altered"
    message = f"{store.location}/{artifact.path} {what}; use another copy of the set"
    return Check(CHECK_ID, FAIL, message, details={"path": artifact.path})
