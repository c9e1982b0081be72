# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A drill to report on, which each test changes as needed."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, NOT_APPLICABLE, PASS, WARN, Check
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.drill import Drill, RestoredSet, Step, Who

MakeDrill = t.Callable[..., Drill]

STARTED = datetime.datetime(2026, 11, 25, 2, 30, tzinfo=datetime.timezone.utc)
BASE = Drill(
    id="20261125T023000Z-ab12",
    deployment="prod",
    repository="5a0ae1d6-2f0e-4d0c-a4c5-6a3d2b1c9e77",
    journal_head="42-9f86d081884c7d65",
    freshness="fresh",
    started=STARTED,
    finished=STARTED + datetime.timedelta(seconds=63),
    signer=Who("drill@prod", "SHA256:drill", "drill-2"),
    tools={"python": "3.11.9", "age": None},
    restored=RestoredSet(
        id="20261125T020000Z-k3f9",
        sequence=41,
        release="v1.0.0",
        family="secret_store",
        snapshot_time=STARTED - datetime.timedelta(minutes=30),
        artifacts=21,
        bytes=412345678,
        maker=Who("backup@prod", "SHA256:backup", "pg-1"),
    ),
    sandbox={"isolation": "bubblewrap", "protection": "tmpfs", "server_version": "17.10", "directory": "/var/tmp/drill"},
    steps=[Step("verify set", 1.25, 412345678), Step("sandbox", 2.75), Step("restore", 20.0, 2_400_000_000), Step("verify state", 18.5)],
    checks=[
        Check("set.objects", PASS, "21 objects, every SHA-256 matches", details={"rows": 4711}),
        Check("inventory.caracal.tables", PASS, "38 tables equal"),
        Check("inventory.caracal.extensions", WARN, "pgcrypto 1.3 became 1.4", required=False),
        Check("inventory.caracal.streams", NOT_APPLICABLE, "this set has none"),
    ],
)
BROKEN = Check("inventory.caracal.blocks", FAIL, "audit_events_2026_03, block 4: content differs")


@pytest.fixture
def make_drill() -> MakeDrill:
    """Return `make_drill(checks=…, steps=…)`, which returns the passed drill with changed fields."""

    def make(**changes: t.Any) -> Drill:
        return dataclasses.replace(BASE, **changes)

    return make


@pytest.fixture
def broken_check() -> Check:
    return BROKEN
