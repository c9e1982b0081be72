# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check that the secrets of a set decrypt the sealed values in its snapshot. Otherwise the set is never signed.

The messages are part of the public manifest. They name key IDs and columns, but no numbers.
"""

from __future__ import annotations

import collections
import typing as t

from ..._errors import KeyProblem
from ..._report.check import PASS, UNPROVEN
from ..keys.envelopes import Reading
from ..releases import SECRET_STORE
from .chain_keys import AuditKey

BUILTIN = "builtin"
OTHER_SET = "then create a new set"
Rows = t.Sequence[t.Sequence[str]]


def envelopes(columns: t.Mapping[str, t.Sequence[str]], key_ids: t.Collection[str]) -> tuple[str, str]:
    """Return verdict and message for family secret_store: each column's envelopes may only name KEKs in the set.

    Raises KeyProblem if an envelope names another KEK.
    """
    other = sorted({key_id for named in columns.values() for key_id in named if key_id and key_id not in key_ids})
    if other:
        held = ", ".join(sorted(column for column, named in columns.items() if other[0] in named))
        raise KeyProblem(
            f"values in {held} are sealed under KEK {other[0]}, but the secrets "
            f"contain only {' and '.join(sorted(key_ids))}: give the KEK in "
            f"use (during a rotation also its predecessor as previous_kek), {OTHER_SET}"
        )
    strange = sorted(column for column, named in columns.items() if "" in named)
    if strange:
        return UNPROVEN, f"values in {', '.join(strange)} are not envelopes; run envelope_verify"
    sealed = sorted(column for column, named in columns.items() if named)
    if not sealed:
        return UNPROVEN, "no column contains a sealed value, so the KEK cannot be verified"
    used = sorted({key_id for named in columns.values() for key_id in named})
    return PASS, f"every envelope of {', '.join(sealed)} names KEK {' or '.join(used)}"


def trial(readings: t.Sequence[Reading]) -> tuple[str, str]:
    """Return the same for family zone_kek. Its values name no key, so each value was tried.

    Raises KeyProblem if no value of a column can be decrypted.
    """
    read = [one for one in readings if one.rows]
    for one in read:
        if not one.opened:
            raise KeyProblem(f"the KEK of the secrets decrypts no value in {one.column.name}; give the zoneKek in use, {OTHER_SET}")
    if not read:
        return UNPROVEN, "no column contains a sealed value, so the KEK cannot be verified"
    partly = sorted(one.column.name for one in read if one.damaged or one.foreign)
    if partly:
        return UNPROVEN, f"values in {', '.join(partly)} are damaged or sealed under another KEK; run envelope_verify"
    used = sorted({key_id for one in read for key_id in one.opened})
    return PASS, f"KEK {' or '.join(used)} decrypts every value of {', '.join(sorted(one.column.name for one in read))}"


def audit(rows: Rows, keys: t.Sequence[AuditKey]) -> tuple[str, str]:
    """Check sampled rows ([chain, content hash, previous hash, chain_hmac]) with the audit keys, including retired ones.

    Raises KeyProblem if no key signed a row.
    """
    signed: dict[str, set[str]] = collections.defaultdict(set)
    macs = [(key.id, key.hmac()) for key in keys]
    for chain, content, previous, expected in rows:
        by = next((key_id for key_id, mac in macs if mac(content.encode(), previous.encode()) == expected), None)
        if by is None:
            given = " and ".join(key_id for key_id, _mac in macs)
            raise KeyProblem(
                f"the chain {chain} has rows that none of the audit keys signed ({given}). Give the auditHmacKey in use, and keys from "
                f"before a rotation as retired_audit_keys, {OTHER_SET}. If no key is missing, the rows were forged: verify_audit names them"
            )
        signed[by].add(chain)
    if not signed:
        return UNPROVEN, "no audit row is signed, so the audit key cannot be verified"
    lines = (f"audit key {key_id} signed rows of {' and '.join(sorted(chains))}" for key_id, chains in sorted(signed.items()))
    return PASS, ", ".join(lines)


def together(family: str, backend: str, sealed: tuple[str, str], signed: tuple[str, str]) -> tuple[str, str]:
    """Return the set's verdict: pass only if both passed and all values are in the database."""
    message = f"{sealed[1]}; {signed[1]}"
    if family == SECRET_STORE and backend != BUILTIN:
        return UNPROVEN, f"{message}; values in the secret backend {backend} are not in the set"
    return (PASS if (sealed[0], signed[0]) == (PASS, PASS) else UNPROVEN), message
