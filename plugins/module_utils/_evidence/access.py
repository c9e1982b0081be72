# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Open a repository from the options that name it."""

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
    """The result of a module that used a journal: its head, and the changes for `--diff`."""

    journal_head: str
    diff: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Opened:
    """A repository whose whole journal this host has verified, now or earlier.

    `freshness` is `fresh` or `unproven` (no high-water mark yet).
    """

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
    """Open a repository. Raise TamperedData for a journal that cannot be trusted.

    With `everything`, entries that this host verified earlier are read again too. Verifications use this. `warn` is called if
    unsigned files follow the last entry. `assumed` are entries that are read as if an operator had corrected them. It is for a
    caller that is about to correct them.
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
    """Return the warning about unsigned files after the last journal entry."""
    more = f" and {len(journal.unsigned) - 1} more" if len(journal.unsigned) > 1 else ""
    return (
        f"{store.location}/{journal.unsigned[0]}{more} is not a journal entry: no key of allowed_signers signed it. The journal ends at "
        f"{journal.head}. If your new key signed it, add that key. Otherwise find out who wrote it, and move it away"
    )


def signer(opened: Opened, deployment: str, signing_key: str, role: str) -> Signer:
    """Return the signer for a new journal entry, after a trial signature, since a failure afterwards is too late.

    Raises KeyProblem if readers would not accept the signature, and VerificationFailed if the store's clock differs.
    """
    clocks.check_store(opened.store, now())
    found = Signer(signing_key, layout.principal(role, deployment))
    trial = found.sign(b"preflight", layout.NAMESPACE_JOURNAL)
    opened.verifier.verify(b"preflight", trial, layout.NAMESPACE_JOURNAL, found.principal, name=f"the trial signature of {signing_key}")
    return found


def check_outside(store: Store, given: RepositoryOptions, **others: str | None) -> None:
    """Raise OptionError if a file that this host trusts is inside the repository. `others` are paths by option name."""
    inside = os.path.realpath(store.location) + os.sep  # for a bucket, this path matches no file
    own = {"allowed_signers": given.allowed_signers, "revoked_keys": given.revoked_keys, "high_water_mark": given.high_water_mark}
    for name, path in {**own, **others}.items():
        if path and os.path.realpath(path).startswith(inside):
            raise OptionError(
                f"{name} {path} is inside the repository, where anyone with write access to it could change the file; store it elsewhere"
            )


def freshness_check(opened: Opened) -> Check:
    """Check that this host has seen the journal before, and that it was not rolled back since."""
    if opened.freshness == FRESH:
        return Check("journal.freshness", PASS, f"journal head {opened.head} is not older than this host's high-water mark")
    return Check(
        "journal.freshness",
        UNPROVEN,
        "this host has no high-water mark yet, so a rolled-back journal would not be detected",
        required=False,
    )


def shadowed_checks(opened: Opened) -> list[Check]:
    """Check that no signed object is hidden by a newer version, if the store can report that.

    The signed versions were read in any case.
    """
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
    """Yield keys that are never deleted regularly, and signed objects that are not the newest version.

    All other objects may be deleted and written again.
    """
    folders = tuple({f"{one.rpartition('/')[0]}/" for entry in opened.journal.entries for one in entry.subjects if "/" in one})
    yield from (key for key in layered if s3_lock.is_kept(key) and key.startswith((layout.REPOSITORY, f"{layout.JOURNAL}/", *folders)))
    others = {key for key in layered if not s3_lock.is_kept(key)}
    if not others:
        return
    manifests = [one for one in opened.catalog.manifests(opened.catalog.sets()).values() if isinstance(one, Manifest)]
    named = {(one.path, one.sha256, one.size) for manifest in manifests for one in manifest.artifacts}
    subjects = {(key, digest, None) for entry in opened.journal.entries for key, digest in entry.subjects.items()}
    for key, digest, size in {*named, *subjects}:
        with contextlib.suppress(BackupError):  # other checks report missing objects
            if key in others and objects.is_shadowed(opened.store, key, digest, size):
                yield key


def countersignature_checks(opened: Opened, sets: t.Iterable[StoredSet]) -> list[Check]:
    """Return a check about invalid countersignatures. They prove nothing, and an unknown party wrote them."""
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
    """Return the times of a journal entry: this host's time, and the database's time of the snapshot, if any. A directory has no clock."""
    database = max(one.snapshot_time for one in manifest.sources) if manifest and manifest.sources else None
    return {"host": timestamp(now()), "database": timestamp(database) if database else None, "store": None}


def machine() -> str:
    """Return the name of this host for signatures."""
    return socket.gethostname()


def key_folders(signing_key: str | None, recipients: RecipientOptions) -> list[str]:
    """Return directories in which an age identity could be on this host: next to the configured keys, and age's usual ones."""
    named = [signing_key, *recipients.recipients_files]
    home = os.path.expanduser("~")
    usual = [os.path.join(home, *parts) for parts in ((".config", "age"), (".config", "sops", "age"), (".age",), (".ssh",))]
    return sorted({os.path.dirname(os.path.abspath(path)) for path in named if path} | {*usual, "/etc/age"})
