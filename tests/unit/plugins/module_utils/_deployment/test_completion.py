# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Role settings completed with discovered values: an explicit setting wins, and a host can add no other option."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._deployment.completion import arguments
from ansible_collections.caracal_ops.backup.plugins.module_utils._deployment.deployment import PARTS
from unit.plugins.module_utils._deployment.test_role_located import FOUND

Given = dict[str, t.Any]
SETTINGS: Given = {
    "database": {"login_host": "", "login_port": 5432, "login_user": "caracal", "login_password_file": "", "ssl_mode": "prefer"},
    "secrets": {"directory": "", "environment_file": "", "extra_files": [], "replace": False},
    "redis": {"redis_host": "", "redis_port": 6379, "redis_password_file": "", "redis_db": 0},
    "replay": {"volumes": [], "owner": 65532},
    "images": {"engine": ""},
    "environment": {"effective_environment": "", "effective_environment_file": ""},
}
OPTIONS = ("database", "secrets", "redis", "replay", "images", "environment")


def completed(found: t.Any = FOUND, **changed: Given) -> Given:
    return arguments({**SETTINGS, **{part: {**SETTINGS.get(part, {}), **given} for part, given in changed.items()}}, found)


def test_empty_texts_are_omitted_and_other_empty_values_are_kept() -> None:
    nothing = completed({})
    assert nothing["secrets"] == {"extra_files": [], "replace": False}
    assert nothing["redis"] == {"redis_port": 6379, "redis_db": 0} and nothing["environment"] == {}
    assert nothing["images"] == {"services": []}


def test_only_options_that_a_role_has_are_taken_of_what_was_found() -> None:
    assert set(completed()["secrets"]) == {"directory", "environment_file", "extra_files", "replace"}
    assert set(completed()["replay"]) == {"volumes", "owner"}
    assert arguments({}, FOUND)["secrets"] == arguments({}, FOUND)["replay"] == {}


@pytest.mark.mutation
def test_a_host_that_answers_more_changes_no_option() -> None:
    """Only the operator sets options such as `ssl_mode`, `login_unix_socket` and `replace`."""
    more = {"ssl_mode": "disable", "login_unix_socket": "/x", "redis_tls": False, "redis_db": 9, "owner": 0, "replace": True, "engine": "x"}
    place = {**FOUND, **more, **{part: {**t.cast(Given, FOUND[part]), **more} for part in ("database", "redis", "replay")}}
    place["secrets"] = place["images"] = place["environment"] = more
    expected, found = completed(), completed(place)
    assert found == expected


@pytest.mark.mutation
@pytest.mark.parametrize("answer", ["x", ["x"], 7, None, {"database": "x", "redis": ["x"], "replay": 7, "settings": "x"}], ids=repr)
def test_an_answer_of_another_kind_is_none(answer: t.Any) -> None:
    assert completed(answer) == completed({})


@pytest.mark.parametrize("needed", [list(PARTS), ["database"], []], ids=len)
def test_parts_that_the_role_does_not_read_need_not_be_found(needed: list[str]) -> None:
    assert arguments({**SETTINGS, "needed": needed}, {})["named"] == [part for part in PARTS if part not in needed]


def test_image_comes_from_discovered_server_only() -> None:
    place = {**FOUND, "database": {**t.cast(Given, FOUND["database"]), "image": "sha256:1"}}
    assert completed(place)["image"] == "sha256:1"
    assert completed(place, database={"login_host": "db"})["image"] == completed({})["image"] == ""


def test_a_redis_that_does_not_run_yet_is_an_asset() -> None:
    stopped = completed({**FOUND, "redis": {"redis_host": "", "redis_port": 0, "redis_password_file": "/p"}})
    assert "redis" in stopped["assets"] and stopped["redis"]["redis_port"] == 0


def test_assets_left_out_are_not_completed() -> None:
    out = arguments({**SETTINGS, "left_out": ["secrets", "redis", "replay"]}, FOUND)
    assert [out[part] for part in OPTIONS[1:4]] == [completed({})[part] for part in OPTIONS[1:4]]
    assert out["assets"] == out["confirm"] == [] and out["named"] == ["redis", "secrets", "environment_file", "replay"]
