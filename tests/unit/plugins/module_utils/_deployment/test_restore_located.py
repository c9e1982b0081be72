# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role caracal_restore makes of what a Compose project tells: a setting that is made wins."""

from __future__ import annotations

import typing as t

import pytest

from unit.plugins.module_utils._deployment.test_role_located import FOUND, VOLUMES
from unit.snapshots import role_words

LOGIN, REDIS, SECRETS, REPLAY = (f"__caracal_restore_{name}" for name in ("login", "of_redis", "of_secrets", "of_replay"))
CONFIRMED, WRONG = "__caracal_restore_redis_confirmed", "__caracal_restore_wrong"
HAS, NAMED = "__caracal_restore_has", "__caracal_restore_named"
Given = dict[str, t.Any]


def located(name: str, place: Given | None = None, **settings: t.Any) -> t.Any:
    answers = {"__caracal_restore_located": {"deployment": FOUND} if place is None else place, "caracal_restore_identity_files": ["/i"]}
    answers |= {f"caracal_restore_{setting}": value for setting, value in settings.items()}
    found = role_words.values("caracal_restore", answers, name)[name]
    # Up to ansible-core 2.18 a template makes a text of a number.
    return (
        {key: int(value) if key in ("port", "redis_port") else value for key, value in found.items()} if isinstance(found, dict) else found
    )


def test_what_is_not_named_is_found() -> None:
    login = {"host": "127.0.0.1", "port": 15432, "user": "owner", "password_file": "/p/secrets/postgresPassword"}
    assert located(LOGIN) == login
    redis, secrets = located(REDIS), located(SECRETS)
    assert (redis["redis_host"], redis["redis_port"], redis["redis_password_file"]) == ("127.0.0.1", 16379, "/p/secrets/redisPassword")
    assert (secrets["directory"], secrets["environment_file"]) == ("/p/secrets", "/p/caracal.env")
    assert secrets["extra_directories"] == {"extra-ca.pem": "/p/ca", "enabled": "/p/control"}
    assert located(REPLAY)["volumes"] == VOLUMES
    assert located(HAS) == {"secrets": True, "replay": True, "redis": True} and list(located(NAMED)) == []


@pytest.mark.parametrize("place", [{}, {"skipped": True, "changed": False}])
def test_without_a_project_nothing_is_found(place: Given) -> None:
    assert located(LOGIN, place) == {"host": "", "port": 5432, "user": "caracal", "password_file": ""}
    assert located(HAS, place) == {"secrets": False, "replay": False, "redis": False}


def test_what_is_left_out_is_not_looked_for() -> None:
    left_out = ["secrets", "redis", "replay"]
    assert located(HAS, None, left_out=left_out) == {"secrets": False, "replay": False, "redis": False}
    assert set(located(NAMED, None, left_out=left_out)) == {"secrets", "environment_file", "redis", "replay"}
    assert not {"environment_file", "extra_directories"}.intersection(located(SECRETS, None, left_out=left_out))
    assert located(LOGIN, None, left_out=left_out)["port"] == 15432


def test_what_is_named_wins() -> None:
    assert located(LOGIN, None, login_host="db") == {"host": "db", "port": 5432, "user": "caracal", "password_file": ""}
    assert located(LOGIN, None, login_user="other")["password_file"] == ""
    redis = located(REDIS, None, redis_host="r", redis_port=7000)
    assert (redis["redis_host"], redis["redis_port"]) == ("r", 7000) and "redis_password_file" not in redis
    own = [{"service": "sts", "path": "/elsewhere"}]
    assert located(REPLAY, None, replay_volumes=own)["volumes"] == own
    secrets = located(SECRETS, None, secrets_directory="/s", environment_file="/e", extra_directory="/x")
    assert (secrets["directory"], secrets["environment_file"]) == ("/s", "/e") and "extra_directories" not in secrets
    settings = {"login_unix_socket": "/run", "redis_unix_socket": "/r", "secrets_directory": "/s", "environment_file": "/e"}
    assert set(located(NAMED, None, replay_volumes=own, **settings)) == {"database", "redis", "secrets", "environment_file", "replay"}


def test_whoever_names_the_project_means_its_redis() -> None:
    assert list(located(CONFIRMED)) == ["127.0.0.1:16379/0"]
    assert list(located(CONFIRMED, None, redis_host="r")) == [] and list(located(CONFIRMED, {})) == []
    assert list(located(CONFIRMED, None, left_out=["redis"])) == []


@pytest.mark.mutation
def test_services_are_started_in_a_project_alone() -> None:
    assert not list(located(WRONG, None, compose_project="caracal", start_services=True))
    assert len(located(WRONG, {}, start_services=True)) == 1


@pytest.mark.mutation
def test_canaries_ask_services_that_were_started() -> None:
    application = {"zone": "z"}
    started = {"compose_project": "caracal", "start_services": True}
    assert not list(located(WRONG, None, **started, canaries=True, canary_application=application))
    assert len(located(WRONG, None, compose_project="caracal", canaries=True)) == 1
    assert len(located(WRONG, None, **started, canary_application=application)) == 1
