# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role caracal_restore completes its settings from a Compose project. An explicit setting wins."""

from __future__ import annotations

import typing as t

import pytest

from scenes import role_settings
from unit.plugins.module_utils._deployment.test_role_located import FOUND, LOGIN, REDIS, REPLAY, SECRETS, USUAL, VOLUMES, numbers
from unit.snapshots import role_words

WRONG = "__caracal_restore_wrong"
Given = dict[str, t.Any]


def values(name: str, place: Given | None = None, **settings: t.Any) -> t.Any:
    answers = {"__caracal_restore_located": {"deployment": FOUND} if place is None else place, "caracal_restore_identity_files": ["/i"]}
    answers |= role_settings.of("caracal_restore", settings)
    return role_words.values("caracal_restore", answers, name)[name]


def located(part: str, place: Given | None = None, **settings: t.Any) -> t.Any:
    found = values("__caracal_restore_arguments", place, **settings)[part]
    return numbers(found) if isinstance(found, dict) else found


def test_settings_not_given_are_discovered() -> None:
    login = {"login_host": "127.0.0.1", "login_port": 15432, "login_user": "owner", "login_password_file": "/p/secrets/postgresPassword"}
    assert located(LOGIN) == {**login, "ssl_mode": "prefer"}
    redis, secrets = located(REDIS), located(SECRETS)
    assert (redis["redis_host"], redis["redis_port"], redis["redis_password_file"]) == ("127.0.0.1", 16379, "/p/secrets/redisPassword")
    assert (secrets["directory"], secrets["environment_file"]) == ("/p/secrets", "/p/caracal.env")
    assert secrets["extra_directories"] == {"extra-ca.pem": "/p/ca", "enabled": "/p/control"}
    assert located(REPLAY)["volumes"] == VOLUMES and "not_durable" not in located(REPLAY)
    assert set(located("assets")) == {"secrets", "replay", "redis"} and list(located("named")) == []


@pytest.mark.parametrize("place", [{}, {"skipped": True, "changed": False}])
def test_without_a_project_nothing_is_found(place: Given) -> None:
    assert located(LOGIN, place) == USUAL and list(located("assets", place)) == []


def test_assets_left_out_are_not_discovered() -> None:
    left_out = ["secrets", "redis", "replay"]
    assert list(located("assets", None, left_out=left_out)) == []
    assert set(located("named", None, left_out=left_out)) == {"secrets", "environment_file", "redis", "replay"}
    assert not {"environment_file", "extra_directories"}.intersection(located(SECRETS, None, left_out=left_out))
    assert located(LOGIN, None, left_out=left_out)["login_port"] == 15432


def test_explicit_settings_override_discovered_values() -> None:
    assert located(LOGIN, None, login_host="db") == {**USUAL, "login_host": "db"}
    assert "login_password_file" not in located(LOGIN, None, login_user="other")
    redis = located(REDIS, None, redis_host="r", redis_port=7000)
    assert (redis["redis_host"], redis["redis_port"]) == ("r", 7000) and "redis_password_file" not in redis
    own = [{"service": "sts", "path": "/elsewhere"}]
    assert located(REPLAY, None, replay_volumes=own)["volumes"] == own
    secrets = located(SECRETS, None, secrets_directory="/s", environment_file="/e", extra_directory="/x")
    assert (secrets["directory"], secrets["environment_file"]) == ("/s", "/e") and "extra_directories" not in secrets
    settings = {"login_unix_socket": "/run", "redis_unix_socket": "/r", "secrets_directory": "/s", "environment_file": "/e"}
    assert set(located("named", None, replay_volumes=own, **settings)) == {"database", "redis", "secrets", "environment_file", "replay"}


def test_naming_project_confirms_its_redis() -> None:
    assert list(located("confirm")) == ["127.0.0.1:16379/0"]
    assert list(located("confirm", None, redis_host="r")) == [] and list(located("confirm", {})) == []
    assert list(located("confirm", None, left_out=["redis"])) == []


@pytest.mark.mutation
def test_services_are_started_in_a_project_alone() -> None:
    assert not list(values(WRONG, None, compose_project="caracal", start_services=True))
    assert len(values(WRONG, {}, start_services=True)) == 1


@pytest.mark.mutation
def test_canaries_ask_services_that_were_started() -> None:
    application = {"zone": "z"}
    started = {"compose_project": "caracal", "start_services": True}
    assert not list(values(WRONG, None, **started, canaries=True, canary_application=application))
    assert len(values(WRONG, None, compose_project="caracal", canaries=True)) == 1
    assert len(values(WRONG, None, **started, canary_application=application)) == 1
