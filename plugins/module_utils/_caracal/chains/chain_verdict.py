# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks from a pass over a chain: content, HMACs and links. For sequence and partitions, see `chain_gaps`."""

from __future__ import annotations

import itertools
import typing as t

from ..._reasons import MISSING_AUDIT_KEY, WRONG_AUDIT_KEY, because
from ..._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, WARN, Check
from .. import findings
from ..findings import Finding
from ..positions import Positions, Rows
from . import chain_switch
from .audit_chains import AUDIT, Chain
from .chain_examiner import Seen, ZoneSeen
from .chain_keys import AuditKey


def numbered(seen: Seen) -> int:
    """Return the number of rows with a position in their chain. Rows from releases without a chain have neither a position nor a hash."""
    return sum(zone.rows - zone.unnumbered for zone in seen.values())


def nothing(chain: Chain, seen: Seen) -> str:
    """Return the reason why there are no rows to verify."""
    if any(zone.rows for zone in seen.values()):
        return f"no row of {chain.table} has a sequence number; an older release wrote all rows"
    return f"{chain.table} is empty: the deployment has not recorded an event yet, or its events were deleted"


def rows(chain: Chain, seen: Seen) -> Check:
    """Return the check for the number of rows. Zero rows prove nothing."""
    number = sum(zone.rows for zone in seen.values())
    details = {"rows": number, "zones": len(seen), "heads": heads(seen)}
    if not number:
        return Check(f"{chain.name}.rows", UNPROVEN, nothing(chain, seen), details=details)
    return Check(f"{chain.name}.rows", PASS, f"{number} rows of {len(seen)} zone(s) read", details=details)


def heads(seen: Seen) -> dict[str, int]:
    """Return the highest sequence number by zone."""
    return {name.decode(): zone.links.runs[-1].high for name, zone in sorted(seen.items()) if zone.links.runs}


def ranges(kind: str, chain: Chain, name: bytes, positions: Positions, words: str, verdict: str = FAIL) -> list[Finding]:
    """Return one finding for each range of positions."""
    zone = name.decode()
    return [
        Finding(kind, chain.name, zone, low, high, words, verdict, digest=_digest(kind, chain, zone, low, high, positions))
        for low, high in positions.ranges()
    ]


def _digest(kind: str, chain: Chain, zone: str, low: int, high: int, positions: Positions) -> str:
    """Return the digest of the faulty rows, or an empty string if their digests were not kept."""
    rows = positions.digests(low, high) if isinstance(positions, Rows) else None
    return findings.digest(kind, chain.name, zone, low, high, *rows) if rows else ""


def content(chain: Chain, seen: Seen, recompute: bool | None, release: str, acknowledged: t.Collection[str] = ()) -> Check:
    """Check `content_sha256` against the rows. `recompute` is None if the release is unknown."""
    check_id = f"{chain.name}.content"
    number, edited = numbered(seen), sum(zone.edited.count for zone in seen.values())
    if recompute is False:
        words = f"{release} hashed the received bytes, which are not stored; the audit blocks cover the content instead"
        return Check(check_id, NOT_APPLICABLE, words, required=False)
    if not number:
        return Check(check_id, UNPROVEN, nothing(chain, seen))
    if recompute is None and edited == number:
        return Check(check_id, UNPROVEN, f"the release is unknown and computes hashes differently; all {number} content hashes differ")
    found: list[Finding] = []
    for name, zone in seen.items():
        found += ranges("edited", chain, name, zone.edited, "the content hash does not match the row; the row was edited")
        words = "unknown payload format, or a time out of range: the content hash cannot be recomputed; the audit blocks cover the row"
        found += ranges("not_recomputable", chain, name, zone.unknowable, words, UNPROVEN)
    return findings.check(check_id, found, f"content of {number} rows matches its hashes", rows=number, accepted=acknowledged)


def links(chain: Chain, seen: Seen, acknowledged: t.Collection[str] = ()) -> Check:
    """Check the previous hashes, and the first row of each chain."""
    found: list[Finding] = []
    number = numbered(seen)
    for name, zone in seen.items():
        broken = "the previous hash is not the content hash of the previous row; one of the two rows was changed, or rows were reordered"
        found += ranges("broken_link", chain, name, zone.links.broken, broken)
        for run in zone.links.runs:
            begins = run.before in (b"", b"\\N")
            digest = findings.digest("genesis", chain.name, name.decode(), run.low, run.before.hex())
            if run.low == 1 and not begins:
                words = "the first row of the chain has a previous hash"
                found.append(Finding("genesis", chain.name, name.decode(), 1, 1, words, digest=digest))
            elif run.low > 1 and begins:
                words = "the row has no previous hash; only the first row of a chain may lack it"
                found.append(Finding("genesis", chain.name, name.decode(), run.low, run.low, words, digest=digest))
    if not number:
        return Check(f"{chain.name}.links", UNPROVEN, nothing(chain, seen))
    words = f"{number} rows are linked to their previous row"
    return findings.check(f"{chain.name}.links", found, words, rows=number, accepted=acknowledged)


def times(seen: Seen, allowance: int, acknowledged: t.Collection[str] = ()) -> Check:
    """Check the times of audit rows. `allowance` is the number of seconds by which they may contradict each other."""
    number, found = numbered(seen), list[Finding]()
    early = "ingested_at is before occurred_at, so the row was ingested before its event happened; one of the two was changed"
    foreign = "the time in the event ID differs from occurred_at, although one service wrote both; one of the two was changed"
    backwards = "ingested_at is earlier than in the previous row; one of the two rows was changed, or they were reordered"
    for name, zone in seen.items():
        found += ranges("ingested_early", AUDIT, name, zone.early, early)
        found += ranges("id_of_another_time", AUDIT, name, zone.foreign_id, foreign)
        found += ranges("ingested_backwards", AUDIT, name, zone.links.backwards, backwards)
    if not number:
        return Check("audit.times", UNPROVEN, nothing(AUDIT, seen))
    words = f"the times of {number} rows are consistent"
    return findings.check("audit.times", found, words, rows=number, allowance_seconds=allowance, accepted=acknowledged)


def hmacs(
    chain: Chain,
    seen: Seen,
    keys: t.Sequence[AuditKey],
    sound: bool,
    keyless: bool = False,
    acknowledged: t.Collection[str] = (),
) -> list[Check]:
    """Check `chain_hmac` with the candidate keys.

    `sound` is True if contents and links are correct. It distinguishes a wrong key from tampering. `keyless` is True if
    some writers of this release have no key. Then only the audit blocks bind their rows.
    """
    check_id, key_id = f"{chain.name}.hmac", f"{chain.name}.hmac_key"
    signed = sum(positions.count for zone in seen.values() for positions in zone.keys.values())
    unmatched = sum(zone.unmatched.count for zone in seen.values())
    details: dict[str, t.Any] = {"keys": [key.id for key in keys], "unkeyed": sum(zone.unkeyed.count for zone in seen.values())}
    if not keys:
        words = "no AUDIT_HMAC_KEY was given, so no chain HMAC was verified; name its file in audit_hmac_key_files"
        return [Check(check_id, UNPROVEN, words, details={**because(MISSING_AUDIT_KEY), **details})]
    if not signed and not unmatched:
        words = "no row has a chain HMAC; all rows were written without a key" if numbered(seen) else nothing(chain, seen)
        if keyless and numbered(seen):
            words = f"{words}, which services of this release do not have; the audit blocks cover the rows"
        return [Check(check_id, UNPROVEN, words, required=not keyless, details=details)]
    if not signed:
        named = ", ".join(key.id for key in keys)
        right = "contents and links are correct, so the given key is wrong, or all rows were rewritten with another key"
        why = right if sound else "contents or links are wrong too"
        words = f"wrong AUDIT_HMAC_KEY: none of {unmatched} rows was signed with {named}; {why}"
        reason = WRONG_AUDIT_KEY if sound else None
        return [
            Check(key_id, FAIL, words, details={**because(reason), **details}),
            Check(check_id, UNPROVEN, "the chain HMACs cannot be verified with the wrong key", details=details),
        ]
    found = [one for name, zone in seen.items() for one in _hmac_findings(chain, name, zone)]
    rotations = [one for name, zone in seen.items() for one in _rotations(name, zone, keys)]
    rows_of = {key.id: sum(zone.keys[index].count for zone in seen.values() if index in zone.keys) for index, key in enumerate(keys)}
    words = f"rows are signed with {', '.join(name for name, rows in rows_of.items() if rows)}"
    return [
        Check(key_id, PASS, words, details={**details, "signed": rows_of, "rotations": rotations[: findings.SHOWN]}),
        findings.check(check_id, found, f"chain HMACs of {signed} rows are correct", rows=signed, accepted=acknowledged, **details),
    ]


def _hmac_findings(chain: Chain, name: bytes, zone: ZoneSeen) -> list[Finding]:
    found: list[Finding] = []
    first = min((run.low for run in zone.links.runs), default=0)
    for low, high in zone.unmatched.ranges():
        if low == first and high > low:
            kind = "unknown_key"
            words = "not signed with any given key; give the retired AUDIT_HMAC_KEY too. If there is none, these rows were rewritten"
        else:
            kind, words = "hmac", "the chain HMAC matches none of the given keys; the row or its links were changed"
        digest = _digest(kind, chain, name.decode(), low, high, zone.unmatched)
        found.append(Finding(kind, chain.name, name.decode(), low, high, words, digest=digest))
    if chain == AUDIT:
        found += _unkeyed(chain, name, zone, first)
    spans = sorted(((positions.ranges()[0][0], index) for index, positions in zone.keys.items()), reverse=True)
    for (start, newer), (_begin, index) in itertools.pairwise(spans):
        until = zone.switches.until(newer)
        soon, late = Positions(), Positions()
        for low, high in zone.keys[index].ranges():
            if high >= start:
                (soon if high <= until else late).add(max(low, start), high)
        words = f"signed with a key that had been replaced at sequence number {start}"
        found += ranges("retired_key", chain, name, late, f"{words}; a holder of the old key wrote this row")
        replica = f"{words}, less than {chain_switch.WINDOW // 60} minutes before; for example, a replica still had the old key"
        found += ranges("key_switch", chain, name, soon, replica, WARN)
    return found


def _unkeyed(chain: Chain, name: bytes, zone: ZoneSeen, first: int) -> list[Finding]:
    """Return findings for rows without HMAC. Before the first key they are harmless. Later, the column was emptied."""
    found = []
    for low, high in zone.unkeyed.ranges():
        if low == first:
            words, verdict = "written before an AUDIT_HMAC_KEY was set; only the audit blocks cover these rows", WARN
        else:
            words, verdict = (
                "the row has no chain HMAC, but earlier rows have one; the HMAC was removed, or a service ran without its key",
                FAIL,
            )
        digest = _digest("unkeyed", chain, name.decode(), low, high, zone.unkeyed)
        found.append(Finding("unkeyed", chain.name, name.decode(), low, high, words, verdict, digest=digest))
    return found


def _rotations(name: bytes, zone: ZoneSeen, keys: t.Sequence[AuditKey]) -> list[dict[str, object]]:
    """Return the positions at which a zone's rows start to be signed with another key."""
    spans = sorted((positions.ranges()[0][0], index) for index, positions in zone.keys.items())
    return [{"zone": name.decode(), "from": start, "key": keys[index].id} for start, index in spans[1:]]
