# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services of a project start in dependency order, and each start waits until the service is ready."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._deployment import compose_services
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError, OptionError, StageFailed
from scenes.engine_stand_in import LABEL, Engine, Seen, container, published, state

HEALTHY, COMPLETED = "service_healthy", "service_completed_successfully"
READY = state("running", health="healthy")
DONE = state("exited")
# The dependencies in the product's Compose file.
NEEDS = {
    "postgres": "",
    "redis": "",
    "replayVolumeInit": "",
    "dbMigrate": f"postgres:{HEALTHY}:false",
    "sts": f"dbMigrate:{COMPLETED}:false,replayVolumeInit:{COMPLETED}:false,postgres:{HEALTHY}:false,redis:{HEALTHY}:false",
    "api": f"dbMigrate:{COMPLETED}:false,sts:{HEALTHY}:false",
    "gateway": f"api:{HEALTHY}:false,sts:{HEALTHY}:false",
}
ONCE = ("dbMigrate", "replayVolumeInit")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose_services, "POLL_SECONDS", 0.001)


@pytest.fixture
def created(engine: Engine) -> Engine:
    """Return a project whose containers were created and never started. Each container takes a while to become ready."""
    engine.containers = [made(name) for name in reversed(NEEDS)]
    engine.becomes = {name: [state("running"), DONE] if name in ONCE else [state("running", health="starting"), READY] for name in NEEDS}
    return engine


def made(service: str, number: int = 1, needs: str | None = None) -> Seen:
    labels = {f"{LABEL}depends_on": NEEDS[service] if needs is None else needs}
    one = container(service, number, running=False, labels=labels)
    if service not in ONCE:
        one["Config"]["Healthcheck"] = {"Test": ["CMD", "/healthcheck"]}
    return one


def start(engine: Engine, *services: str, check_mode: bool = False, timeout: int = 60) -> dict[str, t.Any]:
    given = {"compose_project": "caracal", "engine": engine.address, "services": list(services), "timeout": timeout}
    return compose_services.run(Invocation(complete(compose_services.Options, given), check_mode, lambda _words: None))


def refused(kind: type[BackupError], engine: Engine, *words: str, services: t.Sequence[str] = (), timeout: int = 60) -> None:
    with pytest.raises(BackupError) as raised:
        start(engine, *services, timeout=timeout)
    assert raised.type is kind and "\n" not in raised.value.msg, raised.value.msg
    assert not [word for word in words if word not in raised.value.msg], raised.value.msg


def of(engine: Engine, service: str) -> Seen:
    return next(one for one in engine.containers if one["Config"]["Labels"][f"{LABEL}service"] == service)


@pytest.mark.no_false_alarm
def test_all_are_started_after_what_they_need_and_a_second_time_none(created: Engine) -> None:
    assert start(created, check_mode=True)["changed"] and created.started == []
    result = start(created)
    order = result["started"]
    assert result["changed"] and [f"caracal{name}1" for name in order] == created.started
    assert sorted(order) == sorted(NEEDS)
    for name, needs in NEEDS.items():
        assert all(order.index(one.split(":")[0]) < order.index(name) for one in needs.split(",") if one)
    again = start(created)
    assert not again["changed"] and again["started"] == [] and again["diff"] == {"before": "", "after": ""}


def test_urls_are_published_or_container_addresses_of_running_services(created: Engine) -> None:
    """The published address, or else the container's own; no address of a container that is not running."""
    of(created, "sts")["NetworkSettings"]["Ports"] = published("8080/tcp", "::", 18080)
    created.containers.append(container("sts", 2))
    created.containers.append(container("coordinator", running=False))
    assert start(created, "api", check_mode=True)["urls"] == {"sts": "http://172.18.0.9:8080"}
    assert start(created, "api")["urls"] == {"sts": "http://[::1]:18080", "api": "http://172.18.0.9:3000"}
    of(created, "gateway")["NetworkSettings"]["Networks"] = {"host": {"IPAddress": ""}}
    assert "gateway" not in start(created)["urls"]


def test_only_what_is_named_and_what_that_needs_is_started(created: Engine) -> None:
    assert set(start(created, "postgres", "redis", "replayVolumeInit")["started"]) == {"postgres", "redis", "replayVolumeInit"}
    assert not start(created, "postgres", "redis", "replayVolumeInit")["changed"]
    assert set(start(created, "sts")["started"]) == {"dbMigrate", "replayVolumeInit", "sts"}


def test_one_time_service_runs_again_for_service_that_needs_it(created: Engine) -> None:
    """This service sets the passwords of the roles, and restored roles have no passwords."""
    start(created)
    of(created, "api")["State"] = DONE
    created.started.clear()
    created.becomes["api"] = [READY]
    created.becomes["dbMigrate"] = [DONE]
    assert start(created)["started"] == ["dbMigrate", "api"]


def test_every_replica_is_started(created: Engine) -> None:
    created.containers.append(made("sts", 2))
    start(created, "sts")
    assert {"caracalsts1", "caracalsts2"} < set(created.started)


def test_without_labels_servers_and_what_runs_once_come_first(created: Engine) -> None:
    for one in created.containers:
        del one["Config"]["Labels"][f"{LABEL}depends_on"]
    order = start(created)["started"]
    assert set(order[:3]) == {"postgres", "redis", "replayVolumeInit"} and order[3] == "dbMigrate"


def test_a_need_without_a_container_is_optional(created: Engine) -> None:
    created.containers = [one for one in created.containers if one is not of(created, "redis")]
    assert "sts" in start(created)["started"]


@pytest.mark.mutation
def test_service_that_does_not_become_ready_is_reported(created: Engine) -> None:
    created.becomes["sts"] = [state("running", health="unhealthy")]
    refused(StageFailed, created, "caracal-sts-1", "unhealthy")
    assert not {"caracalapi1", "caracalgateway1"}.intersection(created.started)


@pytest.mark.mutation
def test_failed_one_time_service_is_reported(created: Engine) -> None:
    created.becomes["dbMigrate"] = [state("exited", exit_code=3)]
    refused(StageFailed, created, "caracal-dbMigrate-1", "exit status 3")
    assert "caracalsts1" not in created.started


@pytest.mark.mutation
@pytest.mark.parametrize(("becomes", "word"), [(state("restarting"), "does not run"), (state("running", health="starting"), "'starting'")])
def test_waiting_has_an_end(created: Engine, becomes: Seen, word: str) -> None:
    created.becomes["postgres"] = [becomes]
    refused(StageFailed, created, "caracal-postgres-1", word, services=["postgres"], timeout=0)


@pytest.mark.mutation
def test_services_that_need_each_other_are_refused(created: Engine) -> None:
    of(created, "sts")["Config"]["Labels"][f"{LABEL}depends_on"] = f"gateway:{HEALTHY}:false"
    refused(OptionError, created, "gateway", "sts", "depends_on")
    assert created.started == []


@pytest.mark.mutation
def test_missing_service_or_container_is_refused(created: Engine) -> None:
    refused(OptionError, created, "nothing", "docker compose create", services=["postgres", "nothing"])
    created.containers = []
    refused(OptionError, created, "no container", "docker compose create")


@pytest.mark.mutation
def test_a_container_that_goes_away_is_one_line(created: Engine) -> None:
    created.gone = {"caracalredis1"}
    refused(OptionError, created, "redis", services=["redis"])


@pytest.mark.mutation
def test_a_container_that_compose_did_not_create_is_not_started(created: Engine) -> None:
    """The labels come from its image, which anyone can build."""
    false = made("postgres")
    false["Id"] = "false"
    created.baked = dict(false["Config"]["Labels"])
    for one in created.containers:
        one["Config"]["Labels"][f"{LABEL}config-hash"] = "d0" * 32
    created.containers.insert(0, false)
    start(created)
    assert "caracalpostgres1" in created.started and "false" not in created.started


@pytest.mark.mutation
def test_two_databases_are_refused_and_not_started(created: Engine) -> None:
    created.containers.append(made("postgres", 2))
    refused(OptionError, created, "caracal-postgres-1", "caracal-postgres-2")
    assert not created.started
