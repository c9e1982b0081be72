# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A correct copy, with faulty services, Redis or sandbox."""

from __future__ import annotations

import dataclasses
import os
import socket
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import (
    isolation,
    lifecycle,
    preflight,
    probe,
    programs,
    redis_server,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.bundle import NETWORK
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxSpec
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.programs import Program
from harness import small_programs
from harness.waiting import eventually
from scenes.drilling import Drill, command, services
from twin import keys, surroundings

# Without a Coordinator there is no delegating session, and so no request that could use a one-shot token twice.
NOT_DELEGATED = "canary.refused.replayed_token"
UNREADY = f"services.coordinator.ready {NOT_DELEGATED}"
# And its published entries are not read.
NOT_RELAYED = "settled.consumer_lag"
Break = t.Callable[[Drill, Path], None]


@dataclasses.dataclass(frozen=True)
class Case:
    """The damage and its time: `start` before the drill, `late` just before the services. The other fields are as in the other tests."""

    failed: set[str]
    causes: tuple[str, ...]
    start: Break | None = None
    late: Break | None = None
    unproven: set[str] = dataclasses.field(default_factory=set)


def case(failed: str, *causes: str, start: Break | None = None, late: Break | None = None, unproven: str = "") -> Case:
    return Case(set(failed.split()), causes, start, late, set(unproven.split()))


def another(name: str, folder: Path) -> str:
    """Write a secret of another deployment to a file that a service can read."""
    path = folder / name
    path.write_text(keys.for_seed("another deployment").as_files()[name])
    path.chmod(0o444)
    return str(path)


def overruled(name: str, *readable: str, **environment: str) -> dict[str, t.Any]:
    """Return a service with a program that overrides the drill's settings. The option `environment` cannot override them."""
    plain = command(name)
    variables = [f"{variable}={value}" for variable, value in environment.items()]
    return {**plain, "command": ["/usr/bin/env", *variables, *plain["command"]], "readable": [*plain["readable"], *readable]}


def other_kek_in_the_sts(made: Drill, folder: Path) -> None:
    path = another("secretStoreKek", folder)
    made.settings["caracal_drill_services"][1] = overruled("sts", path, SECRET_STORE_KEK_FILE=path)


def other_gateway_key(made: Drill, folder: Path) -> None:
    path = another("gatewayStsHmacKey", folder)
    made.settings["caracal_drill_services"][4] = overruled("gateway", path, GATEWAY_STS_HMAC_KEY_FILE=path)


def no_coordinator(made: Drill, _folder: Path) -> None:
    made.settings["caracal_drill_services"] = [one for one in services() if one["name"] != "coordinator"]


def coordinator_that_ends(made: Drill, _folder: Path) -> None:
    made.settings["caracal_drill_services"][3]["command"] = small_programs.python("print('no way to go on')")


def no_dead_rows_allowed(made: Drill, _folder: Path) -> None:
    made.settings["caracal_drill_services"][2] = overruled("api", API_READY_OUTBOX_DEAD_MAX="0")


def port_is_taken(made: Drill, _folder: Path) -> None:
    code = "import socket, time; s = socket.create_server(('127.0.0.1', 4000)); time.sleep(600)"
    programs.start(made.bundle, Program("squatter", small_programs.python(code), {}))
    eventually(lambda: 4000 in [port for _address, port in made.bundle.run(probe.listening, namespaces=NETWORK)])


def replay_is_not_writable(made: Drill, _folder: Path) -> None:
    folder = made.sandbox / "replay" / "sts" / "audit-replay"
    for path in folder.iterdir():
        path.unlink()
    os.chown(folder, 0, 0)
    folder.chmod(0o555)


def group_at_the_end(made: Drill, _folder: Path) -> None:
    """Create the group as provisioning does if it runs after the events."""
    found = redis_server.attach(made.bundle)
    surroundings.connect(f"unix://{found.unix_socket}", found.password_file).xgroup_setid("caracal.audit.events", "audit-ingestor", "$")


def other_redis_password(made: Drill, _folder: Path) -> None:
    Path(redis_server.attach(made.bundle).password_file).write_text("another")


def event_with_a_wrong_signature(made: Drill, _folder: Path) -> None:
    found = redis_server.attach(made.bundle)
    client = surroundings.connect(f"unix://{found.unix_socket}", found.password_file)
    client.xadd("caracal.audit.events", {"id": "x", "data": "{}", "sig": "0" * 64})
    client.close()


def may_not_delete(made: Drill, _folder: Path) -> None:
    made.damage("REVOKE DELETE ON sessions FROM caracalcoordinator")


def signing_key_lost_late(made: Drill, _folder: Path) -> None:
    made.damage("DELETE FROM secrets WHERE zone_id = (SELECT max(zone_id) FROM secrets)")


CASES = {
    "the STS has another KEK": case(
        "canary.jwks", "kek.wrong", unproven="canary.refused.revoked_session", start=other_kek_in_the_sts),
    "the Gateway has another key for the STS": case("canary.gateway", "gateway_key.wrong", start=other_gateway_key),
    "a service has no command": case(
        "", "services.not_ready", unproven=f"{UNREADY} canary.gateway {NOT_RELAYED}", start=no_coordinator),
    "a service ends at once": case(
        "", "services.not_ready", unproven=f"{UNREADY} canary.gateway {NOT_RELAYED}", start=coordinator_that_ends),
    "a port is taken": case(
        "", "services.not_ready", unproven=f"{UNREADY} canary.gateway {NOT_RELAYED}", late=port_is_taken),
    "no dead row is allowed": case("services.api.ready", "services.outbox_dead", start=no_dead_rows_allowed),
    "the replay directory is not writable": case("services.sts.ready", "services.replay_directory", late=replay_is_not_writable),
    "Redis has another password": case(
        "", "services.redis", unproven="drill.services drill.canary drill.settle", late=other_redis_password),
    "the audit group at the end of its stream": case("settled.stream_landed", "redis.group_behind", late=group_at_the_end),
    "an event has a wrong signature": case("settled.dead_letters", "audit_key.differs", late=event_with_a_wrong_signature),
    "the Coordinator may not delete": case(
        "", "services.grant", unproven=f"{UNREADY} canary.gateway {NOT_RELAYED}", late=may_not_delete),
    "a signing key is lost after the comparison": case("canary.jwks", "keys.signing_key_gone", late=signing_key_lost_late),
}  # fmt: skip


@pytest.mark.mutation
@pytest.mark.parametrize("name", CASES)
def test_drill_reports_faulty_services_redis_or_sandbox(store_drill: Drill, tmp_path: Path, name: str) -> None:
    wanted = CASES[name]
    if wanted.start:
        wanted.start(store_drill, tmp_path)
    if late := wanted.late:
        store_drill.before["services"] = lambda: late(store_drill, tmp_path)
    store_drill.settings.update(caracal_drill_ready_timeout=20, caracal_drill_settle_timeout=20)
    outcome = store_drill.run()
    verdict = "fail" if wanted.failed else "unproven"
    assert (outcome.verdict, outcome.failed, outcome.unproven) == (verdict, wanted.failed, wanted.unproven), outcome.summary()
    assert tuple(outcome.causes) == wanted.causes, outcome.summary()


@pytest.mark.mutation
def test_no_service_starts_if_production_is_reachable(store_drill: Drill) -> None:
    with socket.socket(socket.AF_UNIX) as production:

        def listen() -> None:
            path = os.path.join(store_drill.bundle.info.socket_dir, "production.sock")
            production.bind(path)
            production.listen()
            store_drill.settings["caracal_drill_production"].append(path)

        store_drill.before["services"] = listen
        outcome = store_drill.run()
    assert (outcome.verdict, outcome.failed) == ("fail", {"sandbox.isolated"}), outcome.summary()
    assert outcome.causes == ["sandbox.not_isolated"] and not [one for one in outcome.checks if one.startswith("canary.")]
    started = [
        one
        for one in outcome.checks
        if one.startswith("services.") and one.endswith(".ready") and outcome.checks[one]["verdict"] != "unproven"
    ]
    assert not started, outcome.summary()


@pytest.mark.mutation
def test_no_restore_into_a_sandbox_without_isolation(store_drill: Drill, monkeypatch: pytest.MonkeyPatch) -> None:
    """The set is not restored."""
    monkeypatch.setattr(preflight, "find_bwrap", lambda: None)
    outcome = store_drill.run()
    assert (outcome.verdict, outcome.failed, outcome.causes) == ("unproven", set(), ["sandbox.not_isolated"]), outcome.summary()
    assert "isolation is required" in outcome.checks["drill.sandbox"]["message"] and "drill.restore" in outcome.unproven


@pytest.mark.no_false_alarm
def test_an_accepted_lack_of_isolation_is_a_warning(store_drill: Drill, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first page of the report shows it, with the reason."""
    monkeypatch.setattr(preflight, "find_bwrap", lambda: None)
    store_drill.settings |= {"caracal_drill_isolation": "auto", "caracal_drill_unisolated_reason": "a laptop"}
    accepted = store_drill.run(until="state")
    assert accepted.document and accepted.document["sandbox"]["isolation"] == "none"
    assert not accepted.failed and "state.outboxes.api_dead" in accepted.checks, accepted.summary()
    warned = [accepted.checks[name] for name in ("sandbox.isolation", "sandbox.isolated")]
    assert all(one["verdict"] == "warn" and one["message"].endswith("; accepted: a laptop") for one in warned), accepted.summary()
    [page] = Path(store_drill.settings["caracal_ops_report_dir"]).rglob("*.html")
    assert "accepted: a laptop" in page.read_text(encoding="utf-8")


@pytest.mark.mutation
def test_no_restore_if_production_is_reachable(store_drill: Drill, monkeypatch: pytest.MonkeyPatch) -> None:
    """Isolation is verified first: no program of the set has run yet, and the set is not restored."""
    real = isolation._system
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, socket.socket(socket.AF_UNIX) as production:
        place = os.path.join(folder, "production.sock")
        monkeypatch.setattr(isolation, "_system", lambda: [*real(), "--bind", folder, folder])
        production.bind(place)
        production.listen()
        store_drill.settings["caracal_drill_production"] = [place]
        outcome = store_drill.run()
    assert (outcome.verdict, outcome.failed, outcome.causes) == ("fail", {"sandbox.isolated"}, ["sandbox.not_isolated"]), outcome.summary()
    assert {"drill.sandbox", "drill.restore", "drill.services"} <= outcome.unproven
    assert outcome.checks["drill.sandbox"]["message"] == "not run: the isolation of the sandbox is not proven"


@pytest.mark.mutation
def test_a_second_drill_in_the_same_directory_is_refused(store_drill: Drill, server_install: server_binaries.Install) -> None:
    """The second drill fails at its start. It does not destroy or read the first one's sandbox, and reports nothing about the set."""
    lifecycle.create(SandboxSpec(store_drill.directory, server_install, token="the first"))
    log = store_drill.sandbox / "programs" / "sts.log"
    log.parent.mkdir()
    log.write_text("WRONGPASS of the first drill")
    first = lifecycle.attach(store_drill.directory)
    outcome = store_drill.run(stays=True)
    assert lifecycle.attach(store_drill.directory) == first and log.exists()
    assert outcome.document is None and "contains the sandbox of another drill" in outcome.error, outcome.error
