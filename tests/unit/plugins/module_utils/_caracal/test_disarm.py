# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import disarm
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.releases import SECRET_STORE, ZONE_KEK
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Session
from scenes.twin_database import Copier, TwinCluster, TwinFactory

# Addresses in every form that JSON allows. The values around them must stay.
ODD = {
    "plain": "https://login.example/authorize?a=b#c",
    "upper": "HTTP://LOGIN.EXAMPLE",
    "quoted": 'https://login.example/"x"\\',
    "inner": 'see "https://login.example" there',
    "list": ["http://a.example", {"deep": "https://b.example:8443/x"}],
    "https://key.example": 1,
    "none": None,
    "other": "ftp://login.example",
}


# The twin's own providers have no addresses.
LEAD_SOMEWHERE = """UPDATE providers SET config_json = config_json || '{"token_endpoint": "https://login.example/token"}'"""


def states(session: Session) -> dict[str, int]:
    """Return the number of armed rows by table."""
    return {arm.table: session.value(arm.left) for arm in disarm.ARMS}


def apply(session: Session, family: str) -> dict[str, int]:
    return {arm.table: len(session.rows(arm.statement)) for arm in disarm.arms(family)}


@pytest.mark.no_false_alarm
def test_a_copy_is_disarmed_once(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    copy = caracal_copy()
    caracal_database.execute(
        "UPDATE audit_retention SET retention_days = 90",
        LEAD_SOMEWHERE,
        database=copy,
    )
    with Session(caracal_database.server, copy) as session:
        armed = states(session)
        assert all(armed.values()), "the control: each is there"
        delivered = session.rows("SELECT id, delivered_at FROM public.notification_deliveries WHERE delivered_at IS NOT NULL ORDER BY id")
        assert apply(session, SECRET_STORE) == armed
        assert states(session) == dict.fromkeys(armed, 0) == apply(session, SECRET_STORE), "a second run finds nothing"
        assert session.value("SELECT bool_or(active) FROM public.notification_sinks") is False
        assert session.value("SELECT retention_days FROM public.audit_retention") == 36500
        assert (
            session.rows("SELECT id, delivered_at FROM public.notification_deliveries WHERE delivered_at IS NOT NULL ORDER BY id")
            == delivered
        )


def test_longer_retention_is_unchanged(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    copy = caracal_copy()
    caracal_database.execute("UPDATE audit_retention SET retention_days = 40000", database=copy)
    with Session(caracal_database.server, copy) as session:
        assert apply(session, SECRET_STORE)["audit_retention"] == 0
        assert session.value("SELECT retention_days FROM public.audit_retention") == 40000


def test_every_provider_address_is_replaced(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    copy = caracal_copy()
    caracal_database.execute(
        f"UPDATE providers SET config_json = $json${json.dumps(ODD)}$json$ WHERE id = (SELECT min(id) FROM providers)", database=copy
    )
    before = caracal_database.execute("SELECT id, config_json FROM providers ORDER BY id", database=copy)
    with Session(caracal_database.server, copy) as session:
        assert apply(session, SECRET_STORE)["providers"] >= 1
        after = session.rows("SELECT id, config_json FROM public.providers ORDER BY id")
    odd = after[0][1]
    nowhere = disarm.NOWHERE
    assert odd == {
        **{name: nowhere for name in ("plain", "upper", "quoted")},
        "inner": f'see "{nowhere}',
        "list": [nowhere, {"deep": nowhere}],
        nowhere: 1,
        "none": None,
        "other": "ftp://login.example",
    }
    assert "example" not in json.dumps([config for _id, config in after]).replace("ftp://login.example", "")
    assert [(key, sorted(config)) for key, config in after[1:]] == [(key, sorted(config)) for key, config in before[1:]]


def test_the_older_family_has_providers_only(twin_cluster: TwinFactory) -> None:
    cluster = twin_cluster(events=30, release="2026-06-04")
    assert [arm.table for arm in disarm.arms(ZONE_KEK)] == ["providers"]
    cluster.execute(LEAD_SOMEWHERE)
    with Session(cluster.server, "caracal") as session:
        count = session.value("SELECT count(*) FROM public.providers")
        assert count and apply(session, ZONE_KEK) == {"providers": count}
        assert apply(session, ZONE_KEK) == {"providers": 0}
    assert {config["token_endpoint"] for (config,) in cluster.execute("SELECT config_json FROM providers")} == {disarm.NOWHERE}


@pytest.mark.mutation
def test_functions_of_a_hostile_copy_are_not_called(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    copy = caracal_copy()
    body = "LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'called'; END $$"
    caracal_database.execute(
        f"CREATE FUNCTION public.regexp_replace(text, text, text, text) RETURNS text {body}",
        f"CREATE FUNCTION public.now() RETURNS timestamptz {body}",
        f"CREATE FUNCTION public.count(integer) RETURNS bigint {body}",
        f"CREATE FUNCTION public.alike(text, text) RETURNS boolean {body}",
        f"CREATE FUNCTION public.less(integer, integer) RETURNS boolean {body}",
        "CREATE OPERATOR public.~* (LEFTARG = text, RIGHTARG = text, FUNCTION = public.alike)",
        "CREATE OPERATOR public.< (LEFTARG = integer, RIGHTARG = integer, FUNCTION = public.less)",
        f"ALTER DATABASE {copy} SET search_path = public, pg_catalog",
        database=copy,
    )
    with Session(caracal_database.server, copy) as session:
        apply(session, SECRET_STORE)
        assert not any(states(session).values())


@pytest.mark.mutation
@pytest.mark.parametrize("arm", disarm.ARMS, ids=lambda arm: arm.table)
def test_detects_a_trigger_that_undoes_the_disarm(caracal_database: TwinCluster, caracal_copy: Copier, arm: disarm.Arm) -> None:
    copy = caracal_copy()
    caracal_database.execute(LEAD_SOMEWHERE, database=copy)
    with Session(caracal_database.server, copy) as session:
        armed = session.value(arm.left)
    caracal_database.execute(
        "CREATE FUNCTION public.undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        f"CREATE TRIGGER undo BEFORE UPDATE ON {arm.table} FOR EACH ROW EXECUTE FUNCTION public.undo()",
        database=copy,
    )
    with Session(caracal_database.server, copy) as session:
        assert armed and session.rows(arm.statement) == [] and session.value(arm.left) == armed
