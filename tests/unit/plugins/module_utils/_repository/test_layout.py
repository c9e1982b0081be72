# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.base import check_key

SET = "20261125T020000Z-k3f9"


def test_an_id_is_the_time_in_utc_and_some_entropy() -> None:
    when = datetime.datetime(2026, 11, 25, 3, 0, 0, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
    assert layout.new_set_id(when, b"\0\0\0\0\0") == "20261125T020000Z-aaaa"
    assert layout.id_time("20261125T020000Z-aaaa") == when
    assert layout.new_set_id(when, b"\xff\xff\xff") == "20261125T020000Z-7777"


@pytest.mark.mutation
@pytest.mark.parametrize(
    "text",
    ["", "latest", "20261125T020000Z", SET.upper(), SET + "x", SET + "\n", "20261325T020000Z-k3f9", "20261125T240000Z-k3f9", "../" + SET],
)
def test_invalid_set_id_is_refused(text: str) -> None:
    assert not layout.is_id(text)
    with pytest.raises(OptionError, match="is not a valid set ID"):
        layout.manifest_key(text)


@pytest.mark.mutation
@pytest.mark.parametrize("name", ["", "a b", "*", "a,b", "a@b", "!a", 'a"', "-a", "x" * 64, "a\n"])
def test_a_deployment_that_a_principal_could_misread_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match="deployment"):
        layout.principal("backup", name)


def test_keys_match_documented_format() -> None:
    assert layout.principal("backup", "prod") == "backup@prod"
    assert layout.entry_key(42) == "journal/0000000042.json"
    assert layout.entry_signature_key(42, "9f86d081884c7d65" + "0" * 48) == "journal/0000000042-9f86d081884c7d65.sig"
    assert layout.entry_sequence("journal/0000000042.json") == 42
    assert layout.entry_sequence("journal/0000000042-9f86d081884c7d65.sig") is None
    folder = f"sets/{SET}"
    assert layout.manifest_key(SET) == f"{folder}/manifest.json"
    assert layout.recovery_key(SET) == f"{folder}/RECOVERY.md"
    assert layout.backup_signature_key(SET) == f"{folder}/signatures/backup.sig"
    assert layout.countersignature_key(SET, SET) == f"{folder}/signatures/drill-{SET}.sig"
    assert layout.inventory_key(SET) == f"{folder}/inventory.json.zst.age"
    assert layout.blocks_key(SET) == f"{folder}/audit-blocks.tsv.zst"
    assert layout.part_key(SET, "postgres") == f"{folder}/parts/postgres.json"
    assert layout.dump_key(SET, "caracal") == f"{folder}/postgres/caracal.dump.zst.age"
    assert layout.schema_key(SET, "caracal") == f"{folder}/postgres/caracal.schema.zst.age"
    leaf = layout.leaf_key("audit_events_2026_11", "ab" * 32, SET)
    assert leaf == f"objects/audit/audit_events_2026_11/{'ab' * 32}.{SET}.copy.zst.age"
    assert layout.leaf_digest(leaf) == "ab" * 32
    assert layout.drill_report_key(SET) == f"drills/{SET}/report.json"
    assert layout.checkpoint_key(SET) == f"checkpoints/{SET}/audit-blocks.tsv.zst"
    assert layout.drill_report_signature_key(SET) == f"drills/{SET}/report.json.sig"
    assert layout.drill_html_key(SET) == f"drills/{SET}/report.html"
    assert layout.drill_junit_key(SET) == f"drills/{SET}/junit.xml"
    assert layout.drill_details_key(SET) == f"drills/{SET}/details.json.zst.age"
    assert layout.drill_of(layout.drill_report_key(SET)) == SET
    assert layout.drill_of("drills/x/report.json") is None and layout.drill_of(f"{SET}/report.json") is None


@given(st.text(min_size=1, max_size=63), st.text(min_size=1, max_size=63))
def test_names_of_the_source_become_safe_and_stay_apart(one: str, other: str) -> None:
    assert check_key(layout.dump_key(SET, one[:20]))
    assert (layout.safe(one) == layout.safe(other)) is (one == other)
