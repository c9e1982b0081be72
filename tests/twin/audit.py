# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Audit events in time order, with interleaved zones and a valid chain in each zone, one line of COPY text at a time.

JSON is written with the order and spacing of `jsonb`, because the content hash covers the stored text. One release
hashes the text that was received; there the stored text must not give the hash.
"""

from __future__ import annotations

import collections
import datetime as dt
import json
import typing as t

from . import chain
from .copytext import NULL, escape, jsonb
from .dice import AWKWARD, Dice, microseconds, uuid7
from .facts import ZONE_KEK, Release
from .keys import Keys
from .spec import Spec
from .state.world import Zone

COLUMNS = (
    "id",
    "zone_id",
    "event_type",
    "request_id",
    "decision",
    "policy_set_id",
    "policy_set_version_id",
    "manifest_sha",
    "evaluation_status",
    "determining_policies_json",
    "diagnostics_json",
    "metadata_json",
    "occurred_at",
    "ingested_at",
    "content_sha256",
    "prev_content_sha256",
    "chain_hmac",
    "chain_seq",
    "ingest_signature",
)
REVEALED_KEPT = 8
_NOTES = tuple(jsonb(text) for text in AWKWARD)
_DETERMINING = '[{"policy": "data.caracal.authz.allow"}]'
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


class Event(t.NamedTuple):
    """The nine text columns and the three JSON texts of an event."""

    texts: tuple[str | None, ...]
    documents: tuple[str | None, ...]


Digest = t.Callable[[Event, int], str]


def digest_of(release: Release, dice: Dice) -> Digest:
    """Return the function that computes the content hash of an event and its Unix microseconds in this release."""

    def stored(event: Event, occurred_us: int) -> str:
        return chain.event_hash(event.texts, event.documents, occurred_us * 1000)

    def wire(event: Event, occurred_us: int) -> str:
        # Sorted keys, no blanks, and nanoseconds, which no column can store.
        received = (
            text and json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"), sort_keys=True) for text in event.documents
        )
        return chain.event_hash(event.texts, received, occurred_us * 1000 + dice.randrange(1, 1000))

    return wire if release.hashes_wire else stored


class ZoneChain:
    """The end of a zone's chain, and the method to extend it."""

    def __init__(self, zone: Zone, key: bytes, digest: Digest, seq: int = 0, head: str | None = None) -> None:
        self.zone = zone
        self._key = key
        self._digest = digest
        self.seq = seq
        self.head = head

    def append(self, event: Event, occurred_us: int, ingested_us: int, signature: str | None) -> list[str | None]:
        """Return the row's texts in the order of COLUMNS."""
        content = self._digest(event, occurred_us)
        previous, self.head = self.head, content
        self.seq += 1
        hmac = chain.link(self._key, content, previous)
        times = (stamp(occurred_us), stamp(ingested_us))
        return [*event.texts, *event.documents, *times, content, previous, hmac, str(self.seq), signature]


class EventMaker:
    """Events of a zone, of the kinds that a family's services write, in the proportions of a busy deployment."""

    def __init__(self, dice: Dice, release: Release) -> None:
        self._dice = dice
        self._approvals = release.family != ZONE_KEK

    def make(self, zone: Zone, occurred_us: int) -> Event:
        chance = self._dice.random()
        event_id = uuid7(occurred_us // 1000, self._dice.getrandbits(74))
        request = f"{self._dice.getrandbits(64):016x}"
        if chance < 0.35:
            return self._exchange(zone, event_id, request)
        if chance < 0.97:
            return self._gateway(zone, event_id, request)
        if not self._approvals:
            return self._repeated(zone, event_id, request, "jti_collision" if chance < 0.985 else "replay_detected")
        if chance < 0.98:
            return self._revealed(zone, event_id, request)
        return self._approval(zone, event_id, request, chance)

    def _exchange(self, zone: Zone, event_id: str, request: str) -> Event:
        dice = self._dice
        agent = zone.agents[dice.getrandbits(16) % len(zone.agents)]
        denied = dice.getrandbits(4) == 0
        note = _NOTES[dice.getrandbits(8) % len(_NOTES)]
        metadata = f'{{"note": {note}, "session_id": "{agent.authority}", "agent_labels": ["canary"], "agent_session_id": "{agent.id}"}}'
        decided = ("deny" if denied else "allow", zone.policy_set, zone.policy_set_version, zone.manifest_sha256, "complete")
        diagnostics = '[{"code": "scope_not_granted"}]' if denied else "[]"
        return Event(
            (event_id, zone.id, "token_exchange", request, *decided),
            ("[]" if denied else _DETERMINING, diagnostics, metadata),
        )

    def _gateway(self, zone: Zone, event_id: str, request: str) -> Event:
        dice = self._dice
        resource = zone.resources[dice.getrandbits(8) % len(zone.resources)]
        metadata = f'{{"method": "GET", "status": {200 + dice.getrandbits(2)}, "resource_id": "{resource}"}}'
        texts = (event_id, zone.id, "gateway_resource_request", request, "allow", None, None, None, "complete")
        return Event(texts, (None, None, metadata))

    def _repeated(self, zone: Zone, event_id: str, request: str, kind: str) -> Event:
        metadata = f'{{"jti": "{request}", "reason": "seen before"}}'
        return Event((event_id, zone.id, kind, request, "deny", None, None, None, "complete"), (None, None, metadata))

    def _revealed(self, zone: Zone, event_id: str, request: str) -> Event:
        metadata = f'{{"actor": "admin:bootstrap", "credential": "workload_secret", "workload_id": "{zone.workloads[0]}"}}'
        texts = (event_id, zone.id, "credential_revealed", request, "allow", None, None, None, "complete")
        return Event(texts, ("[]", "[]", metadata))

    def _approval(self, zone: Zone, event_id: str, request: str, chance: float) -> Event:
        kind, decision = ("step_up_issued", None) if chance < 0.99 else ("replay_detected", "deny")
        texts = (event_id, zone.id, kind, request if decision else None, decision, None, None, "", None)
        return Event(texts, (None, "[]", None if decision else f'{{"principal": "{zone.applications[0]}"}}'))


class AuditStream:
    """All audit events of a twin. `months` yields (first day, lines); consume each before the next.

    Afterwards `chains` contains the heads, and `revealed` the last events with a frame in the outbox.
    """

    def __init__(self, spec: Spec, keys: Keys, zones: t.Sequence[Zone], release: Release) -> None:
        self._spec = spec
        self._dice = Dice(spec.seed, "audit")
        self._maker = EventMaker(self._dice, release)
        digest = digest_of(release, Dice(spec.seed, "wire"))
        self.chains = [ZoneChain(zone, keys.audit_hmac_key, digest) for zone in zones]
        self.revealed: collections.deque[tuple[Event, int]] = collections.deque(maxlen=REVEALED_KEPT)
        self.last_ingested: dt.datetime | None = None

    def months(self) -> t.Iterator[tuple[dt.date, t.Iterator[str]]]:
        spec = self._spec
        first = microseconds(spec.month(1 - spec.months))
        span = microseconds(spec.now) - first
        done = 0
        for offset in range(1 - spec.months, 1):
            # Event n is at first + span * n // events, plus jitter; `end` is the first event after this month.
            end = -((first - microseconds(spec.month(offset + 1))) * spec.events // span) if offset < 0 else spec.events
            yield spec.month(offset).date(), self._lines(done, end, first, span, microseconds(spec.month(offset + 1)) - 1)
            done = end

    def _lines(self, start: int, end: int, first: int, span: int, last_us: int) -> t.Iterator[str]:
        dice, chains, step = self._dice, self.chains, max(span // max(self._spec.events, 1), 1)
        jitter = max(step // 2, 1)
        for number in range(start, end):
            occurred = min(first + span * number // self._spec.events + dice.getrandbits(48) % jitter, last_us)
            # The lower of two random numbers, because the traffic of real zones differs too.
            link = chains[min(dice.getrandbits(16) % len(chains), dice.getrandbits(16) % len(chains))]
            yield self._line(link, occurred, min(jitter, 900_000))

    def _line(self, link: ZoneChain, occurred: int, lag: int) -> str:
        event = self._maker.make(link.zone, occurred)
        if event.texts[2] == "credential_revealed":
            # These come through the outbox. Its frames have milliseconds.
            occurred = occurred // 1000 * 1000
            self.revealed.append((event, occurred))
        ingested = occurred + self._dice.getrandbits(20) % lag
        self.last_ingested = _EPOCH + dt.timedelta(microseconds=ingested)
        return copy_line(link.append(event, occurred, ingested, self._dice.hex(32)))


def copy_line(texts: t.Iterable[str | None]) -> str:
    """Return a line of COPY text from texts that may be NULL."""
    return "\t".join(NULL if text is None else escape(text) if "\\" in text else text for text in texts) + "\n"


def stamp(us: int) -> str:
    """Return Unix microseconds as PostgreSQL reads them, without floats."""
    return (_EPOCH + dt.timedelta(microseconds=us)).isoformat()
