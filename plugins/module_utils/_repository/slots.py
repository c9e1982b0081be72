# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The data stored at the keys of journal entries.

Anyone with write access to the store can put data at a number before an entry is written there, or over an existing
entry. So the oldest version that a trusted key signed for this number counts. If there is none, but a signed entry
follows, the journal is damaged. Without a signed entry after it, the data is not an entry: it is ignored and reported.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import typing as t

from .._crypto import strict_json
from .._crypto.allowed_signers import Verifier
from .._errors import (
    BackupError,
    KeyProblem,
    NoObject,
    ObjectMissing,
    StorageError,
    TamperedData,
    VersionMismatch,
)
from .._storage.base import READ_LIMIT, Store
from . import entry as entries
from . import layout

SIGNATURE_LIMIT = 1 << 16
# Limit of the numbers checked after the end. It bounds the work if an attacker fills the store. An attacker who could
# remove so many entries that none of these is signed could remove the others too.
SEARCH_LIMIT = 100
Take = t.Callable[[bytes, bytes, str], None]


@dataclasses.dataclass(frozen=True)
class Context:
    """The repository of an entry, and the signers that the operator trusts."""

    verifier: Verifier
    repository: str
    # Entries that the operator is about to refuse, by number and the first digits of the digest.
    refused: t.Mapping[int, str] = dataclasses.field(default_factory=dict)


def read(store: Store, after: int, context: Context, take: Take) -> tuple[str, ...]:
    """Pass every entry after number `after` to `take`. Returns the keys at the end without a signed entry.

    `take` raises an error for an entry that does not fit. Raises TamperedData, also if the journal ends before `after`;
    KeyProblem, VersionMismatch.
    """
    found = _numbers(store, after)
    last = max(found, default=0)
    if last < after:
        last = max(_numbers(store, 0), default=0)
        raise TamperedData(
            f"the journal of {store.location} was rolled back: it ends at entry {last}, but had entry {after} before; use another copy"
        )
    numbers = [number for number in found if number > after]
    expected = after + 1
    with contextlib.closing(store.overlapped(lambda number: (number, _newest(store, number)), numbers)) as fetched:
        for number, pair in fetched:
            fault = _fault(store, expected, number, pair, take, last)
            if fault is not None:
                break
            expected += 1
        else:
            return ()
    rest = [number for number in numbers if number >= expected]
    for number in rest[:SEARCH_LIMIT]:
        signed = first_signed(store, number, context)
        if signed is not None:
            raise _remedied(fault, number, signed) if number == expected else fault
    return tuple(layout.entry_key(number) for number in rest)


def _numbers(store: Store, first: int) -> list[int]:
    """Return the numbers in use, starting at `first`."""
    listed = store.list(layout.JOURNAL, layout.before_entry(first) if first else "")
    return sorted({number for one in listed if (number := layout.entry_sequence(one.key)) is not None})


def has(store: Store, number: int, sha256: str, context: Context) -> bool:
    """Return whether an unchanged entry is stored, with a signature that is still trusted."""
    newest = _newest(store, number)
    for data, signature in itertools.chain([newest] if newest else [], pairs(store, number)):
        if entries.sha256(data) == sha256:
            with contextlib.suppress(TamperedData, KeyProblem):
                context.verifier.authenticate(data, signature, layout.NAMESPACE_JOURNAL)
                return True
    return False


def _remedied(fault: BackupError, number: int, data: bytes) -> BackupError:
    """Add the remedy to an error: with a stolen key, an attacker can sign an entry that does not fit.

    In a store with object locks, such an entry cannot be deleted.
    """
    words = f"; if a stolen key signed it, replace it by a correction with journal_correct (entries: {number}-{entries.sha256(data)[:16]})"
    return fault.reworded(f"{fault.msg}{words}")


def _fault(store: Store, expected: int, number: int, pair: tuple[bytes, bytes] | None, take: Take, last: int) -> BackupError | None:
    """Pass the next entry to `take`, or return the reason why it is invalid."""
    name = f"{store.location}/{layout.entry_key(expected)}"
    if number != expected:
        return TamperedData(f"{name} is missing, but the journal goes up to {last}; use another copy of the repository")
    fault: BackupError = TamperedData(
        f"{name} has no matching signature, but the journal goes up to {last}; use another copy of the repository"
    )
    for data, signature in itertools.chain([pair] if pair else [], pairs(store, number)):
        try:
            take(data, signature, name)
        except (TamperedData, KeyProblem, VersionMismatch) as exc:
            fault = exc
        else:
            return None
    return fault


def _newest(store: Store, number: int) -> tuple[bytes, bytes] | None:
    """Return the current entry of the store and the signature of exactly these bytes, or None."""
    try:
        data = store.read(layout.entry_key(number))
        return data, store.read(layout.entry_signature_key(number, entries.sha256(data)), SIGNATURE_LIMIT)
    except StorageError:
        return None


def pairs(store: Store, number: int) -> t.Iterator[tuple[bytes, bytes]]:
    """Yield all data stored at a number, each with all data stored as its signature, oldest versions first."""
    for data in _all(store, layout.entry_key(number), READ_LIMIT):
        for signature in _all(store, layout.entry_signature_key(number, entries.sha256(data)), SIGNATURE_LIMIT):
            yield data, signature


def _all(store: Store, key: str, limit: int) -> t.Iterator[bytes]:
    try:
        held = [one for one in store.versions(key) if one.size <= limit]
    except NoObject:  # a link or a pipe
        return
    for one in held:
        with contextlib.suppress(ObjectMissing), store.open_held(one) as stream:
            yield stream.read(limit + 1)


def first_signed(store: Store, number: int, context: Context) -> bytes | None:
    """Return the oldest data at a number that a trusted key signed for this number."""
    for data, signature in pairs(store, number):
        with contextlib.suppress(TamperedData, KeyProblem):
            context.verifier.authenticate(data, signature, layout.NAMESPACE_JOURNAL)
            if not _is_copy(data, number, context.repository) and not is_named(data, context.refused.get(number)):
                return data
    return None


def is_named(data: bytes, digits: str | None) -> bool:
    return digits is not None and entries.sha256(data).startswith(digits)


def refuse_unknown_signer(store: Store, number: int, context: Context, head: str) -> None:
    """Raise KeyProblem if an unknown key signed a valid next entry.

    The key may belong to this deployment while this host has an outdated list of signers. Writing over such an entry
    would fork the journal.
    """
    for data, signature in pairs(store, number):
        who = context.verifier.unknown_key(data, signature, layout.NAMESPACE_JOURNAL)
        if who and not _is_copy(data, number, context.repository) and _follows(data, head):
            raise KeyProblem(
                f"{store.location}/{layout.entry_key(number)} is signed by the unknown key {who}; if it is your new key, add it to "
                "allowed_signers. Otherwise add it to revoked_keys and find out who wrote that entry"
            )


def _follows(data: bytes, head: str) -> bool:
    try:
        return bool(strict_json.loads(data)["predicate"]["previous"] == head)
    except (TamperedData, KeyError, TypeError):
        return False


def _is_copy(data: bytes, number: int, repository: str) -> bool:
    """Return whether the data names another number or repository. Copying a signed entry does not need a key."""
    try:
        predicate = strict_json.loads(data)["predicate"]
        return bool(predicate["sequence"] != number or predicate["repository"] != repository)
    except (TamperedData, KeyError, TypeError):
        return False
