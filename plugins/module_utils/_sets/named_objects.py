# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All keys that the journal and the manifests name, in an order in which they can be stored."""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import BackupError, TamperedData
from .._evidence.access import Opened
from .._repository import catalog, layout, objects
from .._repository import entry as entries
from .._repository.entry import Entry
from .._storage.base import Store
from .._storage.s3_prepare import CANARIES


@dataclasses.dataclass(frozen=True)
class Named:
    """A key and the SHA-256 of its object; None for a signature, which is verified by itself."""

    key: str
    sha256: str | None


def all_of(opened: Opened, faults: list[str]) -> t.Iterator[Named]:
    """Yield everything once. Stored in this order, the objects form a complete, older repository at each entry.

    For a pruned set, only its public files are included. Objects of an untrusted set are left out, and the reason is
    appended to `faults`.
    """
    seen: set[str] = set()
    stamped = {one.key for one in opened.store.list(layout.JOURNAL) if layout.is_timestamp(one.key)}
    first = [Named(layout.REPOSITORY, opened.repository.sha256), Named(layout.REPOSITORY_SIGNATURE, None)]
    for entry in opened.journal.entries:
        try:
            named = of_entry(opened, entry)
        except BackupError as exc:
            faults.append(exc.msg)
            named = _itself(entry)
        stamp = layout.entry_timestamp_key(entry.sequence, entry.sha256)
        for one in (*first, *named, *([Named(stamp, None)] if stamp in stamped else [])):
            if one.key not in seen:
                seen.add(one.key)
                yield one


def of_entry(opened: Opened, entry: Entry) -> list[Named]:
    """Return the objects that belong to an entry; the entry itself is last."""
    found: list[Named] = []
    if entry.kind == entries.SET:
        found += _of_set(opened, catalog.record(entry).set_id)
    elif entry.kind in (entries.CHECKPOINT, entries.DRILL):
        found += [Named(key, digest) for key, digest in sorted(entry.subjects.items()) if not key.startswith(f"{layout.SETS}/")]
        found += [Named(one.key, None) for one in _report_signatures(opened, entry)]
    elif entry.kind == entries.ARCHIVE_DAY:
        # The archive may be stored elsewhere. Then none of the day's objects is here.
        here = {one.key for folder in {key.rpartition("/")[0] for key in entry.subjects} for one in opened.store.list(folder)}
        found += [Named(key, digest) for key, digest in sorted(entry.subjects.items()) if here]
    return [*found, *_itself(entry)]


def _itself(entry: Entry) -> list[Named]:
    return [Named(layout.entry_signature_key(entry.sequence, entry.sha256), None), Named(layout.entry_key(entry.sequence), entry.sha256)]


def _of_set(opened: Opened, set_id: str) -> list[Named]:
    found = opened.catalog.read(set_id)
    pruned = set_id in opened.catalog.pruned()
    artifacts = [Named(one.path, one.sha256) for one in found.manifest.artifacts if not (pruned and one.recipients)]
    signatures = [Named(one.key, None) for one in opened.store.list(layout.signatures_folder(set_id))]
    return [*artifacts, *signatures, Named(layout.manifest_key(set_id), found.record.manifest_sha256)]


def _report_signatures(opened: Opened, entry: Entry) -> list[t.Any]:
    """Return the signatures of a drill's report."""
    folders = {key.rpartition("/")[0] for key in entry.subjects if key.startswith(f"{layout.DRILLS}/")}
    return [one for folder in sorted(folders) for one in opened.store.list(folder) if one.key.endswith(".sig")]


def digest(store: Store, key: str) -> str:
    """Return the SHA-256 of the stored bytes. Raises ObjectMissing, StorageError."""
    with store.open(key) as source:
        return objects.digest(source)


def evidence_faults(opened: Opened) -> list[str]:
    """Return the faults in small public files that the journal names: files of pruned sets, checkpoints and drills."""
    wrong, pruned = [], opened.catalog.pruned()
    for entry in opened.journal.entries:
        if entry.kind not in (entries.CHECKPOINT, entries.DRILL) and entry.body.get("set") not in pruned:
            continue
        try:
            named = [one for one in of_entry(opened, entry) if one.sha256 and not one.key.startswith(f"{layout.JOURNAL}/")]
            for one in named:
                with opened.store.open_held(objects.find(opened.store, one.key, one.sha256 or "")) as source:
                    found = objects.digest(source)
                if found != one.sha256:
                    raise TamperedData(
                        f"{opened.store.location}/{one.key} does not match entry {entry.sequence} of the journal; use another copy"
                    )
        except BackupError as exc:
            wrong.append(exc.msg)
    return wrong


def orphans(opened: Opened) -> list[str]:
    """Return the stored keys that nothing names, except signatures in the journal.

    All objects in the directory of a set count as named if its manifest is not trusted. Objects that proved a bucket's
    lock stay until their lock ends, and are not orphans.
    """
    named = {layout.REPOSITORY, layout.REPOSITORY_SIGNATURE}
    for entry in opened.journal.entries:
        named |= {*entry.subjects, *(one.key for one in _trusted(opened, entry))}
        named.add(layout.entry_timestamp_key(entry.sequence, entry.sha256))
    committed = {one.set_id for one in opened.catalog.committed()}
    stored = [one.key for one in opened.store.list("") if not one.key.startswith(f"{CANARIES}/") and not _is_of_journal(one.key)]
    folders = {key.split("/")[1] for key in stored if key.startswith(f"{layout.SETS}/") and layout.is_id(key.split("/")[1])}
    is_open = {set_id for set_id in folders - committed if _has_parts(opened, set_id)}
    return [key for key in stored if key not in named and not any(set_id in key for set_id in is_open)]


def _is_of_journal(key: str) -> bool:
    return key.startswith(f"{layout.JOURNAL}/") and key.endswith(".sig")


def _trusted(opened: Opened, entry: Entry) -> list[Named]:
    try:
        return of_entry(opened, entry)
    except BackupError:
        if entry.kind != entries.SET:
            raise
        folder = layout.set_folder(str(entry.body["set"]))
        return [Named(one.key, None) for one in opened.store.list(folder)]


def _has_parts(opened: Opened, set_id: str) -> bool:
    return bool(opened.store.list(layout.parts_folder(set_id)))
