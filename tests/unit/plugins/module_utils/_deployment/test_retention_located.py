# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role caracal_retention completes its settings from a Compose project. An explicit setting wins."""

from __future__ import annotations

import typing as t

import pytest

from scenes import role_settings
from unit.plugins.module_utils._deployment.test_role_located import FOUND, LOGIN, REDIS, USUAL, numbers
from unit.snapshots import role_words

SETTINGS = {"AUDIT_RETENTION_DAYS": "400"}
ENVIRONMENT, EFFECTIVE = "environment", "effective_environment"
Given = dict[str, t.Any]


def located(part: str, place: Given | None = None, **settings: t.Any) -> t.Any:
    answers = {"__caracal_retention_located": {"deployment": {**FOUND, "settings": SETTINGS}} if place is None else place}
    answers |= role_settings.of("caracal_retention", settings)
    found = role_words.values("caracal_retention", answers, "__caracal_retention_arguments")["__caracal_retention_arguments"][part]
    return numbers(found) if isinstance(found, dict) else found


def test_settings_not_given_are_discovered() -> None:
    login = {"login_host": "127.0.0.1", "login_port": 15432, "login_user": "owner", "login_password_file": "/p/secrets/postgresPassword"}
    assert located(LOGIN) == {**login, "ssl_mode": "prefer"}
    redis = located(REDIS)
    assert (redis["redis_host"], redis["redis_port"], redis["redis_password_file"]) == ("127.0.0.1", 16379, "/p/secrets/redisPassword")
    assert {key: str(value) for key, value in located(ENVIRONMENT)[EFFECTIVE].items()} == SETTINGS
    assert set(located("named")) == {"secrets", "environment_file", "replay"}


@pytest.mark.parametrize("place", [{}, {"skipped": True, "changed": False}])
def test_without_a_project_nothing_is_found(place: Given) -> None:
    assert located(LOGIN, place) == USUAL
    assert "redis_host" not in located(REDIS, place) and located(REDIS, place)["redis_port"] == 6379
    assert located(ENVIRONMENT, place) == {}


def test_explicit_settings_override_discovered_values() -> None:
    assert located(LOGIN, None, login_host="db") == {**USUAL, "login_host": "db"}
    assert "login_password_file" not in located(LOGIN, None, login_user="other")
    redis = located(REDIS, None, redis_host="r", redis_port=7000)
    assert (redis["redis_host"], redis["redis_port"]) == ("r", 7000) and "redis_password_file" not in redis
    assert "redis_password_file" not in located(REDIS, None, redis_unix_socket="/r")
    assert located(ENVIRONMENT, None, effective_environment={}) == {EFFECTIVE: {}}
    assert located(ENVIRONMENT, None, effective_environment_file="/e") == {"effective_environment_file": "/e"}
    assert {"database", "redis"} <= set(located("named", None, login_host="db", left_out={"streams": "no Redis"}))


def test_settings_not_discovered_stay_unknown() -> None:
    assert located(ENVIRONMENT, {"deployment": {**FOUND, "settings": None}}) == {}
    assert located(ENVIRONMENT, {"deployment": {**FOUND, "settings": {}}}) == {EFFECTIVE: {}}
