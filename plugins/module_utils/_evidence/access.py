# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Access to a repository, from the options that name it."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import socket
import typing as t

from .._crypto.allowed_signers import Verifier
from .._crypto.signing import Signer
from .._errors import BackupError, OptionError
from .._options.shared import RecipientOptions, RepositoryOptions
from .._report.check import PASS, UNPROVEN, WARN, Check
from .._repository import journal as journals
from .._repository import layout, objects
from .._repository import repository as repositories
from .._repository.catalog import Catalog, StoredSet
from .._repository.decisions import TIME
from .._repository.fields import timestamp
from .._repository.journal import Journal
from .._repository.manifest import Manifest
from .._repository.mark import FRESH, HighWaterMark
from .._repository.repository import Repository
from .._storage import s3_lock
from .._storage.base import Store
from .._storage.schemes import open_store
from . import clocks

SHADOWED_LISTED = 100


class JournalResult(t.TypedDict):
    """What a module returns that has worked with a journal: its head, and for `--diff` what changed."""

    journal_head: str
    diff: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Opened:
    """A repository whose whole journal this host has verified, now or before. `freshness` is `fresh` or `unproven` (no mark yet)."""

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


def open_repository(
    given: RepositoryOptions,
    assumed: t.Mapping[int, str] | None = None,
    what: str = TIME,
    *,
    warn: t.Callable[[str], None] = lambda _text: None,
    everything: bool = False,
) -> Opened:
    """Raises TamperedData for a journal that cannot be trusted.

    With `everything`, for who verifies, what this host has verified before is read again too. `warn` is told what lies behind the end and
    is no entry. `assumed` are entries that are read as if an operator had corrected them; for who is about to do that.
    """
    store = open_store(given.repository, given.bucket)
    check_outside(store, given)
    verifier = Verifier.load(given.allowed_signers, given.revoked_keys)
    repository = repositories.load(store, verifier, given.deployment)
    mark = HighWaterMark(given.high_water_mark)
    known = None if everything or assumed else mark.verified(repository, verifier)
    journal = journals.read(repository, verifier, assumed, what, known)
    freshness = mark.check(journal)
    if journal.unsigned:
        warn(unsigned_words(store, journal))
    return Opened(store, verifier, repository, journal, Catalog(repository, journal, verifier), mark, freshness)


def unsigned_words(store: Store, journal: Journal) -> str:
    """Of what lies behind the journal's end and is no entry."""
    more = f" and {len(journal.unsigned) - 1} more" if len(journal.unsigned) > 1 else ""
    return (
        f"{store.location}/{journal.unsigned[0]}{more} is not a journal entry: no key of allowed_signers signed it. The journal ends at "
        f"{journal.head}. If your new key signed it, add that key. Otherwise find out who wrote it, and move it away"
    )


def signer(opened: Opened, deployment: str, signing_key: str, role: str) -> Signer:
    """Who enters something into the journal, whom readers would believe: tried, since it is too late afterwards. Raises KeyProblem, and
    VerificationFailed where the store's clock says another time."""
    clocks.check_store(opened.store, now())
    found = Signer(signing_key, layout.principal(role, deployment))
    trial = found.sign(b"preflight", layout.NAMESPACE_JOURNAL)
    opened.verifier.verify(b"preflight", trial, layout.NAMESPACE_JOURNAL, found.principal, name=f"the trial signature of {signing_key}")
    return found


def check_outside(store: Store, given: RepositoryOptions, **others: str | None) -> None:
    """Files by which this host trusts the repository must not come from it; `others` by the name of their option."""
    inside = os.path.realpath(store.location) + os.sep  # of a bucket, a path that no file has
    own = {"allowed_signers": given.allowed_signers, "revoked_keys": given.revoked_keys, "high_water_mark": given.high_water_mark}
    for name, path in {**own, **others}.items():
        if path and os.path.realpath(path).startswith(inside):
            raise OptionError(
                f"{name} {path} is inside the repository, where anyone with write access to it could change the file; store it elsewhere"
            )


def freshness_check(opened: Opened) -> Check:
    """Whether this host has seen the journal before, and nothing was rolled back since."""
    if opened.freshness == FRESH:
        return Check("journal.freshness", PASS, f"journal head {opened.head} is not older than this host's high-water mark")
    return Check(
        "journal.freshness",
        UNPROVEN,
        "this host has no high-water mark yet, so a rolled-back journal would not be detected",
        required=False,
    )


def shadowed_checks(opened: Opened) -> list[Check]:
    """Whether something lies over what was signed, where a store can tell. The signed versions were read nevertheless."""
    layered = opened.store.layered()
    if layered is None:
        return []
    found = [f"{opened.store.location}/{key}" for key in sorted(_shadowed(opened, layered))]
    if not found:
        return [Check("repository.shadowed", PASS, "no signed object was overwritten or hidden by a delete marker")]
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    words = "was overwritten or hidden by a delete marker; find out who did it (the signed version was read)"
    return [Check("repository.shadowed", WARN, f"{found[0]}{more} {words}", details={"paths": found[:SHADOWED_LISTED]})]


def _shadowed(opened: Opened, layered: t.Sequence[str]) -> t.Iterator[str]:
    """What nobody deletes by right, and what is signed and not on top. All else may be deleted and written again."""
    folders = tuple({f"{one.rpartition('/')[0]}/" for entry in opened.journal.entries for one in entry.subjects if "/" in one})
    yield from (key for key in layered if s3_lock.is_kept(key) and key.startswith((layout.REPOSITORY, f"{layout.JOURNAL}/", *folders)))
    others = {key for key in layered if not s3_lock.is_kept(key)}
    if not others:
        return
    manifests = [one for one in opened.catalog.manifests(opened.catalog.sets()).values() if isinstance(one, Manifest)]
    named = {(one.path, one.sha256, one.size) for manifest in manifests for one in manifest.artifacts}
    subjects = {(key, digest, None) for entry in opened.journal.entries for key, digest in entry.subjects.items()}
    for key, digest, size in {*named, *subjects}:
        with contextlib.suppress(BackupError):  # other checks tell what is not there
            if key in others and objects.is_shadowed(opened.store, key, digest, size):
                yield key


def countersignature_checks(opened: Opened, sets: t.Iterable[StoredSet]) -> list[Check]:
    """Countersignatures that do not hold: they prove nothing, and somebody put them there."""
    wrong: list[str] = []
    for one in sets:
        opened.catalog.countersignatures(one, wrong)
    if not wrong:
        return []
    more = f" ({len(wrong)} of them)" if len(wrong) > 1 else ""
    return [Check("set.countersignatures", WARN, f"invalid countersignature{more}: {wrong[0]}", required=False)]


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def times(manifest: Manifest | None = None) -> dict[str, str | None]:
    """Times of a journal entry: this host's, and the database's where a snapshot was taken. A directory has no clock."""
    database = max(one.snapshot_time for one in manifest.sources) if manifest and manifest.sources else None
    return {"host": timestamp(now()), "database": timestamp(database) if database else None, "store": None}


def machine() -> str:
    """The name under which this host signs."""
    return socket.gethostname()


def key_folders(signing_key: str | None, recipients: RecipientOptions) -> list[str]:
    """Where an age identity would lie if it lay on this host: beside our own keys, and in age's usual places."""
    named = [signing_key, *recipients.recipients_files]
    home = os.path.expanduser("~")
    usual = [os.path.join(home, *parts) for parts in ((".config", "age"), (".config", "sops", "age"), (".age",), (".ssh",))]
    return sorted({os.path.dirname(os.path.abspath(path)) for path in named if path} | {*usual, "/etc/age"})
