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
from .._crypto.signing import Signer
from .._errors import OptionError
from .._report import waiver
from .._report.check import Check
from .._report.document import Drill, RestoredSet, Step, Who
from .._report.text import clean, one_line
from . import options
from .options import Opened

# NTP keeps hosts much closer; a greater difference is a wrong option.
CLOCK_TOLERANCE = datetime.timedelta(seconds=5)


def gather(given: t.Mapping[str, t.Any], opened: Opened, open_set: OpenSet, signer: Signer, now: datetime.datetime) -> Drill:
    """The drill as it ended `now`. Raises OptionError for facts that cannot be."""
    started = _started(given["started"], now)
    return Drill(
        id=layout.new_set_id(started, os.urandom(5)),
        deployment=opened.repository.deployment,
        repository=opened.repository.id,
        journal_head=opened.head,
        freshness=opened.freshness,
        started=started,
        finished=max(now, started),
        signer=Who(signer.principal, signer.fingerprint, options.machine()),
        tools=_tools(),
        restored=_restored(opened, open_set),
        sandbox=given["sandbox"],
        steps=[_step(number, step) for number, step in enumerate(given["steps"], 1)],
        checks=[_check(check) for check in given["checks"]],
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


def _check(given: t.Mapping[str, t.Any]) -> Check:
    return Check(one_line(given["id"]), given["verdict"], clean(given["message"]), given["required"], given["details"] or {})


def _step(number: int, given: t.Mapping[str, t.Any]) -> Step:
    if not (math.isfinite(given["seconds"]) and given["seconds"] >= 0):
        raise OptionError(f"steps[{number}] took {given['seconds']} seconds; give what the module returned")
    return Step(one_line(given["name"]), given["seconds"], given["bytes"])


def _tools() -> dict[str, str | None]:
    """Versions of what made the report; None where a library does not say."""
    libraries = {"pyrage": _deps.require_pyrage(), "zstandard": _deps.require_zstandard(), "cryptography": _deps.require_cryptography()}
    return {"python": platform.python_version(), **{name: getattr(library, "__version__", None) for name, library in libraries.items()}}
