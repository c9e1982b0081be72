# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts as text and back, and the result of a comparison with nothing to compare."""

from __future__ import annotations

import dataclasses
import json

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import releases
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.schema import schema_checks, schema_tables
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.schema.schema_facts import Key, changed, line, parse, text
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.schema.schema_tables import Nearest, known
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError

KNOWN = known()
NEWEST = KNOWN[-1]
SOME = [
    "column zones id: text not null",
    "extension pgcrypto:",
    "execute audit_partition_drop(text) caracalaudit: yes",
    'constraint "user" user_email_key: UNIQUE (email)',
    "column zones odd: text default ': '::text",
]


def test_each_release_has_a_table_of_each_of_its_databases() -> None:
    assert [(one.release, one.family, one.migrations) for one in KNOWN] == [
        (one.name, one.family, one.migrations) for one in releases.RELEASES
    ]
    for one, release in zip(KNOWN, releases.RELEASES, strict=True):
        assert tuple(one.databases) == release.databases and all(len(facts) > 40 for facts in one.databases.values())
        assert releases.FAMILY_MARKS[release.family] in {key.of for key in one.own if key.kind == "table"}


def test_facts_survive_conversion_to_lines() -> None:
    assert [line(*one) for one in parse(SOME).items()] == SOME
    assert parse(["column zones odd: text default ': '::text"]) == {Key("column", "zones", "odd"): "text default ': '::text"}
    assert text("\nindex a b: btree (x,\n  y)\ntable a:\n") == {Key("index", "a", "b"): "btree (x, y)", Key("table", "a", ""): ""}


def test_release_table_survives_conversion_to_json() -> None:
    given = {**NEWEST.to_json(), "release": "v9.9.9"}
    assert schema_tables.from_json(json.dumps(given), "x").databases == NEWEST.databases


@pytest.mark.mutation
@pytest.mark.parametrize(
    "bad", ["", "zones", "column zones id text", "COLUMN zones id: text", "view a: b", "column a b c: d", "table a:\nx"]
)
def test_refuses_a_line_that_is_not_a_fact(bad: str) -> None:
    with pytest.raises(OptionError, match="is not a line of a release table"):
        parse([bad])


@pytest.mark.mutation
def test_release_can_drop_only_existing_facts() -> None:
    facts = parse(SOME)
    assert Key("extension", "pgcrypto", "") not in changed(facts, drop="\nextension pgcrypto\n")
    with pytest.raises(KeyError, match="nothing to drop"):
        changed(facts, drop="\nextension other\n")


def test_a_table_without_a_family_is_refused() -> None:
    assert NEWEST.known_family == NEWEST.family
    with pytest.raises(OptionError, match=NEWEST.release):
        _ = dataclasses.replace(NEWEST, family=None).known_family


@pytest.mark.mutation
def test_not_a_pass_if_nothing_is_left_to_compare() -> None:
    nearest = Nearest(NEWEST, (), (), ())
    without_roles = {one.id: one for one in schema_checks.compare("caracal", NEWEST.own, NEWEST.own, nearest, [])}
    assert without_roles["schema.caracal.grants"].verdict == "unproven" and without_roles["schema.caracal.grants"].required
    nothing = {one.id: one.verdict for one in schema_checks.compare("caracal", NEWEST.own, {}, nearest, NEWEST.roles)}
    assert "pass" not in nothing.values() and "not_applicable" not in nothing.values() and nothing["schema.caracal.tables"] == "fail"


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("one", KNOWN, ids=[one.release for one in KNOWN])
def test_release_passes_against_its_own_table(one: schema_tables.ReleaseTable) -> None:
    for name, facts in one.databases.items():
        verdicts = {check.verdict for check in schema_checks.compare(name, facts, dict(facts), Nearest(one, (), (), ()), one.roles)}
        assert verdicts <= {"pass", "not_applicable"}
