# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mistakes in the configuration of a drill's services prove nothing about the set: the verdict is unproven, and no check fails."""

from __future__ import annotations

import shutil
import typing as t

import pytest

from scenes import role_settings
from scenes.drilling import SERVICES, Drill, command, services

# Seconds to wait for services that never answer, and for events that never arrive.
SOON = 15


def others(*left_out: str) -> list[dict[str, t.Any]]:
    return [command(name) for name in SERVICES if name not in left_out]


def instead(name: str, *argv: str) -> list[dict[str, t.Any]]:
    """Return all services, one of them with another command."""
    return [*others(name), {"name": name, "command": [shutil.which(argv[0]), *argv[1:]]}]


def swapped() -> list[dict[str, t.Any]]:
    return [*others("sts", "api"), {**command("sts"), "name": "api"}, {**command("api"), "name": "sts"}]


def slow(name: str) -> list[dict[str, t.Any]]:
    plain = command(name)
    return [*others(name), {**plain, "command": ["/bin/sh", "-c", 'sleep 4; exec "$@"', "sh", *plain["command"]]}]


CHANGES: dict[str, t.Mapping[str, t.Any]] = {
    "a path of the KEK that does not exist": {"services": services(sts={"SECRET_STORE_KEK_FILE": "/no/such/kek"})},
    "STS and API swapped": {"services": swapped()},
    "a program that ends at once as STS": {"services": instead("sts", "true")},
    "a program that fails as audit": {"services": instead("audit", "false")},
    "a program that only sleeps as gateway": {"services": instead("gateway", "sleep", "600"), "ready_timeout": 5},
    "a timeout that a slow service does not meet": {"services": slow("audit"), "ready_timeout": 1},
    "only two services": {"services": others("api", "coordinator", "gateway")},
}


@pytest.mark.mutation
@pytest.mark.parametrize("name", CHANGES)
def test_service_mistake_is_unproven_and_not_a_failure(store_drill: Drill, name: str) -> None:
    changed = {"ready_timeout": SOON, "settle_timeout": SOON, **CHANGES[name]}
    store_drill.settings.update(role_settings.of("caracal_drill", changed))
    outcome = store_drill.run()
    assert (outcome.verdict, outcome.failed) == ("unproven", set()), outcome.summary()


@pytest.mark.mutation
@pytest.mark.parametrize("key", ["auditHmacKey", "secretStoreKek"])
def test_removed_restored_key_is_unproven_and_not_a_failure(store_drill: Drill, key: str) -> None:
    def remove() -> None:
        (store_drill.secrets / key).unlink()

    store_drill.before["services"] = remove
    outcome = store_drill.run()
    assert (outcome.verdict, outcome.failed) == ("unproven", set()), outcome.summary()
