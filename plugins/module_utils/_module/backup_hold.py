# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Use case of the module of the same name: a set that must not be pruned, whatever the rules say."""

from __future__ import annotations

import typing as t

from .._backupset import decisions
from .._backupset import entry as entries
from .._backupset import journal as journals
from .._backupset import layout as keys
from .._backupset.decisions import HELD, RELEASED, Hold
from .._errors import OptionError
from . import options, restore_entry
from .boundary import Invocation

STATES = {"present": HELD, "absent": RELEASED}
TEXT_LIMIT = 1000


def run(invocation: Invocation) -> dict[str, t.Any]:
    given = invocation.options
    for name in ("hold", "reason"):
        text = given[name] or ""
        if len(text) > TEXT_LIMIT or not text.isprintable() or not text.strip():
            raise OptionError(f"{name} is empty, longer than {TEXT_LIMIT} characters or no plain line; write a line that people can read")
    opened = options.open_repository(given)
    record = opened.catalog.get(keys.check_id(given["set_id"]))
    signer = restore_entry.signer(opened, given)
    before = decisions.holds(opened.journal.entries).get(record.set_id, {})
    wanted = Hold(record.set_id, given["hold"], STATES[given["state"]], given["reason"])
    changed = (wanted.name in before) != (wanted.state == HELD)
    after = {name: one for name, one in before.items() if name != wanted.name} | ({wanted.name: wanted} if wanted.state == HELD else {})
    if changed and not invocation.check_mode:
        subjects = [entries.subject(keys.manifest_key(record.set_id), record.manifest_sha256)]
        times, machine = options.times(), options.machine()
        body = wanted.to_body()
        journals.append(opened.repository, opened.journal, signer, entries.HOLD, subjects, body, time=times, machine=machine)
    opened.mark.advance(opened.journal, dry=invocation.check_mode)
    return {
        "changed": changed,
        "set_id": record.set_id,
        "holds": _told(after if changed else before),
        "journal_head": opened.head,
        "diff": {"before": _lines(before), "after": _lines(after if changed else before)},
    }


def _told(holds: t.Mapping[str, Hold]) -> list[dict[str, str]]:
    return [{"hold": one.name, "reason": one.reason} for _name, one in sorted(holds.items())]


def _lines(holds: t.Mapping[str, Hold]) -> str:
    return "".join(f"{one.set_id} held: {one.name}: {one.reason}\n" for _name, one in sorted(holds.items()))
