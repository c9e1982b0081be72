# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sets of a deployment that was broken before the backup: copy and set agree, but the deployment is not usable."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import re
import typing as t
import uuid
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from scenes import drilling, source_damages, state_damages
from scenes.drilling import Drill, Source


@dataclasses.dataclass(frozen=True)
class Case:
    """Damage with this name in `state_damages` (or statements), the failing checks, and every cause."""

    release: str
    damage: str
    failed: set[str]
    causes: tuple[str, ...]
    until: str = "state"

    @property
    def statements(self) -> tuple[str, ...]:
        known = state_damages.of(self.release)
        return ("SET session_replication_role = replica", known[self.damage].sql if self.damage in known else self.damage)


def case(release: str, damage: str, failed: str, *causes: str, until: str = "state") -> Case:
    return Case(release, damage, set(failed.split()), causes, until)


STORE, BARE = "v1.0.0", "v2026.06.21"
CASES = {
    "a provider of a live resource is archived": case(
        STORE, "gateway_bindings.provider_live", "state.gateway_bindings.provider_live", "gateway.bindings"),
    "a zone has two active policy sets": case(
        STORE, "policy_activation.one_active_set",
        "state.policy_activation.one_active_set schema.caracal.indexes", "policy.several_active", "schema.differs"),
    "a zone has a policy set of another": case(
        STORE, "policy_activation.set_of_zone", "state.policy_activation.set_of_zone", "policy.activation"),
    "policy content was changed": case(
        STORE, "policy_activation.content_digest", "state.policy_activation.content_digest", "policy.activation"),
    "a role is missing": case(
        STORE, "DROP OWNED BY caracalgateway; DROP ROLE caracalgateway", "schema.roles", "schema.differs", until="migrations"),
    "the revision is stale": case(
        BARE, "gateway_bindings.revision_current", "state.gateway_bindings.revision_current", "gateway.bindings"),
    "the revision is missing": case(
        BARE, "gateway_bindings.revision", "state.gateway_bindings.revision", "gateway.revision_gone"),
    "rows refer to a row that does not exist": case(
        STORE, source_damages.ORPHAN, "source.foreign_keys drill.restore", "source.broken", until="restore"),
}  # fmt: skip


DrillOf = t.Callable[[str, t.Callable[[Source], object]], Drill]


@pytest.fixture
def drill_of(server_install: server_binaries.Install, tmp_path: Path) -> t.Iterator[DrillOf]:
    """Yield a function that drills a deployment of a release that was broken before its backup."""
    with contextlib.ExitStack() as stack:

        def make(release: str, damage: t.Callable[[Source], object]) -> Drill:
            source = stack.enter_context(drilling.source(server_install, tmp_path / "source", release))
            damage(source)
            source.backup()
            made = drilling.drill(source, tmp_path)
            stack.callback(drilling.remove, made)
            return made

        yield make


@pytest.mark.mutation
@pytest.mark.parametrize("name", CASES)
def test_drill_reports_a_broken_source(drill_of: DrillOf, name: str) -> None:
    wanted = CASES[name]
    made = drill_of(wanted.release, lambda source: source.cluster.execute(*wanted.statements))
    outcome = made.run(until=wanted.until)
    by_backup = {"source.state"} if any(name.startswith("state.") for name in wanted.failed) else set()
    assert (outcome.failed, tuple(outcome.causes)) == (wanted.failed | by_backup, wanted.causes), outcome.summary()
    assert outcome.verdict == "fail"


@pytest.mark.no_false_alarm
def test_drill_creates_a_missing_partition_for_an_old_set(drill_of: DrillOf) -> None:
    """Old sets have no partition for the month of the drill, and neither has this one."""
    month = dt.datetime.now(dt.timezone.utc).strftime("audit_events_y%Ym%m")

    def forget(source: Source) -> None:
        source.cluster.execute("SET session_replication_role = replica", f"DROP TABLE {month}")

    outcome = drill_of(STORE, forget).run(until="prepare")
    assert outcome.failed == set() and "1 were created" in outcome.checks["prepare.partitions"]["message"], outcome.summary()


@pytest.mark.mutation
def test_programs_started_by_a_set_cannot_write_to_the_host(drill_of: DrillOf) -> None:
    """A constraint is checked when its table is loaded, and a trigger runs when the copy is disarmed. Both would write to this host."""
    place = Path(f"/var/tmp/caracal-program-{uuid.uuid4().hex}")
    body = f"BEGIN COPY (SELECT 1) TO PROGRAM 'cat > {place} || cat > /dev/null'; RETURN {{}}; END"

    def plant(source: Source) -> None:
        source.cluster.execute(
            "CREATE FUNCTION public.odd(integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN true; END $$",
            "CREATE TABLE public.odd (x integer CHECK (public.odd(x)))",
            "INSERT INTO public.odd VALUES (1)",
            f"CREATE OR REPLACE FUNCTION public.odd(integer) RETURNS boolean LANGUAGE plpgsql AS $$ {body.format('true')} $$",
            f"CREATE FUNCTION public.odder() RETURNS trigger LANGUAGE plpgsql AS $$ {body.format('NEW')} $$",
            "CREATE TRIGGER odder BEFORE UPDATE ON notification_sinks FOR EACH ROW EXECUTE FUNCTION public.odder()",
        )

    outcome = drill_of(STORE, plant).run(until="services")
    assert not place.exists(), "a program of the set wrote to this host"
    assert outcome.checks.keys() >= {"sandbox.isolation", "sandbox.isolated"}, outcome.summary()
    assert outcome.checks["sandbox.isolation"]["verdict"] == outcome.checks["sandbox.isolated"]["verdict"] == "pass"
    assert outcome.failed == {"schema.caracal.triggers"}, outcome.summary()
    assert outcome.causes == ["schema.differs"], outcome.summary()


@pytest.mark.mutation
def test_drill_reports_rows_lost_since_the_previous_set(server_install: server_binaries.Install, tmp_path: Path) -> None:
    """The newest set is complete and can be restored. Only the set before it shows that most zones are missing."""
    shrunk, more = "inventory.since_previous", "jsonb_build_object('id', x.id || n, 'slug', x.slug || n)"
    with drilling.source(server_install, tmp_path / "source", STORE) as source:
        source.cluster.execute(f"INSERT INTO zones SELECT (jsonb_populate_record(x, {more})).* FROM zones x, generate_series(1, 9) n")
        source.backup()
        source.cluster.execute("SET session_replication_role = replica", "DELETE FROM zones WHERE slug ~ '[0-9]$' AND length(id) > 36")
        source.backup()
        made = drilling.drill(source, tmp_path)
        try:
            outcome = made.run(until="state")
            assert (outcome.verdict, outcome.failed, outcome.causes) == ("fail", {shrunk}, ["source.shrunk"]), outcome.summary()
            (digest,) = acknowledgeable(outcome.checks[shrunk]["message"])
            until = dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=30)
            made.scene.call("journal_correct", findings=[digest], expires=f"{until:%Y-%m-%d}", reason="an exercise")
            again(made, tmp_path)
            outcome = made.run(until="state")
            assert (outcome.failed, outcome.of("warn", required=False) & {shrunk}) == (set(), {shrunk}), outcome.summary()
            made.settings["caracal_drill_shrink_budget"] = 100
            again(made, tmp_path)
            outcome = made.run(until="state")
            assert (outcome.failed, outcome.checks[shrunk]["verdict"]) == (set(), "pass"), outcome.summary()
        finally:
            drilling.remove(made)


def acknowledgeable(message: str) -> list[str]:
    return re.findall(r"\[([0-9a-f]{16})\]", message)


def again(made: Drill, root: Path) -> None:
    """Prepare the next drill of the same host, with a separate folder for the report."""
    folder = root / uuid.uuid4().hex
    folder.mkdir()
    made.settings["caracal_ops_report_dir"] = str(folder)
