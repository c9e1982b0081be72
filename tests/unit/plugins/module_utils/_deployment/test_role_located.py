# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role caracal_backup completes its settings from a Compose project. An explicit setting wins."""

from __future__ import annotations

import typing as t

import pytest

from scenes import role_settings
from unit.snapshots import role_words

VOLUMES = [{"service": "sts", "replica": "1", "path": "/volumes/sts/audit-replay"}]
FOUND = {
    "database": {
        "login_host": "127.0.0.1",
        "login_port": 15432,
        "login_user": "owner",
        "login_password_file": "/p/secrets/postgresPassword",
    },
    "redis": {"redis_host": "127.0.0.1", "redis_port": 16379, "redis_password_file": "/p/secrets/redisPassword"},
    "secrets_directory": "/p/secrets",
    "environment_file": "/p/caracal.env",
    "extra_files": ["/p/ca/extra-ca.pem"],
    "extra_directories": {"extra-ca.pem": "/p/ca", "enabled": "/p/control"},
    "replay": {"volumes": VOLUMES, "not_durable": [{"service": "gateway", "reason": "its own"}]},
}
LOGIN, REDIS, SECRETS, REPLAY, IMAGES = "database", "redis", "secrets", "replay", "images"
USUAL = {"login_port": 5432, "login_user": "caracal", "ssl_mode": "prefer"}
Given = dict[str, t.Any]


def located(part: str, place: Given | None = None, **settings: t.Any) -> t.Any:
    """Return one part of the role's arguments. `settings` have no prefix."""
    answers = {"__caracal_backup_located": {"deployment": FOUND} if place is None else place}
    answers |= role_settings.of("caracal_backup", settings)
    found = role_words.values("caracal_backup", answers, "__caracal_backup_arguments")["__caracal_backup_arguments"][part]
    return numbers(found) if isinstance(found, dict) else found


def numbers(found: Given) -> Given:
    """Convert ports to numbers: up to ansible-core 2.18 a template turns a number into a text."""
    return {key: int(value) if key in ("login_port", "redis_port") else value for key, value in found.items()}


def test_settings_not_given_are_discovered() -> None:
    login = {"login_host": "127.0.0.1", "login_port": 15432, "login_user": "owner", "login_password_file": "/p/secrets/postgresPassword"}
    assert located(LOGIN) == {**login, "ssl_mode": "prefer"}
    redis = located(REDIS)
    assert (redis["redis_host"], redis["redis_port"], redis["redis_password_file"]) == ("127.0.0.1", 16379, "/p/secrets/redisPassword")
    secrets = located(SECRETS)
    assert (secrets["directory"], secrets["environment_file"]) == ("/p/secrets", "/p/caracal.env")
    assert secrets["extra_files"] == ["/p/ca/extra-ca.pem"]
    replay = located(REPLAY)
    assert replay["volumes"] == VOLUMES and [one["service"] for one in replay["not_durable"]] == ["gateway"]
    assert set(located("assets")) == {"secrets", "replay", "redis"} and located("replay_here") is True


@pytest.mark.parametrize("place", [{}, {"skipped": True, "changed": False}])
def test_without_a_project_nothing_is_found(place: Given) -> None:
    assert located(LOGIN, place) == USUAL
    assert list(located("assets", place)) == [] and located("replay_here", place) is False
    assert "directory" not in located(SECRETS, place) and list(located(REPLAY, place)["volumes"]) == []


@pytest.mark.parametrize(
    ("settings", "login"),
    [
        ({"login_host": "db", "login_port": 6432}, {**USUAL, "login_host": "db", "login_port": 6432}),
        ({"login_unix_socket": "/run/pg"}, {**USUAL, "login_unix_socket": "/run/pg"}),
        (
            {"login_user": "backup", "login_password_file": "/etc/p"},
            {**USUAL, "login_host": "127.0.0.1", "login_port": 15432, "login_user": "backup", "login_password_file": "/etc/p"},
        ),
        ({"login_user": "backup"}, {**USUAL, "login_host": "127.0.0.1", "login_port": 15432, "login_user": "backup"}),
        ({"login_password_file": "/p"}, {**USUAL, "login_host": "127.0.0.1", "login_port": 15432, "login_password_file": "/p"}),
        ({"ssl_cert": "/c"}, {**USUAL, "login_host": "127.0.0.1", "login_port": 15432, "ssl_cert": "/c"}),
    ],
)
def test_a_server_or_a_login_that_is_named_wins(settings: Given, login: Given) -> None:
    """The password of one login is never used for another."""
    assert located(LOGIN, None, **settings) == login


def named(**settings: t.Any) -> set[str]:
    return set(located("named", {}, **settings))


def test_explicit_settings_need_not_be_discovered() -> None:
    assert named() == set()
    assert named(login_host="db") == {"database"} and named(login_user="backup") == set()
    assert named(redis_host="redis", environment_file="/e") == {"redis", "environment_file"}
    assert named(secrets_files={"secretStoreKek": "/k"}, replay_not_durable=[{"service": "sts", "reason": "r"}]) == {"secrets", "replay"}
    left_out = {"secrets": "in a safe", "redis": "empty", "replay": "none"}
    assert named(left_out=left_out) == {"secrets", "environment_file", "redis", "replay"}
    name = "__caracal_backup_arguments"
    values = role_words.values("caracal_backup", {"__caracal_backup_needed": ["database"]}, name)[name]
    assert set(values["named"]) == {"secrets", "environment_file", "redis", "replay"}


def test_assets_left_out_are_not_discovered() -> None:
    left_out = {"secrets": "in a safe", "redis": "empty", "replay": "none"}
    assert list(located("assets", None, left_out=left_out)) == []
    assert "environment_file" not in located(SECRETS, None, left_out=left_out)
    assert located(LOGIN, None, left_out=left_out)["login_host"] == "127.0.0.1"


def test_server_not_discovered_comes_from_settings() -> None:
    place = {**FOUND, "database": None, "redis": None}
    assert located(LOGIN, {"deployment": place}, login_host="db")["login_host"] == "db"
    assert "redis" not in located("assets", {"deployment": place}, left_out={"redis": "none"})


def test_other_places_that_are_named_win() -> None:
    redis = located(REDIS, None, redis_host="redis")
    assert (redis["redis_host"], redis["redis_port"]) == ("redis", 6379) and "redis_password_file" not in redis
    socket = located(REDIS, None, redis_unix_socket="/run/redis")
    assert "redis_host" not in socket and "redis_password_file" not in socket
    secrets = located(SECRETS, None, secrets_files={"secretStoreKek": "/dev/shm/kek"}, environment_file="/e")
    assert "directory" not in secrets and secrets["environment_file"] == "/e"
    own = [{"service": "sts", "path": "/elsewhere"}]
    replay = located(REPLAY, None, replay_volumes=own)
    assert replay["volumes"] == own and list(replay["not_durable"]) == []


def test_directories_of_other_hosts_are_none_of_this_one() -> None:
    there = {"replay_volumes": [{"service": "sts", "path": "/elsewhere", "host": "h"}]}
    assert list(located(REPLAY, None, **there)["volumes"]) == [] and located("replay_here", None, **there) is False
    assert "replay" in located("assets", None, **there)
    project = {"replay_compose_project": "p", "replay_compose_host": "h"}
    assert "compose_project" not in located(REPLAY, None, **project) and located("replay_here", None, **project) is False
    assert "compose_host" not in located(REPLAY, None, **project) and "replay" in located("assets", None, **project)
    assert located(REPLAY, None, replay_compose_project="p")["compose_project"] == "p"


SERVICE = {"service": "sts", "image_id": "sha256:x"}
PLACE = {"deployment": {**FOUND, "services": [SERVICE]}}


@pytest.mark.parametrize(
    ("place", "wanted", "wrong"),
    [(PLACE, True, False), ({}, True, True), ({"deployment": {**FOUND, "services": []}}, True, True), ({}, False, False)],
)
def test_images_need_services_of_a_project(place: Given, wanted: bool, wrong: bool) -> None:
    answers = {"__caracal_backup_located": place, "caracal_backup_images": wanted}
    answers |= {f"caracal_backup_{name}recipients": ["age1"] for name in ("", "secrets_")}
    found = role_words.values("caracal_backup", answers, "__caracal_backup_wrong")["__caracal_backup_wrong"]
    assert [("caracal_backup_images" in one) for one in found] == ([True] if wrong else [])


def test_images_come_from_discovered_services() -> None:
    assert located(IMAGES, PLACE) == {"services": [SERVICE]}
    assert located(IMAGES, PLACE, engine="unix:///s")["engine"] == "unix:///s"
