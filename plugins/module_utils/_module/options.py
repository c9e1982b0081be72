# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What several use cases make of the same options."""

from __future__ import annotations

import dataclasses
import datetime
import os
import socket
import typing as t

from .._backupset import journal as journals
from .._backupset import layout
from .._backupset import repository as repositories
from .._backupset.catalog import Catalog
from .._backupset.fields import timestamp
from .._backupset.journal import Journal
from .._backupset.manifest import Manifest
from .._backupset.mark import FRESH, HighWaterMark
from .._backupset.repository import Repository
from .._crypto.allowed_signers import Verifier
from .._crypto.signing import Signer
from .._errors import OptionError
from .._report.check import FAIL, PASS, UNPROVEN, Check, overall
from .._storage.base import Store
from .._storage.schemes import open_store

SHADOWED_LISTED = 100


@dataclasses.dataclass(frozen=True)
class Opened:
    """A repository whose whole journal has been verified. `freshness` is `fresh` or `unproven` (no mark yet)."""

    store: Store
    verifier: Verifier
    repository: Repository
    journal: Journal
    catalog: Catalog
    mark: HighWaterMark
    freshness: str

    @property
    def head(self) -> str:
        return str(self.journal.head)


def open_repository(options: t.Mapping[str, t.Any]) -> Opened:
    """From the options of fragment `_repository`; raises TamperedData for a journal that cannot be believed."""
    store = open_store(options["repository"], options)
    check_outside(store, options)
    verifier = Verifier.load(options["allowed_signers"], options["revoked_keys"])
    repository = repositories.load(store, verifier, options["deployment"])
    journal = journals.read(repository, verifier)
    mark = HighWaterMark(options["high_water_mark"])
    freshness = mark.check(journal)
    return Opened(store, verifier, repository, journal, Catalog(repository, journal, verifier), mark, freshness)


def signer(opened: Opened, options: t.Mapping[str, t.Any], role: str) -> Signer:
    """Who enters something into the journal, whom readers would believe: tried, since it is too late afterwards. Raises KeyProblem."""
    found = Signer(options["signing_key"], layout.principal(role, options["deployment"]))
    trial = found.sign(b"preflight", layout.NAMESPACE_JOURNAL)
    opened.verifier.verify(b"preflight", trial, layout.NAMESPACE_JOURNAL, found.principal, name=f"a trial with {options['signing_key']}")
    return found


def check_outside(store: Store, options: t.Mapping[str, t.Any]) -> None:
    """What we believe the repository by must not come from it."""
    inside = os.path.realpath(store.location) + os.sep  # of a bucket, a path that no file has
    for name in ("allowed_signers", "revoked_keys", "high_water_mark", "timestamp_roots"):
        path = options.get(name)
        if path and os.path.realpath(path).startswith(inside):
            raise OptionError(f"{name} {path} lies inside the repository, whose writers could change it; keep it elsewhere")


def freshness_check(opened: Opened) -> Check:
    """Whether this host has seen the journal before, and nothing was rolled back since."""
    if opened.freshness == FRESH:
        return Check("journal.freshness", PASS, f"journal head {opened.head} is not older than what this host remembers")
    return Check(
        "journal.freshness", UNPROVEN, "this host has no high-water mark yet, so a rolled-back journal would not be seen", required=False
    )


def shadowed_checks(opened: Opened) -> list[Check]:
    """Whether something lies over what was written, where a store can tell. The true versions were read nevertheless."""
    keys = opened.store.shadowed()
    if keys is None:
        return []
    named = _named(opened)
    found = [f"{opened.store.location}/{key}" for key in keys if key.startswith(named)]
    if not found:
        return [Check("repository.shadowed", PASS, "nothing was written over or hidden by a delete marker")]
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    words = (
        "has another version or a delete marker on top, which nobody puts there by right; the first version was read, find out who did it"
    )
    return [Check("repository.shadowed", FAIL, f"{found[0]}{more} {words}", details={"paths": found[:SHADOWED_LISTED]})]


def _named(opened: Opened) -> tuple[str, ...]:
    """Beginnings of keys that the journal vouches for: what killed and aborted runs have left may be deleted, and written again."""
    folders = {subject.rpartition("/")[0] for entry in opened.journal.entries for subject in entry.subjects if "/" in subject}
    return (layout.REPOSITORY, f"{layout.JOURNAL}/", f"{layout.OBJECTS}/", *(f"{folder}/" for folder in sorted(folders)))


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def times(manifest: Manifest | None = None) -> dict[str, str | None]:
    """Times of a journal entry: this host's, and the database's where a snapshot was taken. A directory has no clock."""
    database = max(one.snapshot_time for one in manifest.sources) if manifest and manifest.sources else None
    return {"host": timestamp(now()), "database": timestamp(database) if database else None, "store": None}


def machine() -> str:
    """The name under which this host signs."""
    return socket.gethostname()


def key_folders(options: t.Mapping[str, t.Any]) -> list[str]:
    """Where an age identity would lie if it lay on this host: beside our own keys, and in age's usual places."""
    named = [options["signing_key"], *options.get("recipients_files", ())]
    home = os.path.expanduser("~")
    usual = [os.path.join(home, *parts) for parts in ((".config", "age"), (".config", "sops", "age"), (".age",), (".ssh",))]
    return sorted({os.path.dirname(os.path.abspath(path)) for path in named if path} | {*usual, "/etc/age"})


def judged(checks: t.Sequence[Check], require_valid: bool) -> dict[str, t.Any]:
    """`verdict` and `checks` of a result, and `msg` for a verdict other than pass; with `require_valid` that is the module's failure."""
    verdict = overall(checks)
    result: dict[str, t.Any] = {"changed": False, "verdict": verdict, "checks": [check.to_result() for check in checks]}
    if verdict != PASS:
        first = next((check for check in checks if check.required and check.verdict == (FAIL if verdict == FAIL else UNPROVEN)), None)
        result["msg"] = f"verdict {verdict}: {first.id}: {first.message}" if first else f"verdict {verdict}: no check was made"
        if require_valid:
            result["failed"] = True
    return result
