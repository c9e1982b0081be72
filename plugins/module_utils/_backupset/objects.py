# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Stored artifacts against what the manifest says of them."""

from __future__ import annotations

import contextlib
import hashlib
import typing as t

from .._crypto.recipients import Recipient, load_identities
from .._crypto.sealing import Opener, Sealed, Sealer
from .._errors import ObjectMissing, StorageError, TamperedData
from .._report.check import FAIL, PASS, Check
from .._storage.base import Store
from .._storage.overlapped import in_order
from .artifact import Artifact

CHUNK = 1 << 20
CHECK_ID = "set.objects"
# Hashing takes a processor, and a store far away takes a while to answer.
AT_ONCE = 4


@contextlib.contextmanager
def sealed(
    store: Store, folder: str, recipients: t.Sequence[Recipient], key: str | None = None
) -> t.Iterator[tuple[Sealer, t.Callable[[str], Sealed]]]:
    """A sealer into a new object of the store, and the function that publishes it under a key once all is well.

    Who knows the `key` before the bytes gives it.
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


def open_sealed(store: Store, key: str, identity_files: t.Sequence[str]) -> Opener:
    """A sealed object as plain bytes."""
    return Opener(store.open(key), load_identities(identity_files), key)


def digest(stream: t.BinaryIO) -> str:
    """SHA-256 of all that is left of a stream."""
    made = hashlib.sha256()
    while chunk := stream.read(CHUNK):
        made.update(chunk)
    return made.hexdigest()


def check_size(store: Store, artifact: Artifact) -> None:
    """Raises ObjectMissing when the object is not there, TamperedData when its size differs."""
    found = store.stat(artifact.path)
    where = f"{store.location}/{artifact.path}"
    if found is None:
        raise ObjectMissing(f"{where} is missing; use another copy of the set")
    if found.size != artifact.size:
        raise TamperedData(f"{where} has {found.size} bytes instead of {artifact.size}; use another copy of the set")


def verify(store: Store, artifacts: t.Sequence[Artifact]) -> list[Check]:
    """Every stored byte: one passed check, or one failed check for each faulty artifact."""
    paths = {one.sha256: one.path for one in artifacts}
    failed = [check for check in in_order(lambda one: _compare(store, one, paths), artifacts, AT_ONCE) if check]
    if failed:
        return failed
    total = sum(one.size for one in artifacts)
    return [Check(CHECK_ID, PASS, f"{len(artifacts)} objects, {total} bytes, every SHA-256 as signed")]


def _compare(store: Store, artifact: Artifact, paths: t.Mapping[str, str]) -> Check | None:
    """What is wrong with one."""
    try:
        check_size(store, artifact)
        with store.open(artifact.path) as stream:
            found = digest(stream)
    except (StorageError, TamperedData) as exc:
        return Check(CHECK_ID, FAIL, exc.msg, details={"path": artifact.path})
    if found == artifact.sha256:
        return None
    other = paths.get(found)
    what = f"holds the bytes of {other}" if other else "was altered"
    message = f"{store.location}/{artifact.path} {what}; use another copy of the set"
    return Check(CHECK_ID, FAIL, message, details={"path": artifact.path})
