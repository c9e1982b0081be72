# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""C0: the STS must serve exactly the keys in the backup. Nothing is written, and no credential is needed."""

from __future__ import annotations

import dataclasses
import typing as t

from ..._reasons import KEYS_NOT_SERVED, NEW_SIGNING_KEY, OTHER_DATABASE, SIGNING_KEY_NOT_SERVED, WRONG_KEK, because
from ..._report.check import FAIL, PASS, UNPROVEN, Check
from .asking import STS, Answer, Services, quoted

CHECK_ID = "canary.jwks"
SHOWN = 50


@dataclasses.dataclass(frozen=True)
class Key:
    """A signing key that the STS must serve. `x` and `y` are empty if the sealed key was not decrypted."""

    zone: str
    kid: str
    x: str = ""
    y: str = ""


@dataclasses.dataclass(frozen=True)
class Wrong:
    """A fault in one zone."""

    zone: str
    words: str
    facts: dict[str, t.Any]


def check(services: Services, keys: t.Sequence[Key], new: t.Sequence[Key], without: t.Sequence[str]) -> Check:
    """Check the keys that the STS serves.

    `keys` are the keys that must be served, `new` the keys in the copy that are not in the backup, and `without` the
    zones without a key.
    """
    zones: dict[str, list[Key]] = {}
    for key in keys:
        zones.setdefault(key.zone, []).append(key)
    strange = {key.kid for key in new}
    wrong = [one for zone, of_zone in zones.items() for one in [_zone(services, zone, of_zone, strange)] if one]
    wrong += [Wrong(key.zone, _NEW, {"service": STS, **because(NEW_SIGNING_KEY)}) for key in new if key.zone not in zones]
    details = {"zones": len(zones), "keys": len(keys), "zones_without_key": list(without[:SHOWN])}
    if wrong:
        words = f"{len(wrong)} of {len(zones)} zones do not serve the keys of the backup; first: zone {wrong[0].zone}: {wrong[0].words}"
        details["wrong"] = [{"zone": one.zone, "says": one.words} for one in wrong[:SHOWN]]
        return Check(CHECK_ID, FAIL, words, details={**details, **wrong[0].facts})
    if not zones:
        return Check(CHECK_ID, UNPROVEN, "no zone of the copy has a signing key, so the STS was not asked for any", details=details)
    unopened = [key.kid for key in keys if not key.x]
    if unopened:
        words = (
            f"the STS serves the IDs of all keys, but {len(unopened)} sealed keys "
            "were not decrypted here, so their public keys were not compared"
        )
        return Check(CHECK_ID, UNPROVEN, words, details={**details, "not_opened": unopened[:SHOWN]})
    listed = f"; {len(without)} zones have no key yet" if without else ""
    return Check(CHECK_ID, PASS, f"the STS serves the {len(keys)} keys of {len(zones)} zones that were backed up{listed}", details=details)


_NEW = "it has a signing key that is not in the backup, so the STS silently created a new one; tokens of the old key are refused"


def _zone(services: Services, zone: str, keys: t.Sequence[Key], strange: t.Collection[str]) -> Wrong | None:
    answer = services.call(STS, "GET", f"/.well-known/jwks.json?zone_id={quoted(zone)}")
    facts = answer.facts
    if answer.status == 500 and "decrypt" in answer.description:
        words = f"{answer}: the KEK of the services does not decrypt the signing keys; restore the secrets of the same set"
        return Wrong(zone, words, {**facts, **because(WRONG_KEK)})
    if answer.status != 200:
        return Wrong(zone, str(answer), facts if answer.status is None else {**facts, **because(KEYS_NOT_SERVED)})
    served = _served(answer)
    expected = {key.kid: (key.x, key.y) for key in keys}
    added, missing = sorted(served.keys() - expected.keys()), sorted(expected.keys() - served.keys())
    if added or strange & served.keys():
        return Wrong(zone, _NEW, {**facts, **because(NEW_SIGNING_KEY)})
    if missing:
        words = f"key {missing[0]} is not served. The STS omits a key that it cannot decrypt, for example after a rotation; check its log"
        return Wrong(zone, words, {**facts, **because(SIGNING_KEY_NOT_SERVED)})
    other = sorted(kid for kid, point in expected.items() if point[0] and served[kid] != point)
    if other:
        words = f"the STS serves another public key for {other[0]} than this copy contains, so the services use another database"
        return Wrong(zone, words, {**facts, **because(OTHER_DATABASE)})
    return None


def _served(answer: Answer) -> dict[str, tuple[str, str]]:
    """Return the public points by key ID. An answer with another structure has none."""
    keys = answer.content.get("keys") if isinstance(answer.content, dict) else None
    found = [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []
    return {str(key.get("kid")): (str(key.get("x")), str(key.get("y"))) for key in found}
