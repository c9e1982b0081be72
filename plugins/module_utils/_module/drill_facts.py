# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a drill was, from the options of drill_report and from the set that it restored."""

from __future__ import annotations

import datetime
import math
import os
import platform
import typing as t

from .. import _deps
from .._backupset import layout
from .._backupset.catalog import OpenSet
from .._caracal import required
from .._crypto.signing import Signer
from .._errors import OptionError
from .._report import waiver
from .._report.check import PASS, UNPROVEN, VERDICTS, Check
from .._report.document import Drill, RestoredSet, Step, Who
from .._report.text import clean, one_line
from . import options
from .options import Opened

# NTP keeps hosts much closer; a greater difference is a wrong option.
CLOCK_TOLERANCE = datetime.timedelta(seconds=5)
FRESHNESS_CHECK = "journal.freshness"
_CHECK_FIELDS = {"id": str, "verdict": str, "message": str, "required": bool, "details": dict}


def gather(given: t.Mapping[str, t.Any], opened: Opened, open_set: OpenSet, signer: Signer, now: datetime.datetime) -> Drill:
    """The drill as it ended `now`. Raises OptionError for facts that cannot be."""
    started = _started(given["started"], now)
    made = [_check(number, check) for number, check in enumerate(given["checks"], 1)]
    checks = required.complete(made, [source.database for source in open_set.manifest.sources])
    return Drill(
        id=layout.new_set_id(started, os.urandom(5)),
        deployment=opened.repository.deployment,
        repository=opened.repository.id,
        journal_head=opened.head,
        freshness=_freshness(checks, opened.freshness),
        started=started,
        finished=max(now, started),
        signer=Who(signer.principal, signer.fingerprint, options.machine()),
        tools=_tools(),
        restored=_restored(opened, open_set),
        sandbox=given["sandbox"],
        steps=[_step(number, step) for number, step in enumerate(given["steps"], 1)],
        checks=checks,
        waivers=waiver.parse(given["waivers"], now.date()),
    )


def _started(text: str, now: datetime.datetime) -> datetime.datetime:
    try:
        moment = datetime.datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError as exc:
        raise OptionError(f"started is {text[:60]!a}; give the time in ISO 8601, as 2026-11-25T02:30:00Z") from exc
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    if moment - now > CLOCK_TOLERANCE:
        raise OptionError(f"started is {text}, which is still to come; correct it, or the clock of this host")
    return moment


def _freshness(checks: t.Sequence[Check], now: str) -> str:
    """The first module of a drill may have made the mark; so what the modules before this one saw counts too."""
    unproven = any(check.id == FRESHNESS_CHECK and check.verdict != PASS for check in checks)
    return UNPROVEN if unproven else now


def _restored(opened: Opened, open_set: OpenSet) -> RestoredSet:
    """The recovery point is that of the database whose snapshot is oldest."""
    manifest, entry = open_set.manifest, open_set.record.entry
    signature = opened.store.read(layout.backup_signature_key(manifest.set_id))
    made_by = opened.verifier.verify(open_set.manifest_bytes, signature, layout.NAMESPACE_SET, entry.principal, entry.judged)
    return RestoredSet(
        id=manifest.set_id,
        sequence=entry.sequence,
        release=manifest.release,
        family=manifest.family,
        snapshot_time=min((source.snapshot_time for source in manifest.sources), default=manifest.created),
        artifacts=len(manifest.artifacts),
        bytes=manifest.size,
        maker=Who(entry.principal, made_by.fingerprint, entry.machine),
    )


def _check(number: int, given: t.Mapping[str, t.Any]) -> Check:
    """Ansible cannot look into these dictionaries, since it keeps the name `message` for itself."""
    found = {"required": True, "details": {}, **given}
    wrong = set(found.keys() ^ _CHECK_FIELDS.keys())
    wrong = wrong or {name for name, kind in _CHECK_FIELDS.items() if not isinstance(found[name], kind)}
    if not wrong and found["verdict"] not in VERDICTS:
        wrong = {"verdict"}
    if wrong:
        raise OptionError(f"checks[{number}] has a wrong or missing {min(wrong)}; give checks as the modules return them")
    return Check(one_line(found["id"]), found["verdict"], clean(found["message"]), found["required"], found["details"])


def _step(number: int, given: t.Mapping[str, t.Any]) -> Step:
    if not (math.isfinite(given["seconds"]) and given["seconds"] >= 0):
        raise OptionError(f"steps[{number}] took {given['seconds']} seconds; give what the module returned")
    return Step(one_line(given["name"]), given["seconds"], given["bytes"])


def _tools() -> dict[str, str | None]:
    """Versions of what made the report; None where a library does not say."""
    libraries = {"pyrage": _deps.require_pyrage(), "zstandard": _deps.require_zstandard(), "cryptography": _deps.require_cryptography()}
    return {"python": platform.python_version(), **{name: getattr(library, "__version__", None) for name, library in libraries.items()}}
