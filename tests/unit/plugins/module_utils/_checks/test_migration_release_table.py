# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An unknown release is unproven until a table describes a fresh migration of it."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError
from scenes.twin_database import Copier, TwinCluster
from unit.plugins.module_utils._checks.test_migration_verify import OLD, OWN, message_of, odd, verify

NEWER = (
    "INSERT INTO schema_migrations VALUES ('0004_newer')",
    "CREATE TABLE newer (id text PRIMARY KEY, zone_id text NOT NULL REFERENCES zones(id))",
    "GRANT SELECT ON newer TO caracalapi",
    "ALTER TABLE zones ADD newer_thing text[] NOT NULL DEFAULT '{}'",
)
COMPARED = {"tables", "columns", "constraints", "indexes", "triggers", "row_security", "grants", "sequences", "functions", "extensions"}


@pytest.fixture
def newer(caracal_database: TwinCluster, caracal_copy: Copier) -> str:
    """Return a copy as a later release would have it."""
    name = caracal_copy()
    caracal_database.execute(*NEWER, database=name)
    return name


@pytest.fixture
def described(caracal_database: TwinCluster, newer: str) -> dict[str, t.Any]:
    table = verify(caracal_database, database=newer, describe="v1.1.0", require_valid=False)["table"]
    assert isinstance(table, dict)
    return table


def keep(table: t.Any, folder: Path) -> str:
    path = folder / "v1.1.0.json"
    path.write_text(json.dumps(table))
    return str(path)


@pytest.mark.mutation
def test_unknown_release_is_unproven_and_names_the_closest(caracal_database: TwinCluster, newer: str) -> None:
    result = verify(caracal_database, database=newer)
    assert (result["verdict"], result["failed"], result["release"], result["nearest"]) == ("unproven", True, None, "v1.0.0")
    words = message_of(result, "migrations.release")
    assert (
        "the closest is v1.0.0. This database has migration(s) 0004_newer, differs in 4 table(s) or column(s), first: column newer.id"
        in words
    )
    assert "set release_table" in words
    unproven = {one for one, verdict in odd(result).items() if verdict == "unproven"}
    databases = ("caracal", "caracal_auth")
    assert unproven == {"migrations.release", "migrations.versions", *(f"schema.{one}.{what}" for one in databases for what in COMPARED)}
    assert message_of(result, f"{OWN}.tables").endswith("compared with v1.0.0: 1 difference(s); first: unexpected table newer")
    assert message_of(result, f"{OWN}.triggers").endswith("no difference")
    release = next(one for one in result["checks"] if one["id"] == "migrations.release")
    assert release["details"]["unknown_migrations"] == ["0004_newer"] and release["details"]["number"] == 4


@pytest.mark.no_false_alarm
def test_described_release_passes_against_its_table(
    caracal_database: TwinCluster, newer: str, described: dict[str, t.Any], tmp_path: Path
) -> None:
    result = verify(caracal_database, database=newer, release_table=keep(described, tmp_path))
    assert (result["verdict"], result["release"], result["family"], odd(result)) == ("pass", "v1.1.0", "secret_store", OLD)
    # An additional table does not affect the known releases.
    assert verify(caracal_database, release_table=keep(described, tmp_path))["release"] == "v1.0.0"


@pytest.mark.mutation
def test_a_damage_is_found_against_a_described_release(
    caracal_database: TwinCluster, newer: str, described: dict[str, t.Any], tmp_path: Path
) -> None:
    caracal_database.execute("REVOKE SELECT ON newer FROM caracalapi", database=newer)
    result = verify(caracal_database, database=newer, release_table=keep(described, tmp_path))
    assert odd(result) == {**OLD, f"{OWN}.grants": "fail"}
    assert message_of(result, f"{OWN}.grants") == "differs from v1.1.0: grant on newer to caracalapi is missing"


def test_description_of_a_known_release_equals_our_table(caracal_database: TwinCluster) -> None:
    """Our tables equal the module's output, and apart from services a table contains no installation-specific names."""
    table = verify(caracal_database, describe="again")["table"]
    assert table["migrations"] == ["0001_baseline", "0002_approval_hardening", "0003_operator_run_token_usage"]
    assert "caracal" not in table["roles"] and len(table["roles"]) == 6
    assert "owner database: none of the services" in table["databases"]["caracal"]
    assert "owner database: caracalauth" in table["databases"]["caracal_auth"]
    assert not [one for facts in table["databases"].values() for one in facts if "audit_events_y2026" in one]


BAD: dict[str, tuple[t.Callable[[dict[str, t.Any]], t.Any], str]] = {
    "a list": (lambda table: [table], "fields must be databases, family, migrations, release, roles"),
    "a field less": (lambda table: {name: value for name, value in table.items() if name != "roles"}, "fields must be"),
    "another database": (lambda table: {**table, "databases": {**table["databases"], "postgres": ["table x:"]}}, "databases must be"),
    "no database": (lambda table: {**table, "databases": {}}, "databases must be"),
    "no facts": (lambda table: {**table, "databases": {"caracal": []}}, "caracal must be a non-empty list of strings"),
    "facts of another kind": (lambda table: {**table, "databases": {"caracal": [1]}}, "caracal must be a non-empty list"),
    "no migrations": (lambda table: {**table, "migrations": []}, "migrations must be a non-empty list"),
    "no family": (lambda table: {**table, "family": None}, "family must be one of secret_store, zone_kek"),
    "no fact": (lambda table: {**table, "databases": {"caracal": ["no fact"]}}, "'no fact' is not a line of a release table"),
    "an unknown kind": (
        lambda table: {**table, "databases": {"caracal": ["view x: y"]}},
        "'view x: y' is not a line of a release table",
    ),
    "a release of ours": (lambda table: {**table, "release": "v1.0.0"}, "release v1.0.0 has a table in this collection"),
}


@pytest.mark.mutation
def test_refuses_an_invalid_release_table(caracal_database: TwinCluster, described: dict[str, t.Any], tmp_path: Path) -> None:
    for bad, words in BAD.values():
        with pytest.raises(OptionError) as raised:
            verify(caracal_database, release_table=keep(bad(described), tmp_path))
        assert words in raised.value.msg and "\n" not in raised.value.msg
    (tmp_path / "text").write_text("no JSON")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name, words in (("text", "is not JSON"), ("bytes", "bytes: not UTF-8"), ("nowhere", "nowhere: No such file")):
        with pytest.raises(OptionError, match=words):
            verify(caracal_database, release_table=str(tmp_path / name))
