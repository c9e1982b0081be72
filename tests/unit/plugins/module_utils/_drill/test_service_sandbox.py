# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Isolated services on a copy: from the proof of isolation to the file that they write when they are asked to end."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import typing as t
import urllib.parse
from pathlib import Path

import psycopg2
import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import disarm, outbox, services
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import service_sandbox
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import StageFailed
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import before, lifecycle, processes, programs, redis_server
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.bundle import NETWORK
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import Layout
from harness import small_programs
from harness.fixtures import NOW, sandbox_path
from harness.free_ports import free_ports
from scenes.drilled_services import SERVICES, command
from scenes.replay_folders import event
from scenes.service_stand_in import Stage, all_but, checks, service, stage
from scenes.twin_database import TwinCluster
from twin import keys, load
from twin.facts import SECRET_STORE
from twin.services.common import streams
from twin.spec import Spec

# Seconds after which a stand-in answers, also on a busy machine.
SOON = 15
BEFORE = ["replay.events", "secrets.streams_key", "redis.forged_frames"]
READY = [f"services.{name}.ready" for name in SERVICES]


def twin_in(kind: str, directory: str, install: server_binaries.Install, release: str) -> TwinCluster:
    spec = Spec(events=30, seed="staged", now=NOW, release=release)
    made = TwinCluster(small_programs.make(kind, directory, install).info, spec)
    load.create(made.target, spec)
    return made


@pytest.fixture(scope="module")
def _cluster(server_install: server_binaries.Install) -> t.Iterator[TwinCluster]:
    directory = sandbox_path()
    try:
        yield twin_in("bubblewrap", directory, server_install, "v1.0.0")
    finally:
        lifecycle.destroy(directory)


@pytest.fixture
def staged(_cluster: TwinCluster) -> t.Iterator[Stage]:
    """Yield a copy for all tests of this file. Each test stops its programs and undoes its changes."""
    with stage(_cluster) as made:
        yield made


@pytest.fixture
def bare(server_install: server_binaries.Install, sandbox_directory: str) -> t.Iterator[Stage]:
    """Yield the same on a host without bubblewrap."""
    with stage(twin_in("bare", sandbox_directory, server_install, "v1.0.0")) as made:
        yield made


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("release", ["v1.0.0", "2026-06-04"])
def test_from_the_proof_to_the_last_event(server_install: server_binaries.Install, sandbox_directory: str, release: str) -> None:
    with stage(twin_in("bubblewrap", sandbox_directory, server_install, release)) as staged:
        result = staged.run(all_but())
        assert result["verdict"] == "pass" and "msg" not in result
        assert [one["id"] for one in result["checks"]] == ["sandbox.isolated", *BEFORE, "sandbox.disarmed", *READY]
        assert {one["verdict"] for one in result["checks"] if one["required"]} == {"pass"} and result["running"] == list(
            SERVICES
        ) == staged.running()
        pids = {name: [one.pid for one in programs.running(staged.bundle, name)] for name in SERVICES}
        assert staged.run(all_but())["verdict"] == "pass"
        assert {name: [one.pid for one in programs.running(staged.bundle, name)] for name in SERVICES} == pids
        staged.stop()
        assert staged.running() == []
        assert [path.parent.parent.name for path in sorted(staged.drilled.replay.rglob("*.ndjson"))] == ["gateway", "sts"]


@pytest.mark.mutation
def test_forged_entries_and_impossible_events_are_named_before_a_service_reads_them(staged: Stage) -> None:
    seed = staged.drilled.cluster.spec.seed
    secret = keys.for_seed(seed).streams_hmac_key
    path = staged.drilled.replay / "sts" / "audit-replay" / "pending-1-1.ndjson"
    zone = str(staged.drilled.cluster.execute("SELECT min(id) FROM zones")[0][0])
    good = json.loads(event("good")) | {"zone_id": zone}
    try:
        path.write_text("".join(f"{json.dumps(one)}\n" for one in (good, {**good, "id": "late", "occurred_at": "2099-01-01T00:00:00Z"})))
        with path.open("ab") as file:
            file.write(b"x" * (2 << 20) + b"\n" + event("elsewhere"))
        with before.redis(staged.bundle) as redis:
            for number, key in enumerate((secret, b"f" * 32)):
                fields = streams.signed(key, streams.REVOCATIONS, {"zone_id": zone, "session_id": f"s{number}"})
                redis.call(
                    "XADD", streams.REVOCATIONS, f"{(number + 1) * 3_600_000}-1", *(part for pair in fields.items() for part in pair)
                )
        found = checks(staged.run([service("audit")]))
    finally:
        staged.stop()
        path.unlink()
        with before.redis(staged.bundle) as redis:
            redis.call("DEL", streams.REVOCATIONS)
    assert found["secrets.streams_key"]["verdict"] == "pass"
    assert found["redis.forged_frames"]["verdict"] == "fail"
    entries = [(one["stream"], one["entry"]) for one in found["redis.forged_frames"]["details"]["entries"]]
    assert entries == [(streams.REVOCATIONS, "7200000-1")]
    assert found["replay.events"]["verdict"] == "warn" and found["replay.events"]["details"]["events"] == 3
    named = [(one["event"], one["zone"], one["file"]) for one in found["replay.events"]["details"]["first"]]
    assert named == [(name, where, "sts/audit-replay/pending-1-1.ndjson") for name, where in (("late", zone), ("elsewhere", "zone-1"))]


@pytest.fixture
def console(staged: Stage) -> t.Iterator[list[dict[str, t.Any]]]:
    """Yield all services and the twin's console, and stop the console afterwards."""
    try:
        yield [*all_but(), command("web", {})]
    finally:
        staged.stop()


@pytest.mark.no_false_alarm
def test_the_console_starts_last_and_has_a_database_of_its_own(staged: Stage, console: list[dict[str, t.Any]]) -> None:
    result = staged.run(console)
    assert result["running"] == [*SERVICES, "web"] and result["verdict"] == "pass", result["checks"]
    found = checks(result)["services.web.ready"]
    assert found["verdict"] == "pass" and not found["required"], "a deployment need not have one"


@pytest.mark.mutation
def test_console_without_its_database_is_unproven(staged: Stage, console: list[dict[str, t.Any]]) -> None:
    staged.drilled.cluster.execute("ALTER DATABASE caracal_auth RENAME TO elsewhere", database="postgres")
    try:
        result = staged.run(console)
    finally:
        staged.drilled.cluster.execute("ALTER DATABASE elsewhere RENAME TO caracal_auth", database="postgres")
    found = checks(result)["services.web.ready"]
    assert found["verdict"] == "unproven" and "caracal_auth" in found["message"], found
    assert "web" not in result["running"] and result["running"] == list(SERVICES)


def login(url: str) -> str:
    """Return the session's user at this address, and the database's name."""
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT session_user || '@' || current_database()")
        return str(cursor.fetchone()[0])


def test_services_receive_secrets_in_files_and_not_in_environment(staged: Stage) -> None:
    result = staged.run(all_but(sts={"EXTRA": "words", "AUDIT_RETENTION_DAYS": "1"}))
    every = {name: staged.seen(url) for name, url in result["urls"].items()}
    secrets = {content for _environment, files, _uid in every.values() for content, _mode, _owner in files.values()}
    assert len(secrets) >= 15
    for name, (environment, files, uid) in every.items():
        assert uid == staged.bundle.info.uid and environment["CARACAL_MODE"] == "stable"
        assert {"DATABASE_URL_FILE", "REDIS_URL_FILE", "METRICS_BEARER_FILE"} <= files.keys()
        shown = {variable: value for variable, value in environment.items() if value and any(secret in value for secret in secrets)}
        assert shown == {}, "an environment holds a secret"
        assert not [variable for variable in environment if f"{variable}_FILE" in environment]
        made = Layout.of(staged.bundle.info.directory).programs
        ours = {variable for variable in files if environment[variable].startswith(made)}
        assert {files[variable][1:] == ["0o400", staged.bundle.info.uid] for variable in ours} == {True}
        role = f"caracal{name}"
        assert staged.bundle.run(login, files["DATABASE_URL_FILE"][0], namespaces=NETWORK) == f"{role}@caracal"
        password = urllib.parse.unquote(urllib.parse.urlsplit(files["DATABASE_URL_FILE"][0]).password or "")
        assert password == (staged.drilled.secrets / f"{name}DbPassword").read_text()
    assert every["sts"][0]["EXTRA"] == "words" and every["sts"][0]["AUDIT_RETENTION_DAYS"] == "1", "the operator has the last word"
    assert every["audit"][0]["AUDIT_EXPORT_S3_BUCKET"] == "" and every["audit"][0]["AUDIT_RETENTION_DAYS"] == "36500"
    dead = staged.drilled.cluster.execute(f"SELECT count(*) FROM {outbox.EVENTS} WHERE {outbox.DEAD[outbox.EVENTS]}")[0][0]
    assert every["api"][0]["API_READY_OUTBOX_DEAD_MAX"] == str(dead)
    processes_now = [" ".join(one.argv) for one in processes.everyone()]
    assert [argv for argv in processes_now if any(secret in argv for secret in secrets)] == []


def listens(port: int) -> bool:
    """Return whether a program of this host listens on the port."""
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


def test_sandbox_services_are_unreachable_from_outside(staged: Stage) -> None:
    # A Caracal may run on this host.
    before = {one.port for one in services.services(SECRET_STORE) if listens(one.port)}
    result = staged.run(all_but())
    _environment, files, _uid = staged.seen(result["urls"]["sts"])
    url = files["DATABASE_URL_FILE"][0]
    assert staged.bundle.run(login, url, namespaces=NETWORK) == "caracalsts@caracal", "the control"
    with pytest.raises(psycopg2.OperationalError):
        login(url)
    with pytest.raises(StageFailed, match="password authentication failed") as caught:
        staged.bundle.run(login, url.replace("caracalsts:", "caracalapi:"), namespaces=NETWORK)
    assert "\n" not in caught.value.msg
    assert not [port for address in result["urls"].values() if listens(port := int(address.rpartition(":")[2])) and port not in before]


@pytest.mark.mutation
def test_service_that_is_not_ready_fails_with_reason(staged: Stage) -> None:
    sick = {"ANSWER_STATUS": "503", "ANSWER_BODY": '{"ok":false,"ready":false,"reason":"redis_unreachable"}'}
    result = staged.run(all_but(sts=sick), ready_timeout=SOON)
    one = checks(result)["services.sts.ready"]
    assert result["verdict"] == "fail" and one["verdict"] == "fail" and one["required"]
    assert one["message"] == f"not ready within {SOON} s: HTTP 503, redis_unreachable (Redis does not answer)"
    assert (one["details"]["status"], one["details"]["answer"]) == (503, "redis_unreachable") and one["details"]["seconds"] > SOON
    assert {checks(result)[name]["verdict"] for name in READY if "sts" not in name} == {"pass"}


@pytest.mark.mutation
def test_service_not_ready_within_short_timeout_is_unproven(staged: Stage) -> None:
    found = staged.run([service("sts", ANSWER_STATUS="503", ANSWER_BODY="{}")], ready_timeout=1)
    assert checks(found)["services.sts.ready"]["verdict"] == "unproven"


@pytest.mark.mutation
def test_one_that_never_answers_is_given_up(staged: Stage) -> None:
    mute = {"name": "audit", "command": small_programs.python("import time; time.sleep(600)"), "environment": {}}
    one = checks(staged.run([mute], ready_timeout=1))["services.audit.ready"]
    assert one["verdict"] == "unproven" and one["message"].startswith("not ready within 1 s: 127.0.0.1:9090 does not answer")


@pytest.mark.mutation
def test_last_log_line_of_ended_service_is_reported_without_secrets(staged: Stage) -> None:
    result = staged.run(all_but(coordinator={"LAST_WORDS": "startup failed: no way to"}))
    one = checks(result)["services.coordinator.ready"]
    assert one["verdict"] == "unproven" and one["message"].startswith("it exited: startup failed: no way to ***;")
    assert one["details"]["log"] == ["starting", "startup failed: no way to ***"] and "coordinator" not in result["running"]


@pytest.mark.mutation
def test_service_with_missing_command_file_is_unproven(staged: Stage) -> None:
    lost = {"name": "audit", "command": [small_programs.PYTHON, "/no/such/server.py"], "environment": {}}
    one = checks(staged.run([lost]))["services.audit.ready"]
    assert one["verdict"] == "unproven" and "/no/such/server.py" in one["message"] and "can't open file" in "".join(one["details"]["log"])


@pytest.mark.parametrize(
    ("lines", "telling"),
    [
        (["Error: listen EADDRINUSE: address already in use", "    at Server.setup", "Node.js v24.21.0"], 0),
        (["Traceback (most recent call last):", "ValueError: no KEK", "bye"], 1),
        (["panic: assignment to entry in nil map", "", "goroutine 1 [running]:", "main.main()"], 0),
        (['{"level":"info","msg":"up"}', '{"level":"error","msg":"no KEK"}', '{"level":"info","msg":"bye"}'], 1),
        (['{"level":60,"msg":"no KEK"}', '{"level":30,"msg":"0 errors"}'], 0),
        (["starting", "startup failed"], 1),
    ],
)
def test_the_telling_line_of_a_log(lines: list[str], telling: int) -> None:
    assert service_sandbox._telling(lines) == lines[telling]


@pytest.mark.mutation
def test_reason_contains_no_secret_and_no_line_break(staged: Stage) -> None:
    token = (staged.drilled.secrets / "caracalAdminToken").read_text()
    sick = {"ANSWER_STATUS": "500", "ANSWER_BODY": f'{{"error":"a\\nb {token}"}}'}
    one = checks(staged.run([service("gateway", **sick)], ready_timeout=SOON))["services.gateway.ready"]
    assert one["message"] == f"not ready within {SOON} s: HTTP 500, a b ***" and one["details"]["answer"] == "a b ***"


@pytest.mark.mutation
def test_one_without_a_command_is_unproven(staged: Stage) -> None:
    result = staged.run(all_but("coordinator"))
    assert result["verdict"] == "unproven" and result["running"] == ["audit", "sts", "api", "gateway"]
    one = checks(result)["services.coordinator.ready"]
    assert (one["verdict"], one["message"]) == ("unproven", "not started: no command is configured for it")
    assert "services.web.ready" not in checks(result)


@pytest.mark.mutation
def test_a_place_that_is_reached_inside_starts_none(staged: Stage) -> None:
    path = os.path.join(staged.bundle.info.socket_dir, "production.sock")
    with socket.socket(socket.AF_UNIX) as production:
        production.bind(path)
        production.listen()
        result = staged.run(all_but(), production=[path], unisolated_reason="this must not help")
    os.unlink(path)
    assert result["verdict"] == "fail" and staged.running() == []
    assert checks(result)["sandbox.isolated"]["verdict"] == "fail"
    assert {checks(result)[name]["message"] for name in READY} == {"not started: the isolation of the sandbox is not proven"}
    assert staged.run(all_but(), production=["nonsense"])["error"] == "OptionError" and staged.running() == []


@pytest.mark.mutation
def test_without_isolation_none_starts_unless_a_reason_is_given(bare: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    free = [dataclasses.replace(one, port=port) for one, port in zip(services.services(SECRET_STORE), free_ports(6), strict=True)]
    monkeypatch.setattr(services, "services", lambda _family: free)
    result = bare.run(all_but())
    assert result["verdict"] == "fail" and bare.running() == []
    assert {checks(result)[name]["verdict"] for name in READY} == {"unproven"}
    with socket.socket() as taken:  # as a service of this host would
        taken.bind(("127.0.0.1", free[0].port))
        taken.listen()
        result = bare.run(all_but(), unisolated_reason="a laptop")
    assert checks(result)["sandbox.isolated"]["verdict"] == "warn" and "accepted: a laptop" in checks(result)["sandbox.isolated"]["message"]
    assert checks(result)["services.audit.ready"]["message"].startswith(f"not started: another program uses its port {free[0].port}")
    assert bare.running() == ["sts", "api", "coordinator", "gateway"] == [name for name in SERVICES if name in result["running"]]
    _environment, files, uid = bare.seen(result["urls"]["sts"])
    assert uid == bare.bundle.info.uid
    assert login(files["DATABASE_URL_FILE"][0]) == "caracalsts@caracal"


@pytest.mark.mutation
def test_a_secret_that_is_missing_is_named_before_anything_starts(staged: Stage) -> None:
    for content in (None, ""):
        path = staged.drilled.secrets / "auditHmacKey"
        path.unlink() if content is None else staged.drilled.put("auditHmacKey", content)
        result = staged.run(all_but())
        assert result["failed"] and result["error"] == "OptionError" and staged.running() == []
        assert str(path) in result["msg"] and "restore the secrets of the set there first" in result["msg"] and "\n" not in result["msg"]


@pytest.mark.mutation
def test_a_role_that_is_missing_is_named_before_anything_starts(staged: Stage) -> None:
    cluster = staged.drilled.cluster
    cluster.execute("ALTER ROLE caracalsts RENAME TO another")
    try:
        result = staged.run(all_but())
    finally:
        cluster.execute("ALTER ROLE another RENAME TO caracalsts")
    assert (
        result["error"] == "StageFailed" and result["msg"].startswith("role caracalsts is missing in the copy") and staged.running() == []
    )


@pytest.mark.mutation
def test_a_copy_that_cannot_be_disarmed_starts_none(staged: Stage) -> None:
    cluster = staged.drilled.cluster
    cluster.execute(
        "UPDATE notification_sinks SET active = true",
        "CREATE FUNCTION public.undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        "CREATE TRIGGER undo BEFORE UPDATE ON notification_sinks FOR EACH ROW EXECUTE FUNCTION public.undo()",
    )
    try:
        result = staged.run(all_but())
    finally:
        cluster.execute("DROP FUNCTION public.undo CASCADE")
    found = checks(result)["sandbox.disarmed"]
    assert found["verdict"] == "fail" and "rows of notification_sinks can still reach external systems" in found["message"]
    assert staged.running() == [] and {checks(result)[name]["message"] for name in READY} == {
        "not started: the copy could still reach external systems"
    }
    assert staged.run(all_but())["verdict"] == "pass", "the control"
    assert not any(int(cluster.execute(arm.left)[0][0]) for arm in disarm.ARMS)


def test_a_password_that_no_set_holds_is_made_once(staged: Stage) -> None:
    """The drill's tokens are created once too. Running services have read them and must still accept them after a second run."""
    (staged.drilled.secrets / "stsDbPassword").unlink()
    first = staged.run(all_but())
    before = {name: staged.seen(url)[1] for name, url in first["urls"].items()}
    given = Path(Layout.of(staged.bundle.info.directory).programs, "given")
    contents = {path.name: path.read_text() for path in given.iterdir()}
    staged.run(all_but())
    assert {path.name: path.read_text() for path in given.iterdir()} == contents
    assert {"stsDbPassword", "metricsBearer", "auditAdminToken", "sts.databaseUrl", "redisUrl"} <= contents.keys()
    assert staged.bundle.run(login, before["sts"]["DATABASE_URL_FILE"][0], namespaces=NETWORK) == "caracalsts@caracal"
    assert len({files["METRICS_BEARER_FILE"][0] for files in before.values()}) == 1


def test_a_password_with_any_character_works_and_stays_secret(staged: Stage) -> None:
    odd = "p@ss/w:ord%41?#'\\ é"
    staged.drilled.put("stsDbPassword", odd)
    _environment, files, _uid = staged.seen(staged.run(all_but())["urls"]["sts"])
    assert staged.bundle.run(login, files["DATABASE_URL_FILE"][0], namespaces=NETWORK) == "caracalsts@caracal"
    words = f"{odd} {urllib.parse.quote(odd, safe='')}"
    staged.stop()
    one = checks(staged.run([service("sts", LAST_WORDS=words)]))["services.sts.ready"]
    assert one["message"].startswith("it exited: *** *** ***;")


def test_our_umask_shuts_no_service_out(staged: Stage) -> None:
    before = os.umask(0o077)
    try:
        assert staged.run(all_but())["verdict"] == "pass"
    finally:
        os.umask(before)


@pytest.mark.mutation
def test_missing_sandbox_redis_database_or_schema_is_reported(staged: Stage) -> None:
    cluster = staged.drilled.cluster
    programs.stop(staged.bundle, redis_server.NAME, 10)
    assert "has no Redis; run the step prepare of the drill" in staged.run(all_but())["msg"]
    cluster.execute("ALTER DATABASE caracal RENAME TO other", database="postgres")
    try:
        result = staged.run(all_but())
    finally:
        cluster.execute("ALTER DATABASE other RENAME TO caracal", database="postgres")
    assert result["failed"] and "caracal" in result["msg"]
    cluster.execute("ALTER TABLE schema_migrations RENAME TO other")
    try:
        result = staged.run(all_but())
    finally:
        cluster.execute("ALTER TABLE other RENAME TO schema_migrations")
    assert result["error"] == "VersionMismatch" and "restore a set into it first" in result["msg"]
    assert staged.running() == []


@pytest.mark.mutation
def test_command_that_is_not_a_program_is_reported(staged: Stage) -> None:
    result = staged.run([{"name": "audit", "command": ["bin/audit"]}])
    assert result["error"] == "MissingDependency" and "'bin/audit'" in result["msg"]


def test_a_service_that_the_family_has_not_is_refused(server_install: server_binaries.Install, sandbox_directory: str) -> None:
    with stage(twin_in("bubblewrap", sandbox_directory, server_install, "2026-06-04")) as staged:
        result = staged.run([*all_but(), service("web")])
        assert result["error"] == "OptionError" and "family zone_kek has no service web" in result["msg"] and staged.running() == []


@pytest.mark.mutation
def test_an_environment_that_overrules_the_set_starts_nothing(staged: Stage) -> None:
    result = staged.run(all_but(sts={"REDIS_URL": "redis://elsewhere"}))
    assert result["error"] == "OptionError" and staged.running() == []
