# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Required retention compared with real databases of both families, a real Redis and a real repository, one fault at a time."""

from __future__ import annotations

import datetime as dt
import json
import typing as t
import uuid
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.partitions import Month
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import KeyProblem, OptionError, VersionMismatch
from harness.fixtures import make_twin
from scenes import redis_server
from scenes import scene as scenes
from scenes.metrics_text import parse
from scenes.playing import Play, stats_of
from scenes.redis_server import RedisServer
from scenes.retention_scene import (
    ENVIRONMENT,
    GRANT,
    VERIFY,
    WATERMARK,
    Deployment,
    later,
    retention_settings,
    serve,
    spoken,
    the_check,
)
from scenes.scene import Scene, new_identity
from scenes.twin_database import TwinCluster
from twin.spec import Spec, utc_now

# Other results of a healthy twin of v1.0.0: it has dead events, and copies are not configured.
USUAL = {"outbox.dead": "warn", "backups.copies": "not_applicable"}
AUDIT, EXPORTS = "audit.exported", "audit.exports_current"


@pytest.fixture(scope="module")
def cluster(server_install: server_binaries.Install) -> t.Iterator[TwinCluster]:
    """Yield a twin with the current date. Tests use copies of its database."""
    with make_twin(server_install, Spec(events=600, seed="retention", now=utc_now())) as made:
        made.execute(GRANT, WATERMARK.format("2 hours"))
        yield made


@pytest.fixture(scope="module")
def _proved(cluster: TwinCluster, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Return a repository with one set, a passed drill of the set, and a proof of its recipient's identity."""
    scene = scenes.make(tmp_path_factory.mktemp("proved") / "scene", cluster.info.socket_dir)
    scene.backup()
    with redis_server.start(8) as redis:
        made = Deployment(scene, cluster, "caracal", redis)
        made.ask()
        made.drill()
        made.prove()
    return scene


@pytest.fixture
def redis() -> t.Iterator[RedisServer]:
    with redis_server.start(8) as made:
        serve(made)
        yield made


@pytest.fixture
def here(cluster: TwinCluster, _proved: Scene, redis: RedisServer, tmp_path: Path) -> t.Iterator[Deployment]:
    """Yield a deployment in which every check passes."""
    name = f"copy_{uuid.uuid4().hex[:12]}"
    cluster.execute(f"CREATE DATABASE {name} TEMPLATE caracal OWNER caracal STRATEGY file_copy", database="postgres")
    yield Deployment(_proved.copy(tmp_path / "scene"), cluster, name, redis)
    cluster.execute(f"DROP DATABASE {name} WITH (FORCE)", database="postgres")


def month(offset: int) -> Month:
    today = utc_now().date()
    index = today.year * 12 + today.month - 1 + offset
    return Month(dt.date(index // 12, index % 12 + 1, 1))


def partition(of: Month) -> str:
    return f"CREATE TABLE public.{of.name} PARTITION OF public.audit_events {of.bounds}"


@pytest.mark.no_false_alarm
def test_a_healthy_deployment_passes_and_nothing_changes(here: Deployment) -> None:
    before = scenes.tree(here.scene.repository)
    given: dict[str, t.Any] = {"break_glass_files": [str(here.scene.recipients)], "require_valid": True}
    predicted = here.ask(check_mode=True, **given)
    made = here.ask(**given)
    assert spoken(made) == USUAL and made["verdict"] == "pass" and not made["changed"]
    assert spoken(predicted) == spoken(made) and predicted["counts"] == made["counts"]
    assert made["counts"] == {"pass": 20, "fail": 0, "warn": 1, "unproven": 0, "not_applicable": 1}
    assert made["report"] == [] and made["summary_lines"][-1] == "verdict: pass"
    assert scenes.tree(here.scene.repository) == before


@pytest.mark.no_false_alarm
def test_a_deployment_without_a_grant_of_its_release_is_warned(here: Deployment) -> None:
    here.execute(GRANT.replace("GRANT", "REVOKE").replace(" TO ", " FROM "))
    result = here.ask()
    assert spoken(result) == {**USUAL, "coordinator.cleaner": "warn", "backups.break_glass": "unproven"} and result["verdict"] == "pass"
    check = the_check(result, "coordinator.cleaner")
    assert GRANT in check["message"] and check["details"] == {"lacking": ["delegation_edges", "caracal_outbox"]}


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("release", ["2026-06-04", "v2026.06.21"])
def test_older_family_is_evaluated_by_its_own_checks(
    release: str, server_install: server_binaries.Install, _proved: Scene, redis: RedisServer, tmp_path: Path
) -> None:
    with make_twin(server_install, Spec(events=300, seed="other", now=utc_now(), release=release)) as twin:
        twin.execute(WATERMARK.format("2 hours"))
        scene = _proved.copy(tmp_path / "scene", socket=twin.info.socket_dir)
        there = Deployment(scene, twin, "caracal", redis)
        result = there.ask()
        ids = {one["id"] for one in result["checks"]}
        assert not {"retention.coordinator.sessions", "retention.coordinator.receipts"} & ids
        assert spoken(result) == {**USUAL, "coordinator.cleaner": "not_applicable", "backups.break_glass": "unproven"}
        twin.execute("UPDATE delegation_edges SET expires_at = now() - interval '200 days', revoked_at = NULL WHERE status = 'expired'")
        assert the_check(there.ask(), "coordinator.delegations")["verdict"] == "fail"


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("statements", "check", "verdict", "words"),
    [
        ([f"DROP TABLE {month(2).name}"], "audit.partitions", "fail", month(2).name),
        (
            [f"DROP TABLE {month(1).name}", f"CREATE TABLE public.{month(1).name} PARTITION OF public.audit_events {month(40).bounds}"],
            "audit.partitions", "fail", month(1).name,
        ),
        (
            [
                f"DROP TABLE {month(3).name}",
                f"INSERT INTO audit_events SELECT (e).* FROM (SELECT jsonb_populate_record(a, jsonb_build_object('occurred_at', "
                f"'{month(3).low}')) AS e FROM audit_events a LIMIT 1) one",
            ],
            "audit.default_partition", "fail", "1 event(s) are in the default partition",
        ),
        (["DROP TABLE audit_events_default"], "audit.default_partition", "fail", "there is no default partition"),
        ([partition(month(-20))], "audit.overdue", "fail", f"1 month should have been dropped, {month(-20).name} "),
        (["UPDATE audit_retention SET retention_days = 30"], "audit.overdue", "fail", "months should have been dropped"),
        (["UPDATE audit_retention SET retention_days = 600"], "audit.days", "warn", "the database sets 600 days"),
        ([WATERMARK.format("3 days")], EXPORTS, "fail", "over its budget of 6 h"),
        ([WATERMARK.format("-5 hours")], EXPORTS, "fail", "is in the future"),
        (["DELETE FROM audit_export_watermark"], EXPORTS, "fail", "no hour was ever exported"),
        (["DELETE FROM audit_export_watermark"], AUDIT, "fail", "AUDIT_EXPORT_S3_BUCKET is set"),
        ([WATERMARK.format("100 days")], AUDIT, "fail", "with events that were never exported"),
        (["UPDATE caracal_outbox SET published_at = now() - interval '30 days' WHERE status = 'published'"],
         "coordinator.outbox", "fail", "are past their retention time"),
        (["UPDATE delegation_edges SET revoked_at = now() - interval '200 days' WHERE status = 'revoked'"],
         "coordinator.delegations", "fail", "are past their retention time"),
        (["UPDATE delegation_edges SET expires_at = now() - interval '3 hours' WHERE status = 'active'"],
         "coordinator.expiries", "fail", "have expired but are still active"),
        (["UPDATE sessions SET terminated_at = now() - interval '92 days' WHERE status IN ('terminated', 'expired')"],
         "coordinator.sessions", "fail", "the oldest by 2 d"),
        (["UPDATE coordinator_idempotency_receipts SET created_at = now() - interval '4 days', expires_at = now() - interval '3 days'"],
         "coordinator.receipts", "fail", "are still stored"),
        (["DELETE FROM caracal_outbox", "DELETE FROM event_outbox"], "outbox.dead", "not_applicable", "both outboxes are empty"),
        (["TRUNCATE coordinator_idempotency_receipts"], "coordinator.receipts", "not_applicable", "there are no idempotency receipts"),
        (["TRUNCATE coordinator_idempotency_receipts, schema_migrations"], "coordinator.receipts", "unproven", "no zones or migrations"),
        (["DROP TABLE caracal_outbox"], "coordinator", "unproven", "caracal_outbox"),
        (["ALTER TABLE audit_retention RENAME COLUMN retention_days TO days"], "audit", "unproven", "retention_days"),
    ],
)  # fmt: skip
def test_a_fault_of_the_database_is_found(here: Deployment, statements: list[str], check: str, verdict: str, words: str) -> None:
    here.execute("SET session_replication_role = replica", *statements)
    found = here.check(check)
    assert (found["verdict"], words in found["message"]) == (verdict, True), found


@pytest.mark.mutation
def test_month_dropped_before_its_export_is_named_with_its_date(here: Deployment) -> None:
    """A late event of an old month arrived a minute ago. The exports run, but the month is dropped first."""
    oldest = here.execute("SELECT min(relname) FROM pg_class WHERE relname ~ '^audit_events_y' AND relispartition AND relkind = 'r'")[0][0]
    first = Month(dt.date(int(oldest[14:18]), int(oldest[19:21]), 1))
    days = (utc_now().date() - first.high).days + 1
    given = {"effective_environment": {**ENVIRONMENT, "AUDIT_RETENTION_DAYS": days}, "export_budget": 30}
    assert here.check(AUDIT, **given)["verdict"] == "pass"
    here.execute("SET session_replication_role = replica", f"UPDATE {oldest} SET ingested_at = now()")
    found, dropped = here.check(AUDIT, **given), first.high + dt.timedelta(days=days)
    assert found["verdict"] == "fail" and found["details"]["partitions"] == {oldest: f"{dropped:%Y-%m-%d}"}


@pytest.mark.mutation
def test_inactive_cleaner_fails_and_unauthorized_one_warns(here: Deployment) -> None:
    here.execute("UPDATE caracal_outbox SET published_at = now() - interval '30 days' WHERE status = 'published'")
    assert here.check("coordinator.outbox")["verdict"] == "fail"
    here.execute("REVOKE DELETE ON caracal_outbox FROM caracalcoordinator")
    assert here.check("coordinator.outbox")["verdict"] == "warn"


@pytest.mark.mutation
def test_checks_of_days_need_the_running_environment(here: Deployment) -> None:
    result = here.ask(effective_environment=None)
    resting = ("audit.days", "audit.overdue", AUDIT, "coordinator.delegations", "coordinator.outbox", "coordinator.sessions")
    spoken_verdicts = spoken(result)
    assert result["verdict"] == "unproven" and "effective_environment" in result["msg"]
    assert [name for name in resting if spoken_verdicts.get(name) not in ("unproven", "warn")] == []
    assert spoken_verdicts["audit.days"] == "warn", "the database asks for more than the product's default"
    here.execute("DELETE FROM audit_export_watermark")
    assert here.check(EXPORTS, effective_environment=None)["verdict"] == "unproven"
    assert here.check(EXPORTS, effective_environment={})["verdict"] == "not_applicable"


def test_environment_file_is_read_without_printing_secrets(here: Deployment, tmp_path: Path) -> None:
    path = tmp_path / "environ"
    path.write_bytes(b"AUDIT_HMAC_KEY=hush\0AUDIT_RETENTION_DAYS=500\0AUDIT_EXPORT_S3_BUCKET=caracal-audit\0")
    result = here.ask(effective_environment_file=str(path))
    assert spoken(result) == {**USUAL, "backups.break_glass": "unproven"} and "hush" not in json.dumps(result)


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("legal", "check", "words"),
    [
        ({"audit_at_least": 730}, "audit.days", " 730 "),
        ({"audit_at_most": 90}, "audit.days", " 90 "),
    ],
)
def test_retention_days_outside_legal_limits_fail(here: Deployment, legal: dict[str, int], check: str, words: str) -> None:
    found = here.check(check, legal=legal)
    assert found["verdict"] == "fail" and words in found["message"]


@pytest.mark.mutation
def test_old_sets_and_drills_fail(here: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    verdicts: dict[int, tuple[str, ...]] = {}
    for days in (1, 2, 9, 401):
        later(monkeypatch, days=days)
        result = here.ask(break_glass_files=[str(here.scene.recipients)], legal={"backups_at_most": 400})
        names = ("backups.newest", "backups.drill", "backups.break_glass", "backups.kept_at_most")
        verdicts[days] = tuple(the_check(result, name)["verdict"] for name in names)
    assert verdicts == {
        1: ("pass", "pass", "pass", "pass"),
        2: ("fail", "pass", "pass", "pass"),
        9: ("fail", "fail", "pass", "pass"),
        401: ("fail", "fail", "unproven", "fail"),
    }


@pytest.mark.mutation
def test_newer_failed_drill_overrides_a_passed_drill(here: Deployment) -> None:
    here.drill("unproven")
    assert here.check("backups.drill")["verdict"] == "pass", "it told nothing"
    here.drill("fail")
    found = here.check("backups.drill")
    assert found["verdict"] == "fail" and "failed" in found["message"]


@pytest.mark.mutation
def test_incomplete_newest_set_fails(here: Deployment) -> None:
    next(here.scene.repository.glob("sets/*/postgres/*.dump.zst.age")).unlink()
    found = here.check("backups.newest")
    assert found["verdict"] == "fail" and "cannot be trusted" in found["message"]


@pytest.mark.mutation
def test_break_glass_recipient_must_decrypt_the_newest_set(here: Deployment, tmp_path: Path) -> None:
    safe = tmp_path / "safe.recipients"
    safe.write_text(new_identity(tmp_path / "safe.identity"))
    found = here.check("backups.break_glass", break_glass_files=[str(safe)])
    assert found["verdict"] == "fail" and "is encrypted for" in found["message"]


@pytest.mark.mutation
def test_only_recently_verified_copies_count(here: Deployment) -> None:
    now = utc_now()
    copies = [{"name": name, "verified": (now - dt.timedelta(days=days)).isoformat()} for name, days in (("a", 1), ("b", 20), ("c", 90))]
    assert here.check("backups.copies", copies=copies, copies_at_least=2)["verdict"] == "pass"
    found = here.check("backups.copies", copies=copies, copies_at_least=3)
    assert found["verdict"] == "fail" and found["details"] == {"asked": 3, "fresh": ["a", "b"], "named": ["a", "b", "c"]}


def test_archive_check_runs_only_if_configured(here: Deployment) -> None:
    assert "retention.backups.archive" not in {one["id"] for one in here.ask()["checks"]}
    found = here.check("backups.archive", archive_budget=3)
    assert found["verdict"] == "fail" and "no archived export" in found["message"]


@pytest.mark.mutation
def test_stream_problems_are_reported(here: Deployment) -> None:
    run, audit, revoke = here.redis.run, "caracal.audit.events", "caracal.sessions.revoke"
    run("XADD", f"{audit}.dlq", "5-1", "reason", "hmac")
    found = here.check("streams.dead_letters")
    assert found["verdict"] == "warn" and f"1 entries were given up in {audit}.dlq" in found["message"]
    run("XADD", "caracal.keys.invalidate", "1-1", "n", 1)
    for stream, group, verdict in ((revoke, "sts-revocation", "warn"), (audit, "audit-ingestor", "fail")):
        run("DEL", stream)
        run("XGROUP", "CREATE", stream, group, "0", "MKSTREAM")
        run("XADD", stream, "1795564600000-1", "n", 1)
        run("XADD", stream, "*", "n", 2)
        run("XREADGROUP", "GROUP", group, "one", "STREAMS", stream, ">")
        found = here.check("streams.pending", pending_budget=0.001)
        assert (found["verdict"], found["details"]["pending"]) == (verdict, 2 if verdict == "warn" else 4), found
    assert here.check("streams.pending", pending_budget=24.0 * 36525)["verdict"] == "pass"
    here.redis.run("EVAL", "for n = 1, 10001 do redis.call('XADD', KEYS[1], '*', 'n', n) end", 1, "caracal.policy.invalidate")
    found = here.check("streams.bounds")
    assert found["verdict"] == "warn" and "caracal.policy.invalidate with 10002" in found["message"]


@pytest.mark.mutation
def test_group_of_a_removed_gateway_does_not_fail(here: Deployment) -> None:
    run, stream, group = here.redis.run, "caracal.sessions.revoke", "gateway-revocation:gone"
    run("XADD", stream, "*", "n", 2)
    run("XGROUP", "CREATE", stream, group, "0")
    run("XREADGROUP", "GROUP", group, "one", "STREAMS", stream, ">")
    assert here.check("streams.pending", pending_budget=1e-9)["verdict"] == "warn", "nobody has asked for longer than the budget"
    assert here.check("streams.pending")["verdict"] == "pass"
    run("XGROUP", "DELCONSUMER", stream, group, "one")
    assert here.check("streams.pending", pending_budget=1e-9)["details"]["pending"] == 0


@pytest.mark.mutation
def test_stream_without_its_consumer_group_is_unproven(here: Deployment) -> None:
    here.redis.run("XGROUP", "DESTROY", "caracal.audit.events", "audit-ingestor")
    found = here.check("streams.pending")
    assert found["verdict"] == "unproven" and found["details"]["missing"] == ["caracal.audit.events audit-ingestor"]


@pytest.mark.mutation
def test_empty_or_unreachable_redis_is_unproven(here: Deployment) -> None:
    here.redis.run("FLUSHALL")
    result = here.ask()
    names = ("streams.bounds", "streams.pending", "streams.dead_letters")
    assert {the_check(result, name)["verdict"] for name in names} == {"unproven"} and result["verdict"] == "unproven"
    gone = here.ask(redis_unix_socket=f"{here.redis.socket}.gone")
    assert the_check(gone, "streams")["verdict"] == "unproven" and "cannot reach Redis" in gone["msg"]


@pytest.mark.mutation
def test_missing_database_makes_its_checks_unproven(here: Deployment) -> None:
    result = here.ask(database="nowhere")
    assert {the_check(result, name)["verdict"] for name in ("audit", "coordinator")} == {"unproven"}
    assert "correct the database name" in result["msg"] and the_check(result, "backups.newest")["verdict"] == "pass"


@pytest.mark.mutation
def test_role_that_cannot_read_every_row_is_unproven(here: Deployment, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("far-too-simple")
    given: dict[str, t.Any] = {"login_user": "short_sighted", "login_password_file": str(password)}
    here.execute(f"CREATE ROLE short_sighted LOGIN PASSWORD '{password.read_text()}' IN ROLE pg_read_all_data")
    try:
        found = here.check("coordinator", **given)
        assert found["verdict"] == "unproven" and "row-level security" in found["message"], found
        here.execute("ALTER ROLE short_sighted BYPASSRLS")
        assert spoken(here.ask(**given)) == {**USUAL, "backups.break_glass": "unproven"}
    finally:
        here.execute("DROP ROLE short_sighted")


def test_reports_left_out_parts_with_their_reason(here: Deployment) -> None:
    result = here.ask(left_out={"streams": "the platform team\nwatches Redis"}, redis_unix_socket="/nowhere")
    found = the_check(result, "streams")
    assert (found["verdict"], found["required"], found["message"]) == (
        "not_applicable",
        False,
        "left out: the platform team watches Redis",
    )
    assert result["verdict"] == "pass"
    everything = dict.fromkeys(("audit", "coordinator", "streams", "backups"), "later")
    result = here.ask(left_out=everything)
    assert [one["verdict"] for one in result["checks"] if one["required"]] == ["pass"], "only the journal was read"


def test_waiver_is_shown_and_keeps_the_verdict_of_its_check(here: Deployment) -> None:
    here.execute(WATERMARK.format("3 days"))
    tomorrow = (utc_now() + dt.timedelta(days=1)).date().isoformat()
    waivers = [{"check": f"retention.{name}", "reason": "OPS-4711", "expires": tomorrow} for name in (EXPORTS, AUDIT)]
    result = here.ask(waivers=waivers, require_valid=True)
    assert result["verdict"] == "pass" and result["waivers"] == waivers and result["counts"]["fail"] == 2
    assert the_check(result, EXPORTS)["waived"] and the_check(result, EXPORTS)["required"]
    assert f"waived          retention.{EXPORTS} until {tomorrow}: OPS-4711" in result["summary_lines"]


@pytest.mark.mutation
def test_failing_verdict_still_writes_metrics(here: Deployment, tmp_path: Path) -> None:
    path = tmp_path / "retention.prom"
    here.execute(WATERMARK.format("3 days"))
    given: dict[str, t.Any] = {"metrics_file": str(path), "require_valid": True}
    assert here.ask(check_mode=True, **given)["failed"] and not path.exists()
    result = here.ask(**given)
    assert result["failed"] and result["msg"].startswith(f"verdict fail: retention.{EXPORTS}: ")
    metrics = parse(path.read_text())
    series = ("deployment", "prod")
    assert metrics["caracal_backup_retention_verdict"] == {
        (series, ("verdict", verdict)): float(verdict == "fail") for verdict in ("pass", "fail", "unproven")
    }
    assert {labels[1][1]: count for labels, count in metrics["caracal_backup_retention_checks"].items()} == result["counts"]
    assert 71 * 3600 < metrics["caracal_backup_retention_export_age_seconds"][(series,)] < 73 * 3600
    assert 0 < metrics["caracal_backup_retention_set_age_seconds"][(series,)] < 3600
    assert "caracal_backup_retention_archive_age_seconds" not in metrics


@pytest.mark.mutation
def test_writes_machine_readable_reports(here: Deployment, tmp_path: Path) -> None:
    here.execute(WATERMARK.format("3 days"))
    tomorrow = (utc_now() + dt.timedelta(days=1)).date().isoformat()
    given: dict[str, t.Any] = {
        "report_dir": str(tmp_path / "reports"),
        "waivers": [{"check": f"retention.{AUDIT}", "reason": "OPS-4711", "expires": tomorrow}],
    }
    here.ask(check_mode=True, **given)
    assert not (tmp_path / "reports").exists()
    first, second = here.ask(**given), here.ask(**given)
    assert len({*first["report"], *second["report"]}) == 4
    document = json.loads(Path(first["report"][0]).read_text())
    assert (document["type"], document["verdict"], document["deployment"]) == ("retention-report", "fail", "prod")
    assert document["checks"] == first["checks"] and document["counts"] == first["counts"]
    suite = ET.parse(first["report"][1]).getroot()
    assert (suite.get("name"), suite.get("failures"), suite.get("tests")) == ("retention prod", "1", str(len(first["checks"])))
    cases = {one.get("name"): one for one in suite.findall("testcase")}
    assert cases[f"retention.{EXPORTS}"].find("failure") is not None
    waived = cases[f"retention.{AUDIT}"].find("skipped")
    assert waived is not None and f"fail, waived until {tomorrow}: OPS-4711" in waived.get("message", "")


def test_refuses_invalid_options(here: Deployment, tmp_path: Path) -> None:
    given: dict[str, t.Any] = {"database": here.name, **here.redis.login}
    refused: list[tuple[dict[str, t.Any], type[Exception], str]] = [
        ({"set_budget": 0.0}, OptionError, "set_budget is 0.0"),
        ({"archive_budget": float("nan")}, OptionError, "archive_budget"),
        ({"legal": {"backups_at_least": 9, "backups_at_most": 8}}, OptionError, "at least 9 and at most 8"),
        ({"legal": {"audit_at_least": 0}}, OptionError, "audit_at_least is 0"),
        ({"copies_at_least": -1}, OptionError, "copies_at_least"),
        ({"copies": [{"name": "a", "verified": "yesterday"}]}, OptionError, "copies[].verified"),
        ({"left_out": {"redis": "x"}}, OptionError, "allowed are audit, coordinator"),
        ({"left_out": {"streams": " "}}, OptionError, "streams without a reason"),
        ({"waivers": [{"check": "x", "reason": "y", "expires": "2020-01-01"}]}, OptionError, "expired"),
        ({"effective_environment": {"AUDIT_RETENTION_DAYS": 0}}, OptionError, "AUDIT_RETENTION_DAYS"),
        ({"effective_environment_file": "/nowhere"}, OptionError, "/nowhere"),
        ({"break_glass_files": [str(here.scene.identity)]}, KeyProblem, "private key"),
        ({"database": "caracal_auth"}, VersionMismatch, "correct the database name"),
    ]
    for options, kind, words in refused:
        here.scene.refused(VERIFY, t.cast("t.Any", kind), words, **{**given, **options})


@pytest.mark.mutation
def test_playbook_reports_the_verdict(here: Deployment, tmp_path: Path) -> None:
    def play(*arguments: str, **more: t.Any) -> tuple[int, str]:
        made = Play("retention", {**retention_settings(here), **more}, tmp_path, arguments)
        status = made.ended()
        here.scene.is_clean(made.output())
        return status, made.output()

    metrics = tmp_path / "retention.prom"
    (tmp_path / "ansible.cfg").write_text("[defaults]\nshow_custom_stats = true\n")
    status, output = play("--check", caracal_retention_metrics_file=str(metrics))
    assert (status, "verdict: pass" in output, "changed=0" in output, metrics.exists()) == (0, True, True, False), output
    status, output = play(caracal_retention_metrics_file=str(metrics))
    assert (status, "verdict: pass" in output, "changed=0" in output, metrics.exists()) == (0, True, True, True), output
    here.execute(WATERMARK.format("3 days"))
    status, output = play(caracal_retention_left_out={"streams": "somebody else's"})
    assert status != 0 and f"verdict fail: retention.{EXPORTS}: the last exported hour ended" in output, output
    left = stats_of(output)["caracal_retention_stats"]
    assert (left["verdict"], left["finding"]) == ("fail", f"retention.{EXPORTS}") and left["failed"] > 0
    assert "not asked" not in output, "only what a reader must look at is shown"
