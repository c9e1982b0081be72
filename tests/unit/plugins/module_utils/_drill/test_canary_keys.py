# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signing keys of a copy compared with the backup's keys, and the token that a drill signs."""

from __future__ import annotations

import base64
import json
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary.dialect import Dialect
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary.facts import Revoked
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.keys.kek import Kek, Keyring
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.releases import SECRET_STORE
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.canary_keys import SigningKeys
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Session
from scenes.twin_database import Copier, TwinCluster
from twin import keys

HOW = Dialect(SECRET_STORE, True)


@pytest.fixture
def copy(caracal_database: TwinCluster, caracal_copy: Copier) -> t.Iterator[Session]:
    with Session(caracal_database.server, caracal_copy()) as session:
        yield session


@pytest.fixture
def right(caracal_database: TwinCluster) -> Keyring:
    return Keyring(Kek(keys.for_seed(caracal_database.spec.seed).secret_store_kek))


WRONG = Keyring(Kek(b"w" * 31 + b"x"))


def as_returned(found: SigningKeys) -> list[dict[str, t.Any]]:
    return [{"kid": one.kid, "zone": one.zone, "x": one.x, "y": one.y} for one in found.expected]


def test_points_come_from_the_sealed_rows_or_from_before(copy: Session, right: Keyring) -> None:
    found = SigningKeys(copy, SECRET_STORE, right, None)
    assert found.expected and all(len(one.x) == 43 and len(one.y) == 43 for one in found.expected) and found.new == []
    assert {one.x for one in SigningKeys(copy, SECRET_STORE, WRONG, None).expected} == {""}
    # A key that was decrypted before does not need the KEK now.
    assert SigningKeys(copy, SECRET_STORE, WRONG, as_returned(found)).expected == found.expected


def test_new_zone_key_is_reported_and_not_attributed_to_backup(copy: Session, right: Keyring) -> None:
    before = as_returned(SigningKeys(copy, SECRET_STORE, right, None))
    first, zone = before[0], before[0]["zone"]
    without = [one for one in before if one["zone"] != zone]
    found = SigningKeys(copy, SECRET_STORE, right, without)
    assert first["kid"] in {one.kid for one in found.new} and found.kids(zone) == set()
    assert SigningKeys(copy, SECRET_STORE, right, before).new == []
    # Caracal's own zone gets its first key automatically, but not a second one.
    copy.rows("UPDATE public.zones SET slug = 'caracal-sys-internal' WHERE id = %s", (zone,))
    assert SigningKeys(copy, SECRET_STORE, right, without).new == []
    other = [*without, {"kid": "former", "zone": zone}]
    assert {one.zone for one in SigningKeys(copy, SECRET_STORE, right, other).new} == {zone}


@pytest.mark.parametrize("claim", ["sid", "agent_session_id", "delegation_edge_id"])
def test_the_claims_of_a_token_of_a_revoked_session(copy: Session, right: Keyring, claim: str) -> None:
    found = SigningKeys(copy, SECRET_STORE, right, None)
    key = found.expected[0]
    token = found.token(Revoked(key.zone, "session", claim, "s-1", "resource://r"), HOW)
    assert token is not None
    head, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    assert head["kid"] == key.kid and claims["zone_id"] == key.zone and claims[claim] == "s-1" and claims["use"] == "gateway"
    assert claims["sid"] == claims["root_sid"] and claims["exp"] - claims["iat"] == 300 and claims["jti"]
    assert (claims["sid"] == "s-1") is (claim == "sid")


def test_without_the_right_kek_nothing_is_signed(copy: Session, right: Keyring) -> None:
    zone = SigningKeys(copy, SECRET_STORE, right, None).expected[0].zone
    assert SigningKeys(copy, SECRET_STORE, WRONG, None).token(Revoked(zone, "session", "sid", "s-1", "r"), HOW) is None
    assert SigningKeys(copy, SECRET_STORE, right, None).token(Revoked("no zone", "session", "sid", "s-1", "r"), HOW) is None
