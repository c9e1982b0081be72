# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of the API over the restored data: zones, active policies, audit events. Nothing is written."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ..._reasons import NO_ANSWER, OTHER_DATABASE, OTHER_GATEWAY_KEY, POLICY_NOT_LOADED, because
from ..._report.check import FAIL, PASS, UNPROVEN, Check
from .asking import Answer, Services, quoted
from .facts import ActiveSet

ZONES, POLICY, AUDIT_QUERY = "canary.zones", "canary.policy_active", "canary.audit_query"
# The API allows 600 calls a minute from one address.
ASKED = 100
SHOWN = 50
_EVERY = 1.0
# Reasons why the API cannot report whether the STS has loaded a policy, with the reason for the check. Waiting does not
# help.
_UNASKED = {
    "unreachable": (NO_ANSWER, "the API cannot reach the STS"),
    "not_configured": (OTHER_GATEWAY_KEY, "the API cannot ask the STS, because it has no GATEWAY_STS_HMAC_KEY"),
    "failed": (OTHER_GATEWAY_KEY, "the STS refuses requests of the API, because their values of GATEWAY_STS_HMAC_KEY differ"),
}


@dataclasses.dataclass(frozen=True)
class _Wrong:
    what: str
    words: str
    facts: dict[str, t.Any]


def zones(services: Services, known: t.Collection[str]) -> Check:
    """Check the zones that the API lists. `known` are the IDs of the zones in the copy.

    The API's lists filter rows by their own rules, so the number of zones is not compared.
    """
    answer = services.api("GET", "/v1/zones?limit=500")
    listed = {str(one.get("id")) for one in rows(answer)}
    if answer.status != 200:
        return Check(ZONES, FAIL, f"the API did not list the zones: {answer}", details=answer.facts)
    strange = sorted(listed - set(known))
    if strange:
        words = f"the API lists zone {strange[0]}, which is not in this copy; the API uses another database"
        return Check(ZONES, FAIL, words, details={**answer.facts, **because(OTHER_DATABASE), "strange": strange[:SHOWN]})
    if not listed:
        if known:
            return Check(ZONES, FAIL, f"the API lists none of the {len(known)} zones of the copy", details=answer.facts)
        return Check(ZONES, UNPROVEN, "the copy has no zone, so the API has none to list", details=answer.facts)
    return Check(ZONES, PASS, f"the API lists zones of the copy ({len(listed)} on its first page)", details={"listed": len(listed)})


def policy_active(services: Services, sets: t.Sequence[ActiveSet], seconds: float) -> Check:
    """Check that every active policy set is active in the API too, and that the STS has loaded one for each zone. Waits up to `seconds`."""
    asked, until = sets[:ASKED], time.monotonic() + seconds
    waiting, loaded = list(asked), set[str]()
    wrong: list[_Wrong] = []
    while waiting:
        found, waiting = _look(services, waiting, loaded)
        wrong += found
        if not waiting or time.monotonic() > until:
            break
        time.sleep(_EVERY)
    wrong += [_Wrong(one.policy_set, "it is active, but the STS did not load it", because(POLICY_NOT_LOADED)) for one in waiting]
    details: dict[str, t.Any] = {"sets": len(sets), "asked": len(asked), "zones": len({one.zone for one in asked})}
    if wrong:
        details["wrong"] = [{"policy_set": one.what, "says": one.words} for one in wrong[:SHOWN]]
        words = f"{len(wrong)} of {len(asked)} active policy sets are not in force; first: {wrong[0].what}: {wrong[0].words}"
        return Check(POLICY, FAIL, words, details={**details, **wrong[0].facts})
    if not asked:
        return Check(POLICY, UNPROVEN, "no zone of the copy has an active policy set", details=details)
    return Check(POLICY, PASS, f"{_of(len(asked), len(sets))} policy sets are active, and the STS has loaded one per zone", details=details)


def _look(services: Services, sets: t.Sequence[ActiveSet], loaded: set[str]) -> tuple[list[_Wrong], list[ActiveSet]]:
    """Return permanent faults, and the policy sets that may still be loaded. The STS loads only one set of each zone."""
    wrong, waiting = [], []
    for one in sets:
        answer = services.api("GET", f"/v1/zones/{quoted(one.zone)}/policy-sets/{quoted(one.policy_set)}/activation-status")
        content = answer.content if isinstance(answer.content, dict) else {}
        state = content.get("propagation_status")
        sts = content.get("sts") if isinstance(content.get("sts"), dict) else {}
        facts = {**answer.facts, "propagation_status": state, "sts": (sts or {}).get("state")}
        if answer.status != 200:
            wrong.append(_Wrong(one.policy_set, str(answer), facts))
        elif content.get("active") is not True or content.get("active_version_id") != one.version:
            wrong.append(_Wrong(one.policy_set, "the API reports another active version than the row in the copy", facts))
        elif state == "loaded":
            loaded.add(one.zone)
        elif facts["sts"] in _UNASKED:
            reason, words = _UNASKED[facts["sts"]]
            wrong.append(_Wrong(one.policy_set, words, {**facts, **because(reason)}))
        else:
            waiting.append(one)
    return wrong, [one for one in waiting if one.zone not in loaded]


def audit_query(services: Services, newest: t.Mapping[str, str]) -> Check:
    """Check that the API finds events in each zone. `newest` maps each zone with audit events to the time of its newest event."""
    asked = sorted(newest)[:ASKED]
    wrong = [one for zone in asked for one in [_query(services, zone, newest[zone])] if one]
    details = {"zones": len(newest), "asked": len(asked)}
    if wrong:
        words = (
            f"{len(wrong)} of {len(asked)} zones have audit events that the "
            f"API does not find; first: zone {wrong[0].what}: {wrong[0].words}"
        )
        return Check(AUDIT_QUERY, FAIL, words, details={**details, **wrong[0].facts})
    if not asked:
        return Check(AUDIT_QUERY, UNPROVEN, "no zone of the copy has audit events, so the API has none to find", details=details)
    return Check(AUDIT_QUERY, PASS, f"the audit query finds events of {_of(len(asked), len(newest))} zones", details=details)


def _query(services: Services, zone: str, since: str) -> _Wrong | None:
    answer = services.api("GET", f"/v1/zones/{quoted(zone)}/audit?limit=1&since={quoted(since)}")
    if answer.status != 200:
        return _Wrong(zone, str(answer), answer.facts)
    found = rows(answer)
    if not found:
        return _Wrong(zone, "the API returned no event, but the copy has one", answer.facts)
    return None


def rows(answer: Answer) -> list[dict[str, t.Any]]:
    """Return the rows of a list in any release: a bare array, `items` or `rows`."""
    content = answer.content
    if isinstance(content, dict):
        content = content.get("items", content.get("rows"))
    return [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []


def _of(asked: int, total: int) -> str:
    return str(total) if asked == total else f"{asked} of {total}"
