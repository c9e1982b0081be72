# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Drills of correct sets on correct hosts: they pass, and report nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.chain_keys import AuditKey
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from scenes import drilling
from scenes.drilling import Drill, Outcome, Source
from scenes.playing import Play


def patient(made: Drill) -> Drill:
    """Allow more time for services, for a busy host."""
    made.settings.update(caracal_drill_ready_timeout=300, caracal_drill_settle_timeout=300)
    return made


def is_clean(outcome: Outcome) -> None:
    assert (outcome.verdict, outcome.failed, outcome.unproven, outcome.causes) == ("pass", set(), set(), []), outcome.summary()


@pytest.mark.no_false_alarm
def test_drill_of_the_newer_family_passes(store_drill: Drill) -> None:
    is_clean(patient(store_drill).run())


@pytest.mark.no_false_alarm
def test_drill_of_the_older_family_passes(bare_drill: Drill) -> None:
    is_clean(patient(bare_drill).run())


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("kind", [pytest.param("store", marks=pytest.mark.story("drill")), "bare"])
def test_drill_by_the_playbook_passes(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The same with Ansible."""
    made: Drill = request.getfixturevalue(f"{kind}_drill")
    play = Play("restore_drill", made.settings, tmp_path)
    assert play.ended() == 0, play.output()
    assert "verdict: pass" in play.output() and not made.sandbox.exists() and not play.left()


@pytest.mark.no_false_alarm
def test_drill_after_an_audit_key_rotation_passes(server_install: server_binaries.Install, tmp_path: Path) -> None:
    """The product's own sweep knows only the current key, and counts every row of the previous key."""
    earlier = AuditKey(b"\x5a" * 32)
    with drilling.source(server_install, tmp_path / "source", "v1.0.0") as source:
        signed = sign_older_rows(source, earlier)
        retired = source.deployment.file("retired_audit_key", earlier.secret.hex())
        source.backup(retired_audit_keys=[str(retired)])
        made = drilling.drill(source, tmp_path)
        try:
            outcome = patient(made).run()
        finally:
            drilling.remove(made)
    is_clean(outcome)
    assert signed and f" {signed} rows of an earlier " in outcome.checks["settled.tamper_sweep"]["message"]


def sign_older_rows(source: Source, key: AuditKey) -> int:
    """Sign the older half of each chain with the key that was used then; return the number of rows."""
    mac, older = key.hmac(), "chain_seq <= (SELECT max(chain_seq) / 2 FROM audit_events o WHERE o.zone_id = e.zone_id)"
    rows = source.cluster.execute(f"SELECT id, content_sha256, coalesce(prev_content_sha256, '') FROM audit_events e WHERE {older}")
    signed = ", ".join(f"('{event}', '{mac(content.encode(), previous.encode())}')" for event, content, previous in rows)
    source.cluster.execute(
        "SET session_replication_role = replica",
        f"UPDATE audit_events e SET chain_hmac = new.mac FROM (VALUES {signed}) new (id, mac) WHERE e.id::text = new.id",
    )
    return len(rows)
