# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: restore the secrets of a set into files, before any service starts."""

from __future__ import annotations

import dataclasses
import io
import os
import time
import typing as t

from ..._ansible.boundary import Invocation
from ..._caracal import secrets
from ..._crypto.recipients import load_identities
from ..._crypto.sealing import Opener
from ..._drivers.secrets import bundle, target
from ..._drivers.secrets.files import File
from ..._drivers.secrets.target import MODE, NEW, OTHER, SAME, Directory, Owner, Wanted
from ..._errors import KeyProblem, OptionError, StorageError, TamperedData, TargetRefused
from ..._evidence import access, restore_entry
from ..._evidence.sealed_set import SealedSet
from ..._files.folder import PRIVATE
from ..._options import declared
from ..._options.declared import Path, Word
from ..._options.shared import RecordedOptions, RepositoryOptions, StoredSetOptions
from ..._repository import artifact as artifacts
from ..._repository import records
from ..._repository.artifact import Artifact
from . import secrets_sources

ENVIRONMENT_MODE = 0o600  # as the product creates it
# The product's services run as other users. The directory keeps all remaining users out.
SECRET_MODE = 0o444
LISTED = 4
FOLDER_BITS = 0o775  # a bundle can never make a directory writable for all users


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    access: RepositoryOptions
    stored: StoredSetOptions = dataclasses.field(default_factory=StoredSetOptions)
    recorded: RecordedOptions
    identity_files: tuple[Path, ...]
    key_set: Word | None = None
    directory: Path
    environment_file: Path | None = None
    extra_directory: Path | None = None
    extra_directories: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    retired_directory: Path | None = None
    owner: str | None = None
    group: str | None = None
    replace: bool = False


class _WrittenSecrets(t.TypedDict):
    changed: bool
    written: list[str]
    replaced: list[str]
    adjusted: list[str]
    unchanged: list[str]
    not_restored: list[str]
    foreign: list[str]
    safety_copy: str | None
    diff: dict[str, str]


class RestoreResult(_WrittenSecrets):
    """Files, grouped by what was done with each. `key_set` and `key_ids` are public IDs."""

    set_id: str
    key_set: str
    family: str
    key_ids: dict[str, str]
    journal_head: str
    seconds: float


def run(invocation: Invocation[Options]) -> RestoreResult:
    """Verify the set and check the target. Except in check mode, keep copies of replaced files and write."""
    started = time.monotonic()
    given = dataclasses.replace(invocation.options, directory=os.path.abspath(invocation.options.directory))
    opened = access.open_repository(given.access, warn=invocation.warn)
    opened.mark.advance(opened.journal, dry=True)
    signer = restore_entry.signer_unless_inside(opened, given.access.deployment, given.recorded, _tops(given))
    the_set = SealedSet(opened, given.stored.set_id, given.identity_files, given.stored.max_age)
    artifact = _chosen(the_set, given.key_set)
    data = opened.catalog.read_artifact(artifact)
    with Opener(io.BytesIO(data), load_identities(given.identity_files), artifact.path) as source:
        found = bundle.read(source, artifact.path)
    ids = _ids(the_set, artifact, found)
    result = _restore(invocation, given, found)
    if not invocation.check_mode:
        if signer and result["changed"]:
            restore_entry.enter(opened, signer, the_set, records.asset_body(artifacts.SECRETS, [given.directory]))
        opened.mark.advance(opened.journal)
    return {
        "set_id": the_set.set_id,
        "key_set": _key_set(artifact),
        "family": found.family,
        "key_ids": ids,
        **result,
        "journal_head": opened.head,
        "seconds": round(time.monotonic() - started, 3),
    }


def _tops(given: Options) -> list[str]:
    """Return every configured target path."""
    named = (given.directory, given.environment_file, given.extra_directory, given.retired_directory)
    return [path for path in (*named, *given.extra_directories.values()) if path]


def _restore(invocation: Invocation[Options], given: Options, found: bundle.Bundle) -> _WrittenSecrets:
    who = target.owner(given.owner, given.group)
    wanted, folders = _wanted(given, found), _folders(given, found)
    states = {one.name: target.examine(one, who) for one in wanted}
    states |= {one.name: target.examine_folder(one, who) for one in folders}
    other = [one.path for one in wanted if states[one.name] == OTHER]
    if other and not given.replace:
        raise TargetRefused(
            f"{_listed(other)} contain other secrets than the set; move them away, or set replace, which keeps a copy of them"
        )
    saved = f"{given.directory}.replaced-{access.now().strftime('%Y%m%dT%H%M%SZ')}" if other else None
    loose = target.is_loose(given.directory, PRIVATE)
    if not invocation.check_mode:
        _write(given, wanted, states, saved, who)
        for one in folders:
            if states[one.name] != SAME:
                target.put_folder(one, PRIVATE, who)
    foreign = target.foreign(given.directory, wanted)
    if foreign:
        invocation.warn(f"{given.directory} contains files that are not in the set and were not changed: {', '.join(foreign)}")
    done = {state: sorted(name for name, one in states.items() if one == state) for state in (NEW, SAME, MODE, OTHER)}
    return {
        "changed": loose or len(done[SAME]) < len(states),
        "written": done[NEW],
        "replaced": done[OTHER],
        "adjusted": done[MODE],
        "unchanged": done[SAME],
        "not_restored": sorted({one.name for one in found.files} - states.keys()),
        "foreign": foreign,
        "safety_copy": saved,
        "diff": {"before": "".join(f"{name}\n" for name in done[SAME]), "after": "".join(f"{name}\n" for name in sorted(states))},
    }


def _listed(paths: t.Sequence[str]) -> str:
    """Return a shortened list of paths, since a new installation has created all of these files."""
    return ", ".join(paths) if len(paths) <= LISTED else f"{', '.join(paths[:LISTED])} and {len(paths) - LISTED} more files"


def _key_set(artifact: Artifact) -> str:
    return artifact.path.rpartition("/")[2].partition(".")[0]


def _chosen(the_set: SealedSet, key_set: str | None) -> Artifact:
    """Return the artifact of the last reading, unless the operator selects another one."""
    found = the_set.artifacts(artifacts.SECRETS)
    if not found:
        raise OptionError(f"set {the_set.set_id} contains no secrets; use another set, or restore them from another place")
    chosen = [one for one in found if key_set in (None, _key_set(one))]
    if not chosen:
        raise OptionError(f"set {the_set.set_id} has no state {key_set!a} of the secrets; it has {', '.join(map(_key_set, found))}")
    return chosen[-1]


def _ids(the_set: SealedSet, artifact: Artifact, found: bundle.Bundle) -> dict[str, str]:
    """Return the public IDs of the keys. They must match one of the two readings in the signed manifest."""
    names = {one.name: one.content for one in found.files}
    if found.family not in secrets.NAMES:
        raise TamperedData(f"{artifact.path} has the unknown release family {found.family[:40]!a}; use another copy of the set")
    for one in secrets.NAMES[found.family]:
        if one.required and not names.get(f"{bundle.SECRETS}/{one.name}", b"").strip():
            raise KeyProblem(f"{artifact.path} does not contain {one.name}, and Caracal would silently create a new one; use another set")
    ids = secrets_sources.keys_of(found.family, found.files).ids
    signed = the_set.open_set.manifest.key_ids
    for name, key_id in ids.items():
        if key_id not in (signed.get(name), signed.get(f"{name}.1")):
            raise TamperedData(f"{artifact.path} contains {name} {key_id}, which the manifest does not list; use another copy of the set")
    return ids


def _wanted(given: Options, found: bundle.Bundle) -> list[Wanted]:
    """Return the target of each file. Files without a target are omitted."""
    placed = ((one, *_place(given, one.name)) for one in found.files)
    wanted = [Wanted(one.name, os.path.abspath(top), below, _mode(one), one.content) for one, top, below in placed if top]
    for place in sorted({one.top for one in wanted}):
        parent = os.path.dirname(place)
        if not os.path.isdir(place) and (os.path.lexists(place) or not os.path.isdir(parent)):
            raise StorageError(f"cannot create {place}: it is not a directory, or {parent} does not exist; create {parent} first")
    return wanted


def _folders(given: Options, found: bundle.Bundle) -> list[Directory]:
    """Return the directories that contained no file.

    Unknown names are omitted, since the bundle must not choose which directories are created.
    """
    names = {f"{bundle.FOLDERS}/{name}": name for name in secrets.FOLDERS}
    return [Directory(one.name, given.directory, names[one.name], one.mode & FOLDER_BITS) for one in found.files if one.name in names]


def _place(given: Options, name: str) -> tuple[str | None, str]:
    """Return the directory of a file in the bundle, and the path below it."""
    folder, _slash, below = name.partition("/")
    if name == bundle.PREVIOUS:
        return given.directory, secrets.PREVIOUS_KEK
    if name == bundle.ENVIRONMENT:
        path = given.environment_file
        return os.path.split(os.path.abspath(path)) if path else (None, below)
    if folder == bundle.EXTRA and below in given.extra_directories:
        return given.extra_directories[below], below
    retired = bundle.RETIRED_FOLDER.rstrip("/")
    tops = {bundle.SECRETS: given.directory, bundle.EXTRA: given.extra_directory, retired: given.retired_directory}
    return tops.get(folder), below


def _mode(one: File) -> int:
    """Return the mode of a file. The product determines the modes of its own secrets. Other files keep their modes."""
    if one.name == bundle.ENVIRONMENT:
        return ENVIRONMENT_MODE
    return one.mode if one.name.startswith(f"{bundle.EXTRA}/") else SECRET_MODE


def _write(given: Options, wanted: t.Sequence[Wanted], states: t.Mapping[str, str], saved: str | None, who: Owner) -> None:
    """Copy all files that will be replaced, then write one file after the other."""
    top = given.directory
    if saved:
        for one in wanted:
            if states[one.name] == OTHER:
                target.keep(saved, one)
    if target.is_loose(top, PRIVATE):
        target.permit(top, PRIVATE)
    for one in wanted:
        if states[one.name] != SAME:
            target.put(one, PRIVATE, target.INNER_MODE, who)
