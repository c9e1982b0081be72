# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: store the secrets of a deployment in an open set, before and after its dump."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ..._ansible.boundary import Invocation
from ..._caracal import secrets
from ..._caracal.chains import pairing as rules
from ..._crypto import recipients as age
from ..._drivers.secrets import bundle
from ..._errors import KeyProblem, OptionError, StorageError, TamperedData
from ..._evidence import open_set
from ..._evidence.open_set import OpenSet
from ..._options import declared
from ..._options.declared import Path
from ..._options.shared import OpenSetOptions, PostgresOptions, RecipientOptions, RepositoryOptions
from ..._repository import artifact as artifacts
from ..._repository import layout as keys
from ..._repository.artifact import Artifact, ArtifactRecord
from .. import set_parts
from ..databases import dump_set
from . import pairing, secrets_sources
from .secrets_sources import Collected, SourceOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    access: RepositoryOptions
    open_set: OpenSetOptions
    postgres: PostgresOptions = dataclasses.field(default_factory=PostgresOptions)
    recipients: RecipientOptions = dataclasses.field(default_factory=RecipientOptions)
    sources: SourceOptions = dataclasses.field(default_factory=SourceOptions)
    reading: t.Literal[1, 2]
    signing_key: Path | None = None
    database_recipients: tuple[str, ...] = ()
    database_recipients_files: tuple[Path, ...] = ()
    allow_same_recipients: bool = False


class SecretsResult(t.TypedDict):
    """A reading's part of the module's result. `pairing` is the proof of the second reading."""

    family: str
    names: list[str]
    count: int
    key_ids: dict[str, str]
    key_set: str
    path: str
    shared: bool
    changed_names: list[str]
    pairing: dict[str, str] | None


class _SecretsPart(t.TypedDict):
    artifacts: list[ArtifactRecord]
    key_ids: dict[str, str]
    left_out: dict[str, str]
    states: dict[str, str]
    result: SecretsResult


class SecretsPart(_SecretsPart, total=False):
    """A reading's part of the set. `states` are digests of files by name."""

    pairing: dict[str, str]


class BundleResult(SecretsResult):
    """One reading of the secrets. `diff` lists names, never values."""

    changed: bool
    set_id: str
    diff: dict[str, str]
    seconds: float


def run(invocation: Invocation[Options]) -> BundleResult:
    """Read and check all secrets. Except in check mode, encrypt those that no set contains yet, and add the part."""
    started = time.monotonic()
    given = invocation.options
    target = open_set.load(given.access, given.open_set, given.signing_key, given.recipients, invocation.check_mode)
    content = target.parts()
    found = secrets_sources.collect(given.sources)
    for words in found.overrides:
        invocation.warn(words)
    name = set_parts.SECRETS[given.reading - 1]
    first = t.cast("SecretsPart | None", content.get(set_parts.SECRETS[0])) if given.reading == 2 else None
    database = content.get(dump_set.PART)
    _in_order(invocation, content, name)
    pairing.refuse_other_family(found.family, content.get(dump_set.PART, {}).get("family"))
    theirs = _database_recipients(given, [one["recipients"] for one in (database or {}).get("artifacts", ())])
    _apart(target, theirs, given.allow_same_recipients)
    absent = secrets.absent(found.family, [one.partition("/")[2] for one in found.names])
    if absent:
        invocation.warn(f"these secrets are not in any source or in the set: {', '.join(absent)}; an installer creates new values for them")
    changed = name not in content
    if not changed:
        result: SecretsResult = content[name]["result"]
    else:
        made = _make(invocation, target, found, first, database, theirs)
        result = made["result"]
        if target.opened and not invocation.check_mode:
            target.add_part(name, made)
    if result["changed_names"]:
        invocation.warn(f"secrets changed while the backup ran, and both states are in the set: {', '.join(result['changed_names'])}")
    listing = "".join(f"{one}\n" for one in result["names"])
    diff = {"before": "" if changed else listing, "after": listing}
    seconds = round(time.monotonic() - started, 3)
    return {"changed": changed, "set_id": target.set_id, **result, "diff": diff, "seconds": seconds}


def _in_order(invocation: Invocation[Options], content: t.Collection[str], name: str) -> None:
    """Raise OptionError unless the order is first reading, dump, second reading.

    Then every value encrypted in between uses a key of one of the two readings.
    """
    one, two = set_parts.SECRETS
    if name not in content and not (invocation.check_mode and not content):
        if name == one and dump_set.PART in content:
            raise OptionError("the set already contains its database, but reading 1 must run before the dump; create a new set")
        if name == two and one not in content:
            raise OptionError("reading 1 of the secrets is missing in the set; run secrets_bundle with reading=1 before the dump")
        if name == two and dump_set.PART not in content and not invocation.check_mode:
            raise OptionError(
                "the set does not contain its database yet, but reading 2 must run after the dump; run pg_encrypted_dump first"
            )


def _database_recipients(given: Options, sealed_to: t.Iterable[t.Collection[str]]) -> set[str]:
    """Return fingerprints of recipients that can decrypt the database, from the options and from the set's own dump."""
    texts, paths = given.database_recipients, given.database_recipients_files
    named = {one.fingerprint for one in age.load(texts, paths)} if texts or paths else set()
    return named.union(*sealed_to)


def _apart(target: OpenSet, theirs: set[str], allowed: bool) -> None:
    both = [one.fingerprint for one in target.recipients if one.fingerprint in theirs]
    if both and not allowed:
        raise KeyProblem(
            f"recipient {both[0]} decrypts the database and its secrets, so one stolen key is enough; encrypt the secrets for "
            "separate recipients, or set allow_same_recipients"
        )


def _make(
    invocation: Invocation[Options],
    target: OpenSet,
    found: Collected,
    first: SecretsPart | None,
    database: t.Mapping[str, object] | None,
    theirs: set[str],
) -> SecretsPart:
    """Return the part, or the predicted part in check mode. The pairing is proved before anything is encrypted."""
    given = invocation.options
    earlier = first["key_ids"] if first else {}
    proof = None
    if given.reading == 2 and database:
        proof = pairing.prove(given.postgres, database, found.keys, found.backend, _keks(earlier))
    key_set = bundle.key_set(found.state_key, found.files)
    path = keys.secrets_key(key_set, target.set_id)
    old = _kept(target, key_set, theirs, first, given.allow_same_recipients)
    artifact = old
    if old is None:
        target.refuse_leftovers([path])
        if target.opened and not invocation.check_mode:
            artifact = _seal(target, found, path)
    ids = {**found.keys.ids, **{f"{name}.1": key_id for name, key_id in earlier.items() if found.keys.ids.get(name, key_id) != key_id}}
    part: SecretsPart = {
        "artifacts": [artifact.to_dict()] if artifact and not _named(first, artifact) else [],
        "key_ids": ids,
        "left_out": _left_out(found),
        "states": bundle.states(found.state_key, found.files),
        "result": {
            "family": found.family,
            "names": found.names,
            "count": len(found.files),
            "key_ids": ids,
            "key_set": key_set,
            "path": artifact.path if artifact else path,
            "shared": old is not None,
            "changed_names": _changed(first, found),
            "pairing": proof,
        },
    }
    return {**part, "pairing": proof} if proof else part


def _named(first: SecretsPart | None, artifact: Artifact) -> bool:
    """Return True if the part of the first reading already has the artifact."""
    return artifact.path in [one["path"] for one in (first["artifacts"] if first else ())]


def _keks(ids: t.Mapping[str, str]) -> list[str]:
    return [key_id for name, key_id in ids.items() if name in ("kek", "kek_previous")]


def _kept(target: OpenSet, key_set: str, theirs: set[str], first: SecretsPart | None, allowed: bool) -> Artifact | None:
    """Return an object with the same state in this set or the newest one, if all current recipients can decrypt it.

    A damaged set is not used.
    """
    candidates = [artifacts.parse(one, "the first reading", target.set_id) for one in (first["artifacts"] if first else ())]
    record = target.opened.catalog.newest() if target.opened else None
    if target.opened and record:
        try:
            older = target.opened.catalog.read(record.set_id).manifest.artifacts
        except (TamperedData, StorageError):
            older = ()
        candidates += [dataclasses.replace(one, shared_from=one.shared_from or record.set_id) for one in older]
    wanted = {one.fingerprint for one in target.recipients}
    for one in candidates:
        if one.kind != artifacts.SECRETS or not one.path.startswith(f"{keys.OBJECTS}/secrets/{key_set}."):
            continue
        stored = target.store.stat(one.path)
        apart = allowed or not theirs & set(one.recipients)
        if wanted <= set(one.recipients) and apart and stored is not None and stored.size == one.size:
            return one
    return None


def _seal(target: OpenSet, found: Collected, path: str) -> Artifact:
    with target.sealed(path) as (sealer, publish):
        bundle.write(sealer, found.family, found.files)
        made = publish(path)
    return target.artifact(artifacts.SECRETS, path, made)


def _left_out(found: Collected) -> dict[str, str]:
    if found.backend == rules.BUILTIN:
        return {}
    return {"external secret values": f"{found.backend} stores provider secrets, tokens and signing keys; back it up separately"}


def _changed(first: SecretsPart | None, found: Collected) -> list[str]:
    """Return the names of files that differ from the first reading.

    Its states are comparable only if KEK and audit key are unchanged.
    """
    if first is None:
        return []
    before, ids = first["states"], first["key_ids"]
    bound = {name: found.keys.ids[name] for name in ("kek", "audit_hmac_key")}
    if any(ids.get(name) != key_id for name, key_id in bound.items()):
        names = {one.key: one.name for one in secrets.NAMES[found.family] if one.key}
        other = {f"{bundle.SECRETS}/{names[name]}" for name, key_id in found.keys.ids.items() if name in names and ids.get(name) != key_id}
        return sorted(other | (before.keys() ^ set(found.names)))
    now = bundle.states(found.state_key, found.files)
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
