# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role caracal_retention makes of what a Compose project tells: a setting that is made wins."""

from __future__ import annotations

import typing as t

import pytest

from unit.plugins.module_utils._deployment.test_role_located import FOUND
from unit.snapshots import role_words

SETTINGS = {"AUDIT_RETENTION_DAYS": "400"}
LOGIN, REDIS, ENVIRONMENT, NAMED = (f"__caracal_retention_{name}" for name in ("login", "redis", "environment", "named"))
Given = dict[str, t.Any]


def located(name: str, place: Given | None = None, **settings: t.Any) -> t.Any:
    answers = {"__caracal_retention_located": {"deployment": {**FOUND, "settings": SETTINGS}} if place is None else place}
    answers |= {f"caracal_retention_{setting}": value for setting, value in settings.items()}
    found = role_words.values("caracal_retention", answers, name)[name]
    # Up to ansible-core 2.18 a template makes a text of a number.
    return {key: int(value) if key == "port" else value for key, value in found.items()} if isinstance(found, dict) else found


def test_what_is_not_named_is_found() -> None:
    login = {"host": "127.0.0.1", "port": 15432, "user": "owner", "password_file": "/p/secrets/postgresPassword"}
    assert located(LOGIN) == login
    assert located(REDIS) == {"host": "127.0.0.1", "port": 16379, "password_file": "/p/secrets/redisPassword"}
    assert {key: str(value) for key, value in located(ENVIRONMENT).items()} == SETTINGS
    assert set(located(NAMED)) == {"secrets", "environment_file", "replay"}


@pytest.mark.parametrize("place", [{}, {"skipped": True, "changed": False}])
def test_without_a_project_nothing_is_found(place: Given) -> None:
    assert located(LOGIN, place) == {"host": "", "port": 5432, "user": "caracal", "password_file": ""}
    assert located(REDIS, place) == {"host": "127.0.0.1", "port": 6379, "password_file": ""}
    assert located(ENVIRONMENT, place) == ""


def test_what_is_named_wins() -> None:
    assert located(LOGIN, None, login_host="db") == {"host": "db", "port": 5432, "user": "caracal", "password_file": ""}
    assert located(LOGIN, None, login_user="other")["password_file"] == ""
    assert located(REDIS, None, redis_host="r", redis_port=7000) == {"host": "r", "port": 7000, "password_file": ""}
    assert located(REDIS, None, redis_unix_socket="/r")["password_file"] == ""
    assert located(ENVIRONMENT, None, effective_environment={}) == {}
    assert located(ENVIRONMENT, None, effective_environment_file="/e") == ""
    assert {"database", "redis"} <= set(located(NAMED, None, login_host="db", left_out={"streams": "no Redis"}))


def test_settings_that_nothing_tells_are_unknown() -> None:
    assert located(ENVIRONMENT, {"deployment": {**FOUND, "settings": None}}) == ""
    assert located(ENVIRONMENT, {"deployment": {**FOUND, "settings": {}}}) == {}
