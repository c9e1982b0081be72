# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The partitions of this and the next months: created by the function or by statements, or the obstacle is named."""

from __future__ import annotations

import contextlib
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import partitions
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.partitions import Month
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    Busy,
    PermissionMissing,
    TargetRefused,
    VerificationFailed,
    VersionMismatch,
)
from scenes.fixtures import Copy
from scenes.scene import Scene
from scenes.twin_database import TwinCluster, TwinFactory
from twin import load
from twin.releases.known import RELEASES

ENSURE = "audit_partition_ensure"
LEAVES = """SELECT c.relname, pg_get_expr(c.relpartbound, c.oid), pg_get_userbyid(c.relowner) FROM pg_class c
              JOIN pg_inherits i ON i.inhrelid = c.oid WHERE i.inhparent = 'audit_events'::regclass ORDER BY 1"""
THIS_MONTH = "SELECT date_trunc('month', now() AT TIME ZONE 'UTC')::date"
EVENTS = "SELECT id, occurred_at, content_sha256, chain_seq FROM audit_events ORDER BY 1, 2"
INTO_DEFAULT = "INSERT INTO audit_events (id, zone_id, event_type, occurred_at) VALUES ('{}', 'z', 'x', '{}')"


def wanted(cluster: TwinCluster, later: int = 3) -> list[Month]:
    return partitions.wanted(cluster.execute(THIS_MONTH)[0][0], later)


def leaves(cluster: TwinCluster) -> dict[str, tuple[str, str]]:
    return {name: (bounds, owner) for name, bounds, owner in cluster.execute("SET TimeZone = 'UTC'", LEAVES)}


def sandbox(cluster: TwinCluster) -> dict[str, t.Any]:
    """Return options with the path of the copy."""
    return {"sandbox": cluster.info.directory}


def old(cluster: TwinCluster) -> None:
    """Drop the partitions, as in a backup from half a year ago, independent of the clock."""
    cluster.execute(*(f"DROP TABLE IF EXISTS {month.name}" for month in wanted(cluster, 12)))


@pytest.fixture
def copy(restored: Copy) -> t.Iterator[Copy]:
    """Yield a restored database without these months, which the test may damage."""
    old(restored)
    yield restored
    restored.reset("caracal")


@pytest.mark.parametrize("release", ["v1.0.0", "v2026.06.21"])
def test_missing_partitions_are_created_once_with_owner_of_parent(scene: Scene, twin_cluster: TwinFactory, release: str) -> None:
    """By the database's own function, if it exists."""
    cluster = twin_cluster(release=release)
    old(cluster)
    by_function = cluster.execute("SELECT to_regprocedure('audit_partition_ensure(date)') IS NOT NULL")[0][0]
    assert by_function == (RELEASES[release].family == "secret_store")
    owner = cluster.execute("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'audit_events'")[0][0]
    if not by_function:
        owner = "keeper"
        cluster.execute("CREATE ROLE keeper", "ALTER TABLE audit_events OWNER TO keeper")
    present, *missing = wanted(cluster)
    cluster.execute(
        present.create(), f"ALTER TABLE {present.name} OWNER TO {owner}", "ALTER DATABASE caracal SET TimeZone = 'Asia/Kolkata'"
    )
    before, events, where = leaves(cluster), cluster.execute(EVENTS), sandbox(cluster)
    predicted = scene.call(ENSURE, check_mode=True, **where)
    assert leaves(cluster) == before
    made = scene.call(ENSURE, **where)
    assert predicted == made and made["changed"] and made["target"] == cluster.info.system_identifier
    assert (made["present"], made["made"]) == ([present.name], [month.name for month in missing])
    assert made["diff"] == {
        "before": "".join(f"{month.name}: missing\n" for month in missing),
        "after": "".join(f"{month.name}: {month.low} to {month.high}\n" for month in missing),
    }
    after = leaves(cluster)
    assert after == {**before, **{month.name: (month.bounds, owner) for month in missing}} and len(after) == len(before) + 3
    assert cluster.execute(EVENTS) == events
    for check_mode in (True, False):
        again = scene.call(ENSURE, check_mode=check_mode, **where)
        assert not again["changed"] and again["made"] == [] and len(again["present"]) == 4
        assert again["diff"] == {"before": "", "after": ""}
    cluster.execute(INTO_DEFAULT.format("new", missing[-1].low))
    assert cluster.execute(f"SELECT id FROM {missing[-1].name}") == [("new",)]


@pytest.mark.mutation
@pytest.mark.parametrize("function", [True, False], ids=["function", "hand"])
def test_events_in_the_default_partition_are_named_and_the_message_moves_them(scene: Scene, copy: Copy, function: bool) -> None:
    if not function:
        copy.execute("DROP FUNCTION audit_partition_ensure(date)")
    this, after, *_later = wanted(copy)
    copy.execute(*(INTO_DEFAULT.format(f"late{n}", after.low) for n in range(2)), INTO_DEFAULT.format("now", this.low))
    before, events, where = leaves(copy), copy.execute(EVENTS), sandbox(copy)
    for month, count, more in ((this, 1, " (and of 1 more months)"), (after, 2, "")):
        words = f"{count} event(s) of {month.low:%Y-%m}{more} are in audit_events_default"
        message = scene.refused(ENSURE, VerificationFailed, words, "nothing was changed; run as role caracal: BEGIN; ", **where)
        if month == this:
            assert leaves(copy) == before and copy.execute(EVENTS) == events
        assert message.endswith("COMMIT;")
        copy.execute("SET ROLE caracal", message.partition("run as role caracal: ")[2])
    assert copy.execute(EVENTS) == events and copy.execute("SELECT * FROM audit_events_default") == []
    assert copy.execute(f"SELECT count(*) FROM {after.name}") == [(2,)]
    result = scene.call(ENSURE, **where)
    assert (len(result["present"]), len(result["made"])) == (2, 2)
    whole = leaves(copy)
    assert all(whole[month.name] == (month.bounds, "caracal") for month in wanted(copy))


@pytest.mark.no_false_alarm
def test_events_of_other_months_in_default_partition_do_not_block_creation(scene: Scene, copy: Copy) -> None:
    copy.execute(INTO_DEFAULT.format("old", "1999-12-31"), INTO_DEFAULT.format("far", wanted(copy)[-1].high))
    assert scene.call(ENSURE, sandbox=copy.info.directory)["changed"]
    assert copy.execute("SELECT count(*) FROM audit_events_default") == [(2,)]


@pytest.mark.mutation
@pytest.mark.parametrize("case", ["shifted", "another name", "no partition", "another schema"])
def test_relation_that_obstructs_month_partition_is_named(scene: Scene, copy: Copy, case: str) -> None:
    month = wanted(copy)[1]
    low, high = f"'{month.low} 18:30:00+00'", f"'{month.high} 00:00:00+00'"
    name, statements = {
        "shifted": (month.name, f"CREATE TABLE {month.name} PARTITION OF audit_events FOR VALUES FROM ({low}) TO ({high})"),
        "another name": (
            "audit_events_rest",
            f"CREATE TABLE audit_events_rest PARTITION OF audit_events FOR VALUES FROM ({low}) TO (MAXVALUE)",
        ),
        "no partition": (month.name, f"CREATE TABLE {month.name} (LIKE audit_events)"),
        "another schema": (
            f"kept.{month.name}",
            f"CREATE SCHEMA kept; CREATE TABLE kept.{month.name} PARTITION OF audit_events FOR VALUES FROM ({low}) TO ({high})",
        ),
    }[case]
    copy.execute(statements)
    before = leaves(copy)
    problem = "not a partition of audit_events" if case == "no partition" else f"FOR VALUES FROM ({low}) TO ("
    scene.refused(ENSURE, VerificationFailed, f"{name} is {problem}", f"must be {month.bounds}", sandbox=copy.info.directory)
    assert leaves(copy) == before


@pytest.mark.mutation
def test_a_function_that_makes_something_else_is_found_out(scene: Scene, copy: Copy) -> None:
    month, *_later = wanted(copy)
    copy.execute(
        "CREATE OR REPLACE FUNCTION audit_partition_ensure(month date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER "
        "AS $$ BEGIN RETURN; END $$"
    )
    before, where = leaves(copy), sandbox(copy)
    scene.refused(ENSURE, VerificationFailed, f"{month.name} was not created", month.create(), check_mode=False, **where)
    # In the session's own time zone, as on a server that is not set to UTC.
    copy.execute("DROP FUNCTION audit_partition_ensure(date)")
    copy.execute(
        "CREATE FUNCTION audit_partition_ensure(month date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER "
        "SET TimeZone = 'Asia/Kolkata' AS $$ BEGIN "
        "EXECUTE format('CREATE TABLE public.%I PARTITION OF public.audit_events FOR VALUES FROM (%L) TO (%L)', "
        """to_char(month, '"audit_events_y"YYYY"m"MM'), month, (month + interval '1 month')::date); END $$"""
    )
    scene.refused(ENSURE, VerificationFailed, f"must be {month.bounds}", "nothing was changed", check_mode=False, **where)
    assert leaves(copy) == before


@pytest.mark.mutation
def test_a_function_that_would_run_as_our_login_is_not_called(scene: Scene, copy: Copy) -> None:
    """Its owner is not the login that runs this module."""
    copy.execute(
        "CREATE OR REPLACE FUNCTION audit_partition_ensure(month date) RETURNS void LANGUAGE plpgsql SECURITY INVOKER "
        "AS $$ BEGIN RAISE 'run as %', current_user; END $$"
    )
    assert scene.call(ENSURE, **sandbox(copy))["made"] == [month.name for month in wanted(copy)]


@pytest.mark.mutation
@pytest.mark.parametrize("function", [True, False], ids=["function", "hand"])
def test_all_or_none(scene: Scene, copy: Copy, function: bool) -> None:
    """Another session locks the table: the module does not wait long and creates nothing."""
    if not function:
        copy.execute("DROP FUNCTION audit_partition_ensure(date)")
    before, where = leaves(copy), sandbox(copy)
    with contextlib.closing(load.open_database(copy.target, "caracal")) as holder, holder.cursor() as cursor:
        holder.autocommit = False
        cursor.execute(f"BEGIN; {INTO_DEFAULT.format('held', '1999-12-31')}")
        scene.refused(ENSURE, Busy, "stop the services and run this again", "nothing was changed", check_mode=False, **where)
        assert scene.call(ENSURE, check_mode=True, **where)["changed"]
        holder.rollback()
    assert leaves(copy) == before
    assert scene.call(ENSURE, **where)["changed"]


@pytest.mark.mutation
def test_another_database_or_table_is_refused(scene: Scene, copy: Copy) -> None:
    where = sandbox(copy)
    scene.refused(
        ENSURE, VersionMismatch, "caracal_auth", "no table public.audit_events", "database name", **where, database="caracal_auth"
    )
    copy.execute("DROP TABLE audit_events CASCADE", "CREATE TABLE audit_events (occurred_at timestamptz)")
    scene.refused(ENSURE, VersionMismatch, "partitioned by RANGE (occurred_at)", **where)


@pytest.mark.mutation
def test_role_that_does_not_own_table_is_refused(scene: Scene, copy: Copy) -> None:
    before = leaves(copy)
    password = scene.root / "drill" / "db_password"
    password.write_text("strangers-own-word", encoding="utf-8")
    copy.execute(
        "CREATE ROLE stranger LOGIN PASSWORD 'strangers-own-word'",
        "GRANT CONNECT ON DATABASE caracal TO stranger",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO stranger",
        "GRANT ALL ON SCHEMA public TO stranger",
    )
    where: dict[str, t.Any] = {
        "login_unix_socket": copy.info.socket_dir,
        "login_port": copy.info.port,
        "login_user": "stranger",
        "login_password_file": str(password),
    }
    try:
        scene.refused(ENSURE, PermissionMissing, "role stranger may not", "the owner caracal", **where)
        # The owner of the table may not have the right to call the function.
        copy.execute("ALTER TABLE audit_events OWNER TO stranger", "REVOKE ALL ON FUNCTION audit_partition_ensure FROM PUBLIC")
        scene.refused(ENSURE, PermissionMissing, "public.audit_partition_ensure(date)", **where)
        assert {name: bounds for name, (bounds, _owner) in leaves(copy).items()} == {
            name: bounds for name, (bounds, _owner) in before.items()
        }
    finally:
        copy.execute("REASSIGN OWNED BY stranger TO caracal", "DROP OWNED BY stranger", "DROP ROLE stranger")


@pytest.mark.mutation
def test_a_cluster_that_is_backed_up_is_not_touched_unless_it_is_named(scene: Scene, caracal_database: TwinCluster) -> None:
    before, identifier = leaves(caracal_database), caracal_database.info.system_identifier
    for wrong in ([], ["caracal"], [f"caracal@{identifier}0"]):
        scene.refused(ENSURE, TargetRefused, "is backed up to", f"set confirm to caracal@{identifier}", confirm=wrong)
    assert scene.call(ENSURE, check_mode=True, confirm=[f"caracal@{identifier}"])["target"] == identifier
    assert leaves(caracal_database) == before
