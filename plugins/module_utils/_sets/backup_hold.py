# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: protect a set from pruning, independent of the retention rules.

Legal holds in the store are placed before the journal entry of a hold, and removed after the entry of its release. If a
run is killed in between, too many objects stay held. Repeating the call finishes the change.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._ansible.boundary import Invocation
from .._crypto.signing import Signer
from .._errors import ObjectMissing, OptionError
from .._evidence import access, restore_entry
from .._evidence.access import JournalResult, Opened
from .._options import declared
from .._options.declared import Path
from .._options.shared import RepositoryOptions
from .._repository import decisions
from .._repository import entry as entries
from .._repository import journal as journals
from .._repository import layout as keys
from .._repository.catalog import SetRecord
from .._repository.decisions import HELD, RELEASED, Hold
from . import set_holds
from .set_holds import Changed

STATES = {"present": HELD, "absent": RELEASED}
TEXT_LIMIT = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    access: RepositoryOptions
    signing_key: Path
    set_id: str
    hold: str
    reason: str
    state: t.Literal["present", "absent"] = "present"


class HoldResult(JournalResult):
    """The holds of a set after the change. `objects` is the number of legal holds changed in the store."""

    changed: bool
    set_id: str
    holds: list[dict[str, str]]
    objects: int
    enforced: bool


def run(invocation: Invocation[Options]) -> HoldResult:
    given = invocation.options
    for name, text in {"hold": given.hold, "reason": given.reason}.items():
        if len(text) > TEXT_LIMIT or not text.isprintable() or not text.strip():
            raise OptionError(f"{name} is empty, has more than {TEXT_LIMIT} characters or is not one line; write one line of plain text")
    opened = access.open_repository(given.access, warn=invocation.warn)
    wanted = Hold(keys.check_id(given.set_id), given.hold, STATES[given.state], given.reason)
    # A pruned set cannot be held, but its objects that are still stored can be released.
    record = opened.catalog.find(wanted.set_id)
    if wanted.state == HELD:
        _check_stands(opened, wanted.set_id)
    signer = restore_entry.signer(opened, given.access.deployment, given.signing_key)
    opened.store.check_writable(probe=False)
    before = decisions.holds(opened.journal.of_kind(entries.HOLD)).get(record.set_id, {})
    changed = (wanted.name in before) != (wanted.state == HELD)
    others = {name: one for name, one in before.items() if name != wanted.name}
    after = (others | {wanted.name: wanted} if wanted.state == HELD else others) if changed else before
    objects = _predict(opened, wanted, after) if invocation.check_mode else _act(opened, signer, wanted, record, enter=changed)
    opened.mark.advance(opened.journal, dry=invocation.check_mode)
    return {
        "changed": changed or bool(objects),
        "set_id": record.set_id,
        "holds": decisions.results(after),
        "objects": len(objects),
        "enforced": opened.store.can_hold(),
        "journal_head": opened.head,
        "diff": {"before": _lines(before) + _kept(objects, False), "after": _lines(after) + _kept(objects, True)},
    }


def _predict(opened: Opened, wanted: Hold, after: t.Mapping[str, Hold]) -> Changed:
    held = set_holds.held_sets(opened)
    if wanted.state == HELD:
        return set_holds.settle(opened, wanted.set_id, held | {wanted.set_id}, dry=True)
    if not _was_held(opened, wanted):
        return {}
    return set_holds.settle(opened, wanted.set_id, held if after else held - {wanted.set_id}, dry=True)


def _act(opened: Opened, signer: Signer, wanted: Hold, record: SetRecord, *, enter: bool) -> Changed:
    objects: Changed = {}
    if wanted.state == HELD:
        objects = set_holds.settle(opened, wanted.set_id, set_holds.held_sets(opened) | {wanted.set_id})
    if enter:
        _enter(opened, signer, wanted, record)
    if enter or (wanted.state == RELEASED and _was_held(opened, wanted)):
        objects |= set_holds.follow(opened, wanted.set_id)
    return objects


def _was_held(opened: Opened, wanted: Hold) -> bool:
    """Return whether the journal has ever recorded this hold. For an unknown name, an auditor may have placed the legal holds."""
    known = map(decisions.hold, opened.journal.of_kind(entries.HOLD))
    return any((one.set_id, one.name) == (wanted.set_id, wanted.name) for one in known)


def _enter(opened: Opened, signer: Signer, wanted: Hold, record: SetRecord) -> None:
    subjects = [entries.subject(keys.manifest_key(record.set_id), record.manifest_sha256)]
    times, machine, body = access.times(), access.machine(), wanted.to_body()
    journals.append(opened.repository, opened.journal, signer, entries.HOLD, subjects, body, time=times, machine=machine)
    if wanted.state == HELD:
        # A concurrent prune may have been faster and be deleting the set.
        _check_stands(opened, record.set_id)


def _check_stands(opened: Opened, set_id: str) -> None:
    """Raise ObjectMissing if an entry ends the set, even if its objects still exist: a prune may be about to delete them."""
    ended = opened.catalog.condemned().get(set_id)
    if ended:
        raise ObjectMissing(
            f"set {set_id} was pruned, see entry {ended.sequence} of the journal; give the ID of another set. If its objects still exist, "
            f"revoke that entry with journal_correct (entries: {ended.sequence}-{ended.sha256[:16]}, what: everything)"
        )


def _lines(holds: t.Mapping[str, Hold]) -> str:
    return "".join(f"{one.set_id} held: {one.name}: {one.reason}\n" for _name, one in sorted(holds.items()))


def _kept(objects: Changed, on: bool) -> str:
    return "".join(f"{key} held by the store\n" for key, is_on in sorted(objects.items()) if is_on == on)
