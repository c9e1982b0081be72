# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings in the source of sets and checkpoints, as recorded in the journal, and the operator's acknowledgements.

A finding is recorded once, by its digest. It stays open for every later reader until the operator signs an
acknowledgement of that digest.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from . import decisions, layout
from . import entry as entries
from .decisions import Correction
from .entry import Entry, body
from .fields import Fields
from .journal import Journal

# Limit of findings in one entry.
MOST = 50
MESSAGE_LIMIT = 1000
# Findings of these checks stay open until they are acknowledged, since the row may be gone or overwritten again. Other
# checks repeat their findings for as long as they are true.
LASTING = ("blocks.journal", "audit.content", "audit.links", "audit.retention_lowered", "admin.content", "admin.links")


@dataclasses.dataclass(frozen=True)
class Recorded:
    """One finding: the check that made it, a SHA-256 over the exact finding, and a line of text."""

    check: str
    digest: str
    message: str

    @property
    def lasts(self) -> bool:
        """Return whether the finding fails later verifications that do not detect it themselves."""
        return self.check in LASTING


@dataclasses.dataclass(frozen=True)
class FindingEntry:
    """The body of an entry: findings in the set or checkpoint `found_in` at its creation or verification."""

    found_in: str
    findings: tuple[Recorded, ...]

    def to_body(self) -> dict[str, object]:
        return {"in": self.found_in, "findings": [dataclasses.asdict(one) for one in self.findings]}


@dataclasses.dataclass(frozen=True)
class Standing:
    """A recorded finding. `acknowledged` is the newest acknowledgement that has not expired; without one, the finding is open."""

    finding: Recorded
    found_in: str
    entry: Entry
    acknowledged: Correction | None


def parse(values: t.Iterable[Fields]) -> tuple[Recorded, ...]:
    """Parse the findings of a signed document. Raises TamperedData."""
    return tuple(_recorded(one) for one in values)


def _recorded(fields: Fields) -> Recorded:
    found = Recorded(fields.text("check"), fields.sha256("digest"), fields.text("message"))
    fields.end()
    if len(found.message) > MESSAGE_LIMIT or not found.message.isprintable():
        raise fields.fault("has an invalid message")
    return found


def read(entry: Entry) -> FindingEntry:
    """Parse a verified entry. Raises TamperedData."""
    fields = body(entry)
    found = FindingEntry(fields.text("in"), parse(fields.inners("findings")))
    fields.end()
    if not layout.is_id(found.found_in) or not found.findings or len(found.findings) > MOST:
        raise fields.fault("does not name its findings and their set or checkpoint")
    return found


def standing(journal: Journal, now: datetime.datetime) -> list[Standing]:
    """Return all findings that the journal records, in order. Raises TamperedData."""
    acknowledged = acknowledgements(journal, now)
    found: dict[str, Standing] = {}
    for entry in journal.of_kind(entries.FINDING):
        record = read(entry)
        for one in record.findings:
            found.setdefault(one.digest, Standing(one, record.found_in, entry, acknowledged.get(one.digest)))
    return list(found.values())


def acknowledgements(journal: Journal, now: datetime.datetime) -> dict[str, Correction]:
    """Return the newest acknowledgement that is valid at `now`, by the digest of the finding."""
    found: dict[str, Correction] = {}
    for entry in journal.of_kind(entries.CORRECTION):
        correction = decisions.acknowledgement(entry)
        if correction and correction.expires and correction.expires > now:
            found.update(dict.fromkeys(correction.findings, correction))
    return found
