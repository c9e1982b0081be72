# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Forbidden journal entries, signed by every key that an attacker may have stolen."""

from __future__ import annotations

import random
import time
import typing as t

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.signing import Signer
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout
from faults.tally import LOST, Outcome, Tally
from faults.world import World
from scenes.scene import DEPLOYMENT, HOSTS

KIND = "parties"
FAR = "2099-01-01T00:00:00Z"
Draft = dict[str, t.Any]

# The error of the entry, apart from its signer.
TWISTS: dict[str, Draft] = {
    "nothing else": {},
    "a number too high": {"sequence": 1},
    "the number of the head": {"sequence": -1},
    "another predecessor": {"previous": "0" * 64},
    "another deployment": {"deployment": "other"},
    "another repository": {"repository": "0" * 32},
    "another principal": {"principal": True},
    "dated 2099": {"host": FAR},
    "a store's time of 2099": {"host": FAR, "store": FAR},
    "a signature for sets": {"namespace": layout.NAMESPACE_SET},
    "no signature": {"unsigned": True},
    "a signature of noise": {"noise": True},
    "cut in half": {"half": True},
    "a name twice": {"twice": True},
}


def run(world: World, tally: Tally, dice: random.Random, deadline: float, most: int | None = None) -> None:
    """Each once, in an order that the seed gives."""
    attempts = [(host, kind, twist) for host in HOSTS for kind in entries.MAY_SIGN for twist in TWISTS if not _rightful(host, kind, twist)]
    dice.shuffle(attempts)
    for host, kind, twist in attempts[:most]:
        if time.monotonic() > deadline:
            break
        tally.add(KIND, f"{kind} entry by the key of {host}, {twist}", attempt(world, host, kind, TWISTS[twist]))
        world.mend()


def _rightful(host: str, kind: str, twist: str) -> bool:
    """Return whether the host may write this entry."""
    by_itself = twist == "nothing else" and host in entries.MAY_SIGN[kind]
    return by_itself or (twist == "another principal" and host == entries.MAY_SIGN[kind][0])


def attempt(world: World, host: str, kind: str, twist: Draft) -> Outcome:
    before = _read(world)
    write(world, host, kind, twist)
    outcome = world.judge()
    try:
        after = _read(world)
    except BackupError:
        return outcome
    if after != before:
        return Outcome(LOST, "readers trust the entry")
    return outcome


def _read(world: World) -> int:
    """Return the number of entries that a host without earlier state trusts."""
    return len(access.open_repository(world.scene.access(high_water_mark="/nonexistent/mark")).journal.entries)


def write(world: World, host: str, kind: str, twist: Draft) -> None:
    """Put the entry where the next one belongs."""
    opened = access.open_repository(world.scene.access())
    head, key = opened.journal.head, world.scene.key(host)
    principal = f"{host}@{DEPLOYMENT}"
    claimed = f"{entries.MAY_SIGN[kind][0]}@{DEPLOYMENT}" if twist.get("principal") else principal
    times = {"host": twist.get("host") or access.times()["host"], "database": None, "store": twist.get("store")}
    draft = entries.Draft(kind, [entries.subject("x", "0" * 64)], {}, times, "host-1")
    data = entries.to_bytes(
        draft,
        twist.get("repository", opened.repository.id),
        twist.get("deployment", DEPLOYMENT),
        head.sequence + 1 + twist.get("sequence", 0),
        twist.get("previous", head.sha256),
        claimed,
    )
    if twist.get("half"):
        data = data[: len(data) // 2]
    if twist.get("twice"):
        data = data[:-2] + b',"_type":"x"}\n'
    signature = Signer(str(key), principal).sign(data, twist.get("namespace", layout.NAMESPACE_JOURNAL))
    if twist.get("noise"):
        signature = signature[:100] + signature[100:].swapcase()
    number = head.sequence + 1
    (world.repository / layout.entry_key(number)).write_bytes(data)
    if not twist.get("unsigned"):
        (world.repository / layout.entry_signature_key(number, entries.sha256(data))).write_bytes(signature)
