# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: verify both audit chains of a database, and compare them with keys, journal and exports."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ..._ansible.boundary import Invocation
from ..._caracal import releases
from ..._caracal.chains import block_history, chain_gaps, chain_keys, chain_verdict
from ..._caracal.chains.audit_blocks import Block
from ..._caracal.chains.audit_chains import ADMIN, AUDIT, Chain
from ..._caracal.chains.block_history import Baseline
from ..._caracal.chains.chain_examiner import Seen
from ..._caracal.chains.chain_gaps import Gap
from ..._caracal.chains.chain_keys import AuditKey
from ..._caracal.inventory import inventory
from ..._caracal.retention import audit, settings
from ..._drivers.postgres import client_binaries, preflight, snapshot
from ..._drivers.postgres.guard import Guard
from ..._drivers.postgres.server import Server, Session
from ..._errors import OptionError, StorageError
from ..._evidence import access, audit_retention, baseline, history, place
from ..._evidence.access import Opened
from ..._files import paths
from ..._options import declared
from ..._options.declared import Path, Rules
from ..._options.shared import AuditChainOptions, CopyOptions, RepositoryOptions
from ..._reading import database_layout, reading
from ..._reasons import MISSING_SECRET
from ..._report.check import FAIL, NOT_APPLICABLE, UNPROVEN, WARN, Check, VerdictResult, judged
from ..._report.text import duration
from ..._repository.fields import parse_timestamp
from ..._stream import progress
from ..._stream.progress import Progress
from . import chain_reading

RETENTION_DAYS = 365
# Seconds.
SMALLEST_SKEW = 60
APPLICATION = "caracal_ops.backup audit_chain_verify"


@dataclasses.dataclass(frozen=True)
class Context:
    """Facts about the database that the checks need in addition to its rows."""

    layout: database_layout.Layout
    facts: snapshot.SourceFacts
    marker: int | None
    retention_days: int
    skew: int
    since: Baseline | None

    def floors(self, chain: Chain) -> dict[str, int]:
        """Return the first number to read for zones that are not read from 1."""
        heads = block_history.heads(self.since.blocks) if self.since else {}
        return {zone: head for (name, zone), head in heads.items() if name == chain.name}

    @property
    def release(self) -> str:
        return (self.layout.detected.release if self.layout.detected else None) or "an unknown release"

    @property
    def keyless(self) -> bool:
        """True if the API has no audit key. The Compose file of that family only gives the key to services that write events."""
        return self.layout.detected is not None and self.layout.detected.family == releases.ZONE_KEK

    @property
    def recompute(self) -> bool | None:
        """True if content hashes can be computed from the stored rows, or None if the release is unknown."""
        detected = self.layout.detected
        if detected is None or detected.release is None:
            return None
        return detected.release != block_history.HASHES_RECEIVED


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    RULES = Rules(mutually_exclusive=(("set_id", "since"), ("exports", "since")))

    copy: CopyOptions = dataclasses.field(default_factory=CopyOptions)
    access: RepositoryOptions | None = None
    chains: AuditChainOptions = dataclasses.field(default_factory=AuditChainOptions)
    database: str = "caracal"
    exports: Path | None = None
    set_id: str | None = None
    since: str | None = None
    audit_retention_days: int | None = None
    audit_clock_skew_seconds: int = 300
    jobs: int = 2
    require_valid: bool = True


class ChainCoverage(t.TypedDict):
    """Rows, zones and newest links of one chain."""

    rows: int
    zones: int
    heads: dict[str, int]


class Coverage(t.TypedDict):
    """The request, the findings, and the parts that were not verified."""

    release: str | None
    snapshot_time: str
    asked: str
    leaves: dict[str, int]
    chains: dict[str, ChainCoverage]
    keys: list[str]
    not_verified: list[str]


class _Covered(VerdictResult):
    coverage: Coverage
    seconds: float


class Result(_Covered, total=False):
    """The verdict. `journal_head` is set if a repository was given."""

    journal_head: str


def run(invocation: Invocation[Options]) -> Result:
    """Read every row once, then evaluate the checks."""
    with progress.shown() as display:
        return _verified(invocation, display)


def _verified(invocation: Invocation[Options], display: Progress) -> Result:
    started = time.monotonic()
    given = invocation.options
    keys = hmac_keys(given.chains.audit_hmac_key_files)
    _refuse_small_skew(given.audit_clock_skew_seconds)
    opened = access.open_repository(given.access, warn=invocation.warn) if given.access else None
    server = place.server_of(given.copy)[0].named(APPLICATION)
    client = _client(invocation, server)
    with (
        Guard(server, given.database, given.chains.lock_hold_max) as guard,
        snapshot.Snapshot(server, given.database, alone=False) as held,
    ):
        since = _since(opened, given.since)
        context = _context(held, given, since)
        plan = _plan(client.paths["psql"], keys, context, given, display)
        chains = chain_reading.read(held.place, context.layout, plan, guard)
        known = since or _known(opened, given.set_id, held.facts["system_identifier"])
        accepted = history.acknowledged(opened) if opened else frozenset()
        committed = _committed(given, opened, known, held, context, chains, accepted)
        checks = [*_chain_checks(context, chains, keys, opened, known, accepted), *committed]
        if given.exports:
            from . import exports_against_rows

            cuts = baseline.cuts(opened) if opened else []
            ingested, gather = exports_against_rows.hours(chains.events), exports_against_rows.folder(given.exports, display)
            checks += exports_against_rows.compare(held.place, context.layout, gather, keys, cuts, ingested, guard)
    result: Result = {
        **judged(checks, given.require_valid),
        "coverage": _coverage(context, chains, keys, checks),
        "seconds": round(time.monotonic() - started, 3),
    }
    if opened is not None:
        result["journal_head"] = opened.head
        if not invocation.check_mode:
            opened.mark.advance(opened.journal)
    return result


def _client(invocation: Invocation[Options], server: Server) -> client_binaries.ClientTools:
    """Return the `psql` for a server. Raises an error if the login cannot see all rows."""
    with Session(server, invocation.options.database) as session:
        preflight.full_sight(session)
        major = int(session.value("SELECT current_setting('server_version_num')")) // 10000
    client = client_binaries.find(invocation.options.copy.postgres.pg_bin, minimum_major=major, tools=("psql",))
    if client.doubt:
        invocation.warn(client.doubt)
    return client


def _plan(psql: str, keys: t.Sequence[AuditKey], context: Context, given: Options, display: Progress) -> chain_reading.ChainPass:
    with_blocks, with_hours = given.access is not None, bool(given.exports)
    return chain_reading.ChainPass(
        psql, tuple(keys), context.recompute, given.jobs, with_blocks, context.since, with_hours, display, context.skew
    )


def _refuse_small_skew(seconds: int) -> None:
    if seconds < SMALLEST_SKEW:
        raise OptionError(
            f"audit_clock_skew_seconds is below {SMALLEST_SKEW}, the skew that Caracal's services can have; set at least {SMALLEST_SKEW}"
        )


def hmac_keys(files: t.Sequence[str]) -> tuple[AuditKey, ...]:
    """Return the keys in the files of the option `audit_hmac_key_files`. Raises OptionError that names the file."""
    found = []
    for path in files:
        try:
            with paths.reading(path) as file:
                found.append(chain_keys.parse_file(file.read(chain_keys.TEXT_LIMIT).decode(), path))
        except (OSError, UnicodeDecodeError) as exc:
            why = getattr(exc, "strerror", None) or "it is not a text file"
            raise OptionError(f"audit_hmac_key_files: cannot read {path}: {why}; check path and owner", reason=MISSING_SECRET) from exc
    return chain_keys.distinct(found)


def _known(opened: Opened | None, set_id: str | None, source: str) -> Baseline:
    """Return the expected rows, from a set or from the newest journal entry for this cluster."""
    if opened is None:
        return Baseline()
    if set_id is None:
        return baseline.load(opened, source)
    return baseline.at(opened, opened.catalog.latest().set_id if set_id == "latest" else set_id)


def _since(opened: Opened | None, name: str | None) -> Baseline | None:
    if name is None:
        return None
    if opened is None:
        raise OptionError("since refers to a journal entry; set repository too")
    known = baseline.at(opened, name)
    if known.problem or not known.blocks:
        raise StorageError(f"since {name}: {known.problem or 'no audit blocks were recorded at that entry'}; use another entry")
    return known


def _context(held: snapshot.Snapshot, given: Options, since: Baseline | None) -> Context:
    layout = database_layout.read(held.session)
    names = {table.name for table in layout.tables if table.schema == "public"}
    if not layout.leaves:
        raise OptionError(
            f"database {given.database} has no partition of {AUDIT.table}, so it has no audit chain; correct the option database"
        )
    marker = held.session.value("SELECT count(*) FROM public.audit_chain_rehash") if "audit_chain_rehash" in names else None
    days = [given.audit_retention_days or RETENTION_DAYS]
    if "audit_retention" in names and (override := audit.override(held.session)) is not None:
        days.append(override)
    return Context(layout, held.facts, marker, min(days), given.audit_clock_skew_seconds, since)


def _chain_checks(
    context: Context,
    chains: chain_reading.Chains,
    keys: t.Sequence[AuditKey],
    opened: Opened | None,
    known: Baseline,
    accepted: t.Collection[str],
) -> list[Check]:
    existing = {leaf.name for leaf in context.layout.leaves}
    lost = sorted({block.leaf for block in known.blocks if block.chain == AUDIT.name} - existing)
    dropped = _dropped(opened, known.blocks, existing, chain_gaps.gaps(chains.events, context.floors(AUDIT)))
    ever = [*known.blocks, *dropped] if opened else None
    horizon = parse_timestamp(context.facts["time"]) - settings.period(context.retention_days)
    oldest = horizon.year, horizon.month
    checks = _of_chain(AUDIT, chains.events, keys, context, dropped, ever, accepted, chain_gaps.late_until(existing, oldest))
    checks.append(chain_verdict.times(chains.events, context.skew, accepted))
    checks.append(chain_gaps.partitions(chains.leaves, chains.events, lost, oldest, context.retention_days, accepted))
    marker = chain_gaps.rehash_marker(context.marker, sum(leaf.rows for leaf in chains.leaves))
    checks += [marker] if marker else []
    if chains.admin is None:
        words = f"{context.release} has no admin chain; the inventory's digest of the table covers its rows"
        return [*checks, Check("admin.rows", NOT_APPLICABLE, words, required=False)]
    return [*checks, *_of_chain(ADMIN, chains.admin, keys, context, [], known.blocks if opened else None, accepted)]


def _of_chain(
    chain: Chain,
    seen: Seen,
    keys: t.Sequence[AuditKey],
    context: Context,
    dropped: t.Sequence[Block],
    ever: t.Sequence[Block] | None,
    accepted: t.Collection[str],
    late_until: bytes = b"",
) -> list[Check]:
    """Return the checks of one chain.

    `dropped` are the blocks of dropped partitions. `ever` are all known blocks in the journal, or None without a
    journal. `accepted` are the digests of findings that the operator has acknowledged.
    """
    content = chain_verdict.content(chain, seen, context.recompute if chain == AUDIT else True, context.release, accepted)
    links = chain_verdict.links(chain, seen, accepted)
    sound = FAIL not in (content.verdict, links.verdict)
    missing = chain_gaps.gaps(seen, context.floors(chain))
    since = None if ever is None else chain_gaps.known_from(chain, ever)
    sequence = chain_gaps.sequence(chain, seen, missing, dropped, since, accepted, late_until)
    keyless = chain == ADMIN and context.keyless and ever is not None
    hmacs = chain_verdict.hmacs(chain, seen, keys, sound, keyless, accepted)
    return [chain_verdict.rows(chain, seen), content, links, *hmacs, sequence]


def _dropped(opened: Opened | None, known: t.Sequence[Block], existing: set[str], missing: t.Sequence[Gap]) -> list[Block]:
    """Return the journal's blocks of dropped partitions. The journal is searched backwards only until all missing numbers are explained."""
    if opened is None:
        return []
    since = [block for block in known if block.leaf not in existing]
    if not missing:
        return since
    return [*since, *baseline.dropped(opened, lambda found: not chain_gaps.all_explained(AUDIT, missing, [*since, *found]))]


def _committed(
    given: Options,
    opened: Opened | None,
    known: Baseline,
    held: snapshot.Snapshot,
    context: Context,
    chains: chain_reading.Chains,
    accepted: t.Collection[str],
) -> list[Check]:
    """Compare the rows with the journal."""
    if opened is None:
        words = (
            "no repository was given, so the chains cannot be compared with "
            "earlier records; removed rows at their end would not be detected"
        )
        return [Check(block_history.CHECK_ID, UNPROVEN, words)]
    if given.set_id:
        if known.problem:
            raise StorageError(f"{known.name or given.set_id}: {known.problem}; use another set")
        earlier = history.check(opened, upto=known.sequence)
        return [access.freshness_check(opened), earlier, inventory.compare_blocks(known.blocks, chains.blocks)]
    checks = [access.freshness_check(opened), history.check(opened)]
    compared = reading.compare_with_earlier(held.place, context.layout, known, chains.blocks, accepted, chains.unread)
    snapshot_time, source = context.facts["time"], context.facts["system_identifier"]
    retention = audit_retention.check(opened, held.session, context.layout, known, snapshot_time, source, accepted)
    return [*checks, dataclasses.replace(compared, required=True), retention, _tail(known, chains, context)]


def _tail(known: Baseline, chains: chain_reading.Chains, context: Context) -> Check:
    """Report rows above the newest journal entry. Only the product's chain binds them, and it does not reveal rows removed at its end."""
    heads = block_history.heads(known.blocks)
    now = block_history.heads(chains.blocks)
    above = sum(max(0, head - heads.get(zone, 0)) for zone, head in now.items())
    when, age = "", None
    if known.time:
        age = (parse_timestamp(context.facts["time"]) - known.time).total_seconds()
        when = f" of {known.time:%Y-%m-%d %H:%M} UTC, {duration(age)} ago"
    words = (
        f"since {known.name or 'the first row'}{when}, {above} rows were added that no signed entry covers; "
        "a holder of the audit key can edit, remove or replace these rows undetected"
    )
    return Check("audit.tail", UNPROVEN, words, required=False, details={"rows": above, "since": known.name, "age_seconds": age})


def _coverage(context: Context, chains: chain_reading.Chains, keys: t.Sequence[AuditKey], checks: t.Sequence[Check]) -> Coverage:
    found = {AUDIT.name: chains.events, **({ADMIN.name: chains.admin} if chains.admin is not None else {})}
    return {
        "release": context.release,
        "snapshot_time": context.facts["time"],
        "asked": f"rows after {context.since.name}; rows before it: not verified again" if context.since else "every row",
        "leaves": {leaf.name: leaf.rows for leaf in chains.leaves},
        "chains": {
            name: {"rows": sum(zone.rows for zone in seen.values()), "zones": len(seen), "heads": chain_verdict.heads(seen)}
            for name, seen in found.items()
        },
        "keys": [key.id for key in keys],
        "not_verified": [f"{check.id}: {check.message}" for check in checks if check.verdict in (UNPROVEN, NOT_APPLICABLE, WARN)],
    }
