# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sets record the retention of audit events. The next backup and a chain verification compare it with the deleted rows."""

from __future__ import annotations

import datetime as dt
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access, audit_retention
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from scenes.fixtures import Committed
from scenes.own_database import OwnDatabase
from scenes.scene import Result
from scenes.twin_database import TwinCluster

CHECK, HISTORY = "audit.retention_lowered", "blocks.history"
LEAF = "audit_events_y2026m03"
AGE = (dt.datetime.now(dt.timezone.utc) - dt.datetime(2026, 4, 1, tzinfo=dt.timezone.utc)).days  # days since the partition's end
LONG, SHORT = AGE + 100, AGE - 10


class Source(OwnDatabase):
    """A copy of the twin's database and a repository with a set that records `LONG` days."""

    def backup(self) -> Result:
        set_id = self.scene.new_id()
        self.scene.call("pg_encrypted_dump", set_id=set_id, databases=[self.database])
        return self.scene.call("backup_set", state="committed", set_id=set_id, left_out={"secrets": "not part of this test"})

    def dumped(self) -> Result:
        made = self.scene.call("pg_encrypted_dump", set_id=self.scene.new_id(), databases=[self.database])
        return check_of(made)

    def verified(self) -> Result:
        made = self.scene.call("audit_chain_verify", database=self.database, audit_retention_days=36500, require_valid=False)
        return check_of(made)


def check_of(made: Result, check_id: str = CHECK) -> Result:
    (check,) = (one for one in made["checks"] if one["id"] == check_id)
    return dict(check)


def days(number: int) -> str:
    return f"UPDATE audit_retention SET retention_days = {number}"


@pytest.fixture
def source(committed: Committed, caracal_database: TwinCluster, caracal_copy: t.Callable[[], str], tmp_path: Path) -> Source:
    made = Source(committed.scene.copy(tmp_path / "scene"), caracal_database, caracal_copy())
    made.execute(days(LONG))
    assert made.backup()["verdict"] == "pass"
    return made


@pytest.mark.mutation
def test_a_month_that_went_for_fewer_days_fails_until_it_is_acknowledged(source: Source) -> None:
    source.execute(days(SHORT), f"DROP TABLE {LEAF}")
    assert (source.verified()["verdict"], source.verified()["required"]) == ("fail", True)
    made = source.backup()
    found = check_of(made, HISTORY)
    assert (made["verdict"], [one["check"] for one in found["details"]["open"]]) == ("fail", [CHECK])
    again = source.backup()
    assert (again["verdict"], check_of(again, HISTORY)["verdict"]) == ("fail", "fail")
    (digest,) = (one["digest"] for one in found["details"]["open"])
    until = f"{access.now() + dt.timedelta(days=30):%Y-%m-%d}"
    source.scene.call("journal_correct", findings=[digest[:16]], expires=until, reason="an exercise")
    assert check_of(source.backup(), HISTORY)["verdict"] == "warn"
    assert source.verified()["verdict"] == "pass"


@pytest.mark.mutation
@pytest.mark.parametrize("number", [-(2**31), 2**31 - 1])
def test_no_number_of_days_keeps_a_backup_from_being_made(source: Source, number: int) -> None:
    source.execute("ALTER TABLE audit_retention DROP CONSTRAINT audit_retention_retention_days_check", days(number), f"DROP TABLE {LEAF}")
    assert source.verified()["verdict"] == "fail"
    assert source.backup()["verdict"] == "fail"


@pytest.mark.mutation
def test_a_set_between_the_lowering_and_the_drop_does_not_hide_it(source: Source) -> None:
    source.execute(days(SHORT))
    assert source.backup()["verdict"] == "pass"
    source.execute(f"DROP TABLE {LEAF}")
    assert (source.dumped()["verdict"], source.verified()["verdict"]) == ("fail", "fail")


@pytest.mark.no_false_alarm
def test_partition_that_expired_under_unchanged_retention_passes(source: Source) -> None:
    source.execute("DROP TABLE audit_events_y2025m06")
    assert (source.dumped()["verdict"], source.verified()["verdict"]) == ("pass", "pass")


def test_a_set_that_does_not_record_the_days_proves_nothing(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(audit_retention, "days", lambda *_given: {})
        source.backup()
    source.execute(days(SHORT))
    for check in (source.dumped(), source.verified()):
        assert (check["verdict"], check["required"]) == ("unproven", False)


def test_the_journal_has_the_days_of_each_set(source: Source) -> None:
    source.execute("DELETE FROM audit_retention")
    source.backup()
    opened = access.open_repository(source.scene.access())
    bodies = [one.body["source"] for one in opened.journal.of_kind(entries.SET)]
    assert [[one.get(audit_retention.FIELD, "no table") for one in body] for body in bodies[-2:]] == [[LONG], [None]]
