# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find named causes, with remedies, from the results of a drill."""

from __future__ import annotations

import fnmatch
import typing as t

from ..._report.check import Check
from ..._report.diagnosis import Diagnosis
from ..keys.envelope_verdicts import KEK_CHECK
from ..keys.envelopes import NO_KEY
from . import causes_of_keys, causes_of_services, causes_of_state
from .symptoms import Cause, Evidence

CAUSES: tuple[Cause, ...] = causes_of_keys.CAUSES + causes_of_state.CAUSES + causes_of_services.CAUSES
# The name of the KEK's ID in the manifest.
KEK = "kek"


def diagnose(
    checks: t.Sequence[Check],
    *,
    key_ids: t.Mapping[str, str] | None = None,
    logs: t.Mapping[str, t.Sequence[str]] | None = None,
) -> list[Diagnosis]:
    """Return each cause once, the more specific ones first. Returns none if nothing failed.

    `key_ids` are those in the set's manifest. `logs` has the last lines of each service's log.
    """
    evidence = Evidence(checks, _carried(checks), logs or {}, key_ids or {})
    found = {cause.id: (cause, shown) for cause in CAUSES if (shown := cause.seen(evidence))}
    special = {cause_id: (cause, shown) for cause_id, (cause, shown) in found.items() if not cause.general}
    named = [cause for cause, _shown in found.values() if not cause.general or cause.explains]
    accounted = {one for _cause, shown in special.values() for one in shown}
    result = []
    for cause, shown in found.values():
        left = [one for one in shown if one not in accounted and not _explains(named, one)] if cause.general else shown
        if left and not _explains([one for one in named if one is not cause], cause.id):
            more = [one for other, also in special.values() if other is not cause and _explains([cause], other.id) for one in also]
            result.append(Diagnosis(cause.id, *_words(cause, left, evidence), tuple(dict.fromkeys([*left, *more]))))
    return result


def _carried(checks: t.Sequence[Check]) -> dict[str, float]:
    """Return the metrics that checks carry in their details."""
    found = [check.details["metrics"] for check in checks if isinstance(check.details.get("metrics"), dict)]
    return {str(name): value for some in found for name, value in some.items() if isinstance(value, int | float)}


def _explains(causes: t.Sequence[Cause], name: str) -> bool:
    """Return whether any of the causes explains the cause or check `name`."""
    return any(fnmatch.fnmatchcase(name, pattern) for cause in causes for pattern in cause.explains)


def _words(cause: Cause, shown: t.Sequence[str], evidence: Evidence) -> tuple[str, str]:
    filled = {"keks": _keks(evidence), "services": _services(shown)}
    return cause.cause.format(**filled), cause.remedy.format(**filled)


def _keks(evidence: Evidence) -> str:
    """Return which KEK was given, and under which KEK the rows are sealed. If the rows name no KEK, the manifest's one is used."""
    judged = evidence.check(KEK_CHECK)
    details = judged.details if judged else {}
    given = " and ".join(str(one) for one in details.get("given", ()))
    sealed = " and ".join(str(one) for one in details.get("foreign", {}) if one != NO_KEY)
    signed = evidence.key_ids.get(KEK)
    if not sealed and signed and signed not in given:
        sealed = signed
    if given and sealed:
        return f"the given KEK is {given}, but the rows are sealed under {sealed}"
    if given:
        return f"the given KEK is {given}, but the rows are sealed under another KEK, which the rows do not name"
    return f"the given KEK is not {sealed or 'the KEK'} under which the rows are sealed"


def _services(shown: t.Sequence[str]) -> str:
    """Return the services to which checks and logs refer, as text."""
    names = [one.split(".")[1] if one.startswith("services.") else one.removeprefix("log of ") for one in shown if "metric" not in one]
    names = list(dict.fromkeys(name for name in names if name and "." not in name))
    return " and ".join(names) or "a service"
