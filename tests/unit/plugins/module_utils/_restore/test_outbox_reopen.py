# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Audit frames that were sent but not stored: found, named and sent again. Also revocations since a given time."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import outbox
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError, TargetRefused, VersionMismatch
from scenes.fixtures import Copy
from scenes.scene import Result, Scene
from scenes.twin_database import TwinCluster, TwinFactory
from twin.releases.known import RELEASES

REOPEN = "outbox_reopen"
FREELY = "SET session_replication_role = replica"
FRAMES = f"SELECT id FROM event_outbox WHERE stream_name = '{outbox.AUDIT_EVENTS}' ORDER BY 1"
EVENT = "(SELECT payload_json ->> 'data' FROM event_outbox WHERE id = '{}')::jsonb ->> 'id'"
OUTBOXES = """SELECT id, attempts, available_at::text, locked_until, dispatched_at FROM event_outbox
              UNION ALL SELECT id, attempts, available_at::text, NULL, published_at FROM caracal_outbox ORDER BY 1"""
UNSENT = "UPDATE event_outbox SET dispatched_at = NULL, available_at = {} WHERE id = '{}'"


@pytest.fixture
def copy(restored: Copy) -> t.Iterator[Copy]:
    """Yield a restored database that the test may damage."""
    yield restored
    restored.reset("caracal")


def ids(cluster: TwinCluster) -> list[str]:
    return [row[0] for row in cluster.execute(FRAMES)]


def lose(cluster: TwinCluster, frame: str) -> None:
    """Delete the event's row, as if the audit service had not processed it yet."""
    cluster.execute(FREELY, f"DELETE FROM audit_events WHERE id = {EVENT.format(frame)}")


def landed(scene: Scene, copy: Copy) -> dict[str, t.Any]:
    result = scene.call("state_verify", sandbox=copy.info.directory, audit_rows=False, require_valid=False)
    (check,) = [one for one in result["checks"] if one["id"] == outbox.CHECK_ID]
    return t.cast("dict[str, t.Any]", check)


def reopened(result: Result) -> dict[tuple[str, str], int]:
    return {(one["stream"], one["table"]): one["count"] for one in result["reopened"]}


@pytest.mark.no_false_alarm
def test_frames_that_landed_pass_and_nothing_is_sent_again(scene: Scene, restored: Copy) -> None:
    check, count = landed(scene, restored), len(ids(restored))
    assert count and (check["verdict"], check["details"]["counts"]) == ("pass", {"landed": count})
    assert check["message"] == f"audit events in the outbox: {count} have their row in audit_events" and not check["required"]
    before = restored.execute(OUTBOXES)
    result = scene.call(REOPEN, sandbox=restored.info.directory)
    assert not result["changed"] and result["diff"] == {"before": "", "after": ""}
    assert restored.execute(OUTBOXES) == before


@pytest.mark.mutation
@pytest.mark.parametrize("dead", [False, True], ids=["sent", "dead"])
def test_frame_without_event_is_named_and_reopened(scene: Scene, copy: Copy, dead: bool) -> None:
    frame, *others = ids(copy)
    lose(copy, frame)
    if dead:
        copy.execute(UNSENT.format("'infinity'", frame))
    check = landed(scene, copy)
    assert (
        check["verdict"] == "warn"
        and f"1 audit event(s) were sent but have no row in audit_events (first: row {frame} of" in check["message"]
    )
    assert "outbox_reopen" in check["message"] and check["details"] == {"counts": {"landed": len(others), "lost": 1}, "ids": [frame]}
    before = copy.execute(OUTBOXES)
    where: dict[str, t.Any] = {"sandbox": copy.info.directory}
    predicted = scene.call(REOPEN, check_mode=True, **where)
    assert copy.execute(OUTBOXES) == before
    made = scene.call(REOPEN, **where)
    assert predicted == made and made["changed"]
    assert made["reopened"] == [{"stream": outbox.AUDIT_EVENTS, "table": "event_outbox", "count": 1, "ids": [frame]}]
    line = f"event_outbox {frame} of {outbox.AUDIT_EVENTS}"
    assert made["diff"] == {"before": f"{line}: sent\n", "after": f"{line}: to be sent\n"}
    now = "SELECT attempts, locked_until, dispatched_at, available_at <= now() FROM event_outbox WHERE id = '{}'"
    assert copy.execute(now.format(frame)) == [(0, None, None, True)]
    assert [row for row in copy.execute(OUTBOXES) if row[0] != frame] == [row for row in before if row[0] != frame]
    again = scene.call(REOPEN, **where)
    assert not again["changed"] and reopened(again) == {(outbox.AUDIT_EVENTS, "event_outbox"): 0}
    assert landed(scene, copy)["details"]["counts"] == {"landed": len(others), "waiting": 1}


@pytest.mark.no_false_alarm
def test_waiting_or_expired_frame_is_not_a_loss(scene: Scene, copy: Copy) -> None:
    waiting, old, *_others = ids(copy)
    lose(copy, waiting)
    lose(copy, old)
    copy.execute(
        UNSENT.format("now() + interval '5 s'", waiting),
        f"""UPDATE event_outbox SET payload_json = payload_json || jsonb_build_object('data',
              jsonb_set((payload_json ->> 'data')::jsonb, '{{occurred_at}}', '"2020-02-01T00:00:00.000Z"')::text) WHERE id = '{old}'""",
    )
    check = landed(scene, copy)
    assert check["verdict"] == "pass" and {"waiting": 1, "expired": 1}.items() <= check["details"]["counts"].items()
    assert "1 wait to be sent, 1 are older than the oldest audit partition" in check["message"]
    assert not scene.call(REOPEN, sandbox=copy.info.directory)["changed"]


@pytest.mark.mutation
@pytest.mark.parametrize("data", ["no json", "[1]", "{}", '{"id": null}', '{"id": "\\u0000"}', '{"id": "x", "m": "\\ud800"}', None])
def test_a_frame_that_names_no_event_is_unproven(scene: Scene, copy: Copy, data: str | None) -> None:
    frame = ids(copy)[0]
    with Session(copy.server, "caracal") as session:
        session.rows("UPDATE public.event_outbox SET payload_json = jsonb_build_object('data', %s::text) WHERE id = %s", (data, frame))
    check = landed(scene, copy)
    assert check["verdict"] == "unproven" and frame in check["message"] and check["details"]["ids"] == [frame]
    assert not scene.call(REOPEN, sandbox=copy.info.directory)["changed"]


def test_without_frames_nothing_is_claimed(scene: Scene, copy: Copy) -> None:
    copy.execute(f"DELETE FROM event_outbox WHERE stream_name = '{outbox.AUDIT_EVENTS}'")
    check = landed(scene, copy)
    assert (check["verdict"], check["message"]) == ("not_applicable", "the outbox contains no audit event")


@pytest.mark.mutation
@pytest.mark.parametrize(
    "statement", ["DROP TABLE event_outbox", "ALTER TABLE event_outbox DROP COLUMN payload_json", "DROP TABLE audit_events"]
)
def test_a_copy_without_the_tables_is_unproven(scene: Scene, copy: Copy, statement: str) -> None:
    copy.execute(statement)
    check = landed(scene, copy)
    assert check["verdict"] == "unproven" and "cannot be compared: database caracal: " in check["message"]


def test_revocations_are_sent_again_from_a_time_on(scene: Scene, copy: Copy) -> None:
    """Both outboxes are read. Waiting and abandoned entries are left out."""
    copy.execute(
        f"UPDATE caracal_outbox SET topic = '{outbox.REVOCATIONS}'",
        "UPDATE caracal_outbox SET created_at = '2026-01-01' WHERE id = (SELECT min(id) FROM caracal_outbox WHERE status = 'published')",
    )
    sent = f"SELECT count(*) FROM event_outbox WHERE stream_name = '{outbox.REVOCATIONS}' AND dispatched_at IS NOT NULL"
    published = "SELECT count(*) FROM caracal_outbox WHERE status = 'published'"
    (events,), (agents,) = copy.execute(sent)[0], copy.execute(published)[0]
    assert events and agents > 1
    given: dict[str, t.Any] = {"sandbox": copy.info.directory, "streams": [outbox.REVOCATIONS]}
    late = scene.call(REOPEN, **given, since="2100-01-01T00:00:00Z")
    assert not late["changed"]
    result = scene.call(REOPEN, **given, since="2026-01-02T00:00:00+00:00")
    assert reopened(result) == {(outbox.REVOCATIONS, "event_outbox"): events, (outbox.REVOCATIONS, "caracal_outbox"): agents - 1}
    assert copy.execute(sent) == [(0,)] and copy.execute(published) == [(1,)]
    assert copy.execute("SELECT count(*) FROM caracal_outbox WHERE status = 'dead'") != [(0,)]
    assert not scene.call(REOPEN, **given, since="2026-01-02T00:00:00Z")["changed"]


def test_invalid_options_are_refused_and_change_nothing(scene: Scene, restored: Copy) -> None:
    before, where = restored.execute(OUTBOXES), {"sandbox": restored.info.directory}
    streams = [outbox.AUDIT_EVENTS, outbox.REVOCATIONS]
    scene.refused(REOPEN, OptionError, outbox.REVOCATIONS, "set since", **where, streams=streams)
    for wrong in ("yesterday", "2026-01-01T00:00:00", "2026-01-01"):
        scene.refused(REOPEN, OptionError, "since", wrong, "2026-11-25T02:16:44Z", **where, streams=streams, since=wrong)
    scene.refused(REOPEN, VersionMismatch, "caracal_auth", "database name", **where, database="caracal_auth")
    assert restored.execute(OUTBOXES) == before


@pytest.mark.mutation
def test_a_cluster_that_is_backed_up_is_not_touched_unless_it_is_named(scene: Scene, caracal_database: TwinCluster) -> None:
    before, identifier = caracal_database.execute(OUTBOXES), caracal_database.info.system_identifier
    for wrong in ([], ["caracal"], [f"caracal@{identifier}0"]):
        scene.refused(REOPEN, TargetRefused, "is backed up to", f"set confirm to caracal@{identifier}", confirm=wrong)
    assert scene.call(REOPEN, check_mode=True, confirm=[f"caracal@{identifier}"])["target"] == identifier
    assert caracal_database.execute(OUTBOXES) == before


@pytest.mark.mutation
@pytest.mark.parametrize("release", sorted(RELEASES))
def test_every_release_with_frames_is_evaluated(release: str, twin_cluster: TwinFactory) -> None:
    """Only some families have such frames."""
    cluster = twin_cluster(events=400, release=release)
    family = RELEASES[release].family
    with Session(cluster.server, "caracal") as session:
        before = outbox.landed(session, family)
        if family != outbox.SECRET_STORE:
            assert before.verdict == "not_applicable" and outbox.to_reopen(session, family, outbox.AUDIT_EVENTS, None) == {}
            return
        assert before.verdict == "pass"
        frame = ids(cluster)[0]
        lose(cluster, frame)
        assert outbox.landed(session, family).verdict == "warn"
        assert outbox.to_reopen(session, family, outbox.AUDIT_EVENTS, None) == {"event_outbox": [frame]}
