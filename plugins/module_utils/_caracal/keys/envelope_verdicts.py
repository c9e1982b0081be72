# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of the sealed columns: the KEK, each column, and the rows that must have a sealed value."""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from ..._reasons import DAMAGED_VALUES, MIXED_KEKS, WRONG_KEK, Reason, because
from ..._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, WARN, Check
from ..releases import SECRET_STORE, Detected
from .envelopes import NO_KEY, Reading
from .kek import Keyring
from .sealed_columns import COLUMNS, NOT_SEALED

KEK_CHECK = "envelopes.kek"


@dataclasses.dataclass(frozen=True)
class SigningKey:
    """The public half of a zone's signing key. `kid` is the ID of its row and appears in the header of a token."""

    kid: str
    zone: str
    version: int
    x: str
    y: str

    def to_result(self) -> dict[str, str | int]:
        return {**dataclasses.asdict(self), "crv": "P-256"}


def judge_kek(readings: t.Sequence[Reading], keyring: Keyring, family: str) -> Check:
    """Check whether this is the KEK of this database: correct, wrong, mixed, or not testable."""
    opened = sum((one.opened for one in readings), collections.Counter())
    foreign = sum((one.foreign for one in readings), collections.Counter())
    rows, spared = sum(one.rows for one in readings), sum(one.spared for one in readings)
    counts = {"rows": rows, "opened": dict(opened), "foreign": dict(foreign), "damaged": sum(one.damaged for one in readings)}
    verdict, reason, words = _kek(opened, foreign, spared, keyring, family)
    return Check(KEK_CHECK, verdict, words, details={**because(reason), "given": [key.id for key in keyring.keys], **counts})


def _kek(
    opened: collections.Counter[str], foreign: collections.Counter[str], spared: int, keyring: Keyring, family: str
) -> tuple[str, Reason | None, str]:
    """Return verdict, reason and message."""
    good, bad, current = sum(opened.values()), sum(foreign.values()), keyring.current.id
    if not good and bad == spared:
        return UNPROVEN, None, "there is no intact sealed value in use, so the KEK cannot be verified"
    if not good:
        given = " and ".join(key.id for key in keyring.keys)
        return FAIL, WRONG_KEK, f"wrong KEK: none of {bad} sealed values can be decrypted with {given}{_carried(foreign)}"
    if bad > spared:
        what = "mixed keys or damage" if NO_KEY in foreign else "mixed keys"
        return FAIL, MIXED_KEKS, f"{what}: the given KEKs decrypt {good} sealed values, but not {bad} others{_carried(foreign)}"
    if good > opened[current] and family != SECRET_STORE:
        words = f"mixed keys: only the previous KEK decrypts {good - opened[current]} of {good} values, and this release cannot use it"
        return FAIL, MIXED_KEKS, words
    if good > opened[current]:
        under = f"{opened[current]} values under {current}, {good - opened[current]} under the previous KEK"
        return WARN, None, f"a KEK rotation is not finished: {under}"
    if bad:
        return WARN, None, f"correct KEK {current} for {good} values; a rotation skipped {bad} expired values{_carried(foreign)}"
    return PASS, None, f"correct KEK: {current} decrypts {good} sealed values"


def _carried(foreign: collections.Counter[str]) -> str:
    """Return the keys that the rows themselves name, as text."""
    named = [f"{key} ({count})" for key, count in foreign.most_common(5) if key != NO_KEY]
    return f", which name KEK {', '.join(named)}" if named else ""


def judge_column(reading: Reading, keyring: Keyring, family: str) -> Check:
    """Check one column. No release has values in every column."""
    name, foreign = f"envelopes.{reading.column.name}", sum(reading.foreign.values())
    details = {
        "rows": reading.rows,
        "opened": dict(reading.opened),
        "foreign": dict(reading.foreign),
        "damaged": reading.damaged,
        "positions": reading.positions,
    }
    if not reading.rows:
        return Check(name, NOT_APPLICABLE, "this column contains no sealed value", required=False, details=details)
    if reading.damaged or foreign > reading.spared:
        counts = [f"{reading.damaged} damaged"] if reading.damaged else []
        counts += [f"{foreign} that no given KEK decrypts"] if foreign else []
        first = reading.positions[0]
        words = f"{reading.rows} values: {' and '.join(counts)}; first: {shown(first['id'])}: {first['says']}"
        return Check(name, FAIL, words, details={**because(DAMAGED_VALUES), **details})
    previous = sum(reading.opened.values()) - reading.opened[keyring.current.id]
    if previous:
        verdict = WARN if family == SECRET_STORE else FAIL
        return Check(name, verdict, f"only the previous KEK decrypts {previous} of {reading.rows} values", details=details)
    if foreign:
        return Check(
            name,
            WARN,
            f"{foreign} of {reading.rows} values are expired and sealed under another KEK; rotations skip such values",
            details=details,
        )
    return Check(name, PASS, f"{reading.rows} values can be decrypted", details=details)


def judge_signing_keys(keys: t.Sequence[SigningKey], rows: int, zones: int, without: int, first: t.Sequence[str]) -> Check:
    """Check the signing keys. `without` of `zones` with a session have no key; the product would silently create a new one."""
    name, details = "envelopes.signing_keys", {"rows": rows, "keys": len(keys), "zones_without_key": list(first)}
    kids = _shared(keys)
    if kids:
        words = f"{len(kids)} signing keys are in more than one row, so one was copied over another; first: {shown(kids[0])}"
        return Check(name, FAIL, words, details={**details, "copied": kids[:50]})
    if not keys:
        words = (
            f"none of {rows} signing keys could be read"
            if rows
            else f"no signing key found; {without} zones with sessions would get new ones"
        )
        return Check(name, UNPROVEN, words, details=details)
    if without:
        words = f"{without} of {zones} zones with sessions have no signing key and would get a new one; first: {shown(first[0])}"
        return Check(name, WARN, words, details=details)
    return Check(name, PASS, f"{len(keys)} signing keys of {len({key.zone for key in keys})} zones are P-256 keys", details=details)


def _shared(keys: t.Sequence[SigningKey]) -> list[str]:
    seen = collections.Counter((key.x, key.y) for key in keys)
    return sorted(key.kid for key in keys if seen[key.x, key.y] > 1)


def judge_providers(family: str, total: int, without: int, first: t.Sequence[str], stored: int) -> Check:
    """Check the providers with secret values. `stored` is the number of secrets of any kind in this database."""
    name, details = "envelopes.providers", {"providers": total, "without": without, "first": list(first)}
    if not without:
        return Check(name, PASS, f"{total} providers with secret values have them sealed in this database", details=details)
    lacking = f"{without} of {total} providers with secret values have none in this database; first: {shown(first[0])}"
    if family != SECRET_STORE:
        return Check(name, FAIL, f"{lacking}; the values are lost", details=details)
    where = "they are lost, or in an external secret backend" if stored else "an external secret backend seems to be in use"
    return Check(name, UNPROVEN, f"{lacking}; {where}, which was not read", details=details)


def judge_coverage(detected: Detected, bytea: t.Collection[str], other_secrets: int) -> Check:
    """Check that all sealed columns of this release were read. `bytea` are the columns of that type in the database."""
    name, wanted = "envelopes.coverage", set().union(*(column.needs for column in COLUMNS[detected.family]))
    missing, strange = sorted(wanted - set(bytea)), sorted(set(bytea) - wanted - NOT_SEALED)
    gaps = [f"the release of family {detected.family} is unknown"] if detected.release is None else []
    gaps += [f"column {missing[0]} is missing"] if missing else []
    gaps += [f"column {shown(strange[0])} is unknown and was not read"] if strange else []
    gaps += [f"{other_secrets} rows of table secrets are not signing keys and were not read"] if other_secrets else []
    details = {"missing": missing, "not_read": strange, "other_secrets": other_secrets}
    if gaps:
        return Check(name, UNPROVEN, "; ".join(gaps), details=details)
    count = len(COLUMNS[detected.family])
    return Check(name, PASS, f"all {count} sealed columns of release {detected.release} were read", details=details)


def shown(text: str) -> str:
    """Return an ID as printable text for a message."""
    return text if text.isprintable() and len(text) < 200 else repr(text[:200])
