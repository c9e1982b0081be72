# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One journal entry as bytes: an in-toto Statement. Its predicate records the event, its subject and its writer.

Nothing in this file verifies signatures. The caller verifies the signature over all bytes before it uses an entry.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import typing as t

from .._crypto import strict_json
from .._errors import KeyProblem, TamperedData
from . import layout
from .fields import Fields, parse_timestamp, timestamp

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://caracal-ops.github.io/backup/journal/v1"

GENESIS = "genesis"
SET = "set"
DRILL = "drill"
RESTORE = "restore"
CHECKPOINT = "checkpoint"
PRUNE = "prune"
HOLD = "hold"
ESCROW = "escrow"
VERIFICATION = "verification"
ARCHIVE_DAY = "archive-day"
CORRECTION = "correction"
FINDING = "finding"
# The kind of an entry that an operator revoked. It is never written.
TAKEN_BACK = "taken-back"

# The roles that may sign each kind: with a stolen drill key an attacker must not be able to commit a set.
MAY_SIGN: dict[str, tuple[str, ...]] = {
    GENESIS: (layout.BACKUP, layout.OPERATOR),
    SET: (layout.BACKUP,),
    CHECKPOINT: (layout.BACKUP,),
    DRILL: (layout.DRILL,),
    RESTORE: (layout.OPERATOR,),
    PRUNE: (layout.PRUNE,),
    HOLD: (layout.OPERATOR,),
    "rekey": (layout.OPERATOR,),
    ESCROW: (layout.OPERATOR,),
    VERIFICATION: (layout.DRILL,),
    ARCHIVE_DAY: (layout.BACKUP,),
    "erasure": (layout.OPERATOR,),
    CORRECTION: (layout.OPERATOR,),
    FINDING: (layout.BACKUP, layout.DRILL),
}


class Subject(t.TypedDict):
    """The subject of an entry: the key of an object and its digest."""

    name: str
    digest: dict[str, str]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def subject(name: str, digest: str) -> Subject:
    return {"name": name, "digest": {"sha256": digest}}


@dataclasses.dataclass(frozen=True)
class Head:
    """The newest entry. Its text form goes into reports and mails, which then prove later that the entry existed."""

    sequence: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.sequence}-{self.sha256[:16]}"


@dataclasses.dataclass(frozen=True)
class Draft:
    """The caller's part of a new entry. `time` has `host`, `database` and `store`; the last two are None if unknown."""

    kind: str
    subjects: t.Sequence[Subject]
    body: t.Mapping[str, object]
    time: t.Mapping[str, str | None]
    machine: str

    @property
    def format(self) -> int:
        """The first format that supports the content of the entry."""
        return layout.NEWEST if self.kind == FINDING or (self.kind == CORRECTION and "findings" in self.body) else layout.FORMAT


@dataclasses.dataclass(frozen=True)
class Entry:
    """A verified entry. `subjects` maps names to SHA-256 digests. `judged` is the time at which its signer had to be valid."""

    sequence: int
    sha256: str
    previous: str | None
    kind: str
    subjects: dict[str, str]
    time: dict[str, str | None]
    principal: str
    machine: str
    body: dict[str, object]
    judged: datetime.datetime

    @property
    def latest(self) -> datetime.datetime:
        """The latest time that the writer claims. The database time is left out, because another host sets that clock."""
        return max(parse_timestamp(when) for name, when in self.time.items() if when and name != "database")


def to_bytes(draft: Draft, repository: str, deployment: str, sequence: int, previous: str | None, principal: str) -> bytes:
    return strict_json.dumps(
        {
            "_type": STATEMENT_TYPE,
            "subject": list(draft.subjects),
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "kind": draft.kind,
                **layout.format_fields(draft.format),
                "repository": repository,
                "deployment": deployment,
                "sequence": sequence,
                "previous": previous,
                "time": dict(draft.time),
                "writer": {"principal": principal, "machine": draft.machine},
                "body": dict(draft.body),
            },
        }
    )


def parse(data: bytes, name: str, repository: str, deployment: str) -> Entry:
    """Parse signed bytes. The entry must belong to this repository; `judged` is set to the time that the entry claims."""
    statement = Fields(strict_json.loads(data, name), name)
    if (statement.text("_type"), statement.text("predicateType")) != (STATEMENT_TYPE, PREDICATE_TYPE):
        raise statement.fault("is not a journal entry")
    predicate = statement.inner("predicate")
    predicate.format(layout.NEWEST)
    subjects = _subjects(statement)
    statement.end()
    for field, wanted in (("repository", repository), ("deployment", deployment)):
        found = predicate.text(field)
        if found != wanted:
            raise TamperedData(
                f"{name} belongs to {field} {found[:80]!a}, not to {wanted}: it was copied here; use another copy of the repository"
            )
    time, judged = _time(predicate.inner("time"))
    writer = predicate.inner("writer")
    entry = Entry(
        sequence=predicate.integer("sequence"),
        sha256=sha256(data),
        previous=predicate.optional_text("previous"),
        kind=predicate.one_of("kind", MAY_SIGN),
        subjects=subjects,
        time=time,
        principal=writer.text("principal"),
        machine=writer.text("machine"),
        body=predicate.dictionary("body"),
        judged=judged,
    )
    writer.end()
    predicate.end()
    return entry


def body(entry: Entry) -> Fields:
    """Return the body of a verified entry as fields.

    A stolen key can sign an invalid body, so the remedy in errors is to revoke the entry. A correction cannot be
    revoked.
    """
    name = f"the body of entry {entry.sequence} of the journal"
    return Fields(entry.body, name) if entry.kind == CORRECTION else Fields(entry.body, name, taken_back(entry))


def taken_back(entry: Entry) -> str:
    return f"revoke it with journal_correct (entries: {entry.sequence}-{entry.sha256[:16]}, what: everything)"


def check_role(kind: str, principal: str, deployment: str, name: str) -> None:
    """Raise KeyProblem if `principal` may not sign entries of this kind."""
    allowed = [layout.principal(role, deployment) for role in MAY_SIGN[kind]]
    if principal not in allowed:
        raise KeyProblem(f"{name} is an entry of kind {kind} signed as {principal[:80]!a}; only {' or '.join(allowed)} may sign this kind")


def _subjects(statement: Fields) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in statement.inners("subject"):
        name, digest = one.text("name"), one.inner("digest")
        if name in found:
            raise one.fault("names a subject twice")
        found[name] = digest.sha256("sha256")
        digest.end()
        one.end()
    if not found:
        raise statement.fault("has no subject")
    return found


def _time(fields: Fields) -> tuple[dict[str, str | None], datetime.datetime]:
    """Return the recorded times, and the time that counts.

    The store's time counts if there is one, because the signer does not control that clock.
    """
    host, database, store = fields.time("host"), fields.optional_time("database"), fields.optional_time("store")
    fields.end()
    shown = {"host": host, "database": database, "store": store}
    return {name: None if when is None else timestamp(when) for name, when in shown.items()}, store or host
