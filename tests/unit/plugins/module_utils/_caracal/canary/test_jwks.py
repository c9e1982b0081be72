# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""every way in which the STS can serve keys that differ from the keys in the backup."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary import jwks
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary.asking import STS, Services
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary.jwks import Key
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, PASS, UNPROVEN, Check
from scenes.scripted_services import Line, ask, services

ONE, TWO = Key("z-1", "kid-1", "x1", "y1"), Key("z-2", "kid-2", "x2", "y2")
BEFORE = Key("z-1", "kid-0", "x0", "y0")


def served(zone: str, *keys: Key, status: int = 200, **body: t.Any) -> Line:
    jwk = [{"kty": "EC", "crv": "P-256", "use": "sig", "kid": key.kid, "alg": "ES256", "x": key.x, "y": key.y} for key in keys]
    return Line(STS, "GET", rf"/\.well-known/jwks\.json\?zone_id={zone}", status, body or {"keys": jwk})


def judge(*lines: Line, keys: t.Sequence[Key] = (ONE, TWO), new: t.Sequence[Key] = (), without: t.Sequence[str] = ()) -> Check:
    with services(*lines) as (asked, _script):
        return jwks.check(asked, keys, new, without)


@pytest.mark.no_false_alarm
def test_the_keys_of_the_backup_are_served() -> None:
    found = judge(served("z-1", ONE, BEFORE), served("z-2", TWO), keys=(ONE, BEFORE, TWO), without=["z-3"])
    assert found.verdict == PASS and "3 keys of 2 zones" in found.message and "1 zones have no key yet" in found.message
    assert found.details == {"zones": 2, "keys": 3, "zones_without_key": ["z-3"]}


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("line", "reason", "words"),
    [
        (
            served("z-2", status=500, error="internal_error", error_description="signing key decryption failed"),
            "wrong_kek",
            "the KEK of the services does not decrypt the signing keys",
        ),
        (served("z-2", status=404, error="resource_not_found", error_description="zone signing key not found"), "not_served", "404"),
        (served("z-2", status=500, error="internal_error", error_description="jwks serialisation failed"), "not_served", "500"),
        (served("z-2", TWO, Key("z-2", "kid-9", "x9", "y9")), "new_key", "silently created a new one"),
        (served("z-2", Key("z-2", "kid-9", "x9", "y9")), "new_key", "silently created a new one"),
        (served("z-2"), "key_missing", "key kid-2 is not served"),
        (served("z-2", keys="none"), "key_missing", "key kid-2 is not served"),
        (served("z-2", Key("z-2", "kid-2", "x2", "other")), "other_database", "another public key"),
    ],
)
def test_a_zone_that_serves_other_keys_is_found(line: Line, reason: str, words: str) -> None:
    found = judge(served("z-1", ONE), line)
    assert found.verdict == FAIL and words in found.message and "1 of 2 zones" in found.message and "z-2" in found.message
    assert found.details["reason"] == reason and found.details["service"] == "sts"


@pytest.mark.mutation
def test_finds_a_key_that_is_not_in_the_backup() -> None:
    made = Key("z-2", "kid-9", "x9", "y9")
    for keys in ((ONE, made), (ONE,)):
        found = judge(served("z-1", ONE), served("z-2", made), keys=keys, new=[Key("z-2", "kid-9")])
        assert (found.verdict, found.details["reason"]) == (FAIL, "new_key")


@pytest.mark.mutation
def test_sts_that_does_not_answer_fails() -> None:
    found = jwks.check(Services(ask, {STS: "http://127.0.0.1:9"}), [ONE], [], [])
    assert found.verdict == FAIL and "did not answer" in found.message and found.details["status"] is None


def test_unproven_without_a_signing_key() -> None:
    assert judge(keys=(), without=["z-1"]).verdict == UNPROVEN


def test_unproven_if_a_key_could_not_be_decrypted() -> None:
    closed = Key("z-2", "kid-2")
    assert judge(served("z-1", ONE), served("z-2", TWO), keys=(ONE, closed)).verdict == UNPROVEN
