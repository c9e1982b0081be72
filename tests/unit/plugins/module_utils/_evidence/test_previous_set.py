# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The earlier set with which a set is compared, and the result if that set cannot be read."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.inventory import recorded_inventory, since_previous
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.signing import Signer
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access, place, previous_set, restore_entry
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence.sealed_set import SealedSet
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import Check
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout
from scenes.own_database import OwnDatabase
from scenes.scene import DEPLOYMENT, OPERATOR_HOST, Scene, new_identity, new_ssh_key
from scenes.twin_database import TwinCluster


def compared(scene: Scene, set_id: str = "latest", identity: Path | None = None, budget: int = 50) -> Check:
    opened = access.open_repository(scene.access())
    the_set = SealedSet(opened, set_id, [str(scene.identity)])
    server, _sandbox = place.server_of(scene.options("state_verify").copy)
    return previous_set.check(opened, the_set, the_set.inventory(), server, [str(identity or scene.identity)], budget)


def outcome(check: Check) -> tuple[str, bool]:
    return check.verdict, check.required


@pytest.mark.no_false_alarm
def test_an_unchanged_source_has_no_changes(scene: Scene) -> None:
    check = compared(scene)
    assert (check.id, *outcome(check)) == (since_previous.CHECK_ID, "pass", False)
    assert (check.details["since"], check.details["changes"]) == (scene.sets()[0], [])


def test_every_line_of_a_real_inventory_is_understood(scene: Scene) -> None:
    found = recorded_inventory.of("x", scene.inventory())
    things = [thing for one in found.databases.values() for facts in one.facts.values() for thing in facts or ()]
    assert len(things) > 500 and {"function", "trigger", "policy", "index", "constraint", "columns of"} <= {one.kind for one in things}
    assert [one for one in things if one.kind == "object"] == []


def test_the_first_set_has_nothing_to_be_compared_with(scene: Scene) -> None:
    assert outcome(compared(scene, scene.sets()[0])) == ("not_applicable", False)


class Source(OwnDatabase):
    """A database of one test, in a repository with a set of other databases."""

    def backup(self) -> str:
        self.scene.backup(databases=[self.database])
        return self.scene.sets()[-1]


@pytest.fixture
def source(scene: Scene, caracal_database: TwinCluster, caracal_copy: t.Callable[[], str]) -> Source:
    return Source(scene, caracal_database, caracal_copy())


def test_a_set_of_other_databases_is_not_the_one_before(source: Source) -> None:
    source.backup()
    assert outcome(compared(source.scene)) == ("not_applicable", False)


def test_changes_of_a_real_database_are_listed(source: Source) -> None:
    before = source.backup()
    source.execute(
        "SET session_replication_role = replica",
        "DELETE FROM sessions WHERE ctid = (SELECT min(ctid) FROM sessions)",
        "GRANT DELETE ON zones TO caracalaudit",
        "ALTER TABLE zones NO FORCE ROW LEVEL SECURITY, ADD COLUMN extra text",
        "UPDATE audit_retention SET retention_days = retention_days + 1",
        "CREATE FUNCTION public.added() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    )
    source.backup()
    check = compared(source.scene)
    assert (*outcome(check), check.details["since"]) == ("pass", False, before)
    found = [one.removeprefix(f"database {source.database}: ") for one in check.details["changes"]]
    wanted = (
        "table sessions: ",
        "table zones: rights changed: caracalaudit gained DELETE",
        "columns of zones: extra",
        "function added(): new",
    )
    assert [one for one in wanted if not any(line.startswith(one) for line in found)] == []
    assert any(line.startswith("audit retention: ") for line in check.details["changes"]) and len(found) < 8


# The product adds versions like this.
ADDED = """
    INSERT INTO policy_versions SELECT (jsonb_populate_record(v, '{"id": "odd", "version": 99}')).* FROM policy_versions v
     ORDER BY id LIMIT 1"""
REWRITTEN = {
    "changed": (
        "UPDATE policy_versions SET content = content || ' ', "
        "content_sha256 = encode(sha256(convert_to(content || ' ', 'UTF8')), 'hex') WHERE id = (SELECT min(id) FROM policy_versions)",
    ),
    "exchanged": (ADDED, "DELETE FROM policy_versions WHERE id = (SELECT max(id) FROM policy_versions WHERE id <> 'odd')"),
    "of a set": ("UPDATE policy_set_versions SET version = version + 100 WHERE id = (SELECT max(id) FROM policy_set_versions)",),
}


@pytest.mark.mutation
@pytest.mark.parametrize("what", REWRITTEN)
def test_rows_that_the_product_never_changes_are_a_finding(source: Source, what: str) -> None:
    source.backup()
    source.execute("SET session_replication_role = replica", *REWRITTEN[what])
    source.backup()
    check = compared(source.scene)
    assert outcome(check) == ("fail", True) and [one["kind"] for one in check.details["positions"]] == ["rewritten"]
    # With this budget there are no findings.
    assert outcome(compared(source.scene, budget=100)) == ("pass", False)
    source.backup()
    assert outcome(compared(source.scene)) == ("pass", False)


@pytest.mark.no_false_alarm
def test_added_versions_and_columns_are_not_a_finding(source: Source) -> None:
    source.backup()
    source.execute(ADDED, "ALTER TABLE policy_set_versions ADD COLUMN extra text")
    source.backup()
    check = compared(source.scene)
    assert (*outcome(check), check.details["uncompared"]) == ("pass", False, ["policy_set_versions (its columns changed)"])


@pytest.mark.mutation
def test_a_copy_that_is_not_the_set_proves_nothing_of_the_source(source: Source) -> None:
    source.backup()
    source.backup()
    source.execute("SET session_replication_role = replica", *REWRITTEN["changed"])
    assert outcome(compared(source.scene)) == ("pass", False)


def removed(scene: Scene, set_id: str) -> None:
    (scene.repository / layout.inventory_key(set_id)).unlink()


def altered(scene: Scene, set_id: str) -> None:
    path = scene.repository / layout.manifest_key(set_id)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes() + b" ")


def signed_by_another(scene: Scene, set_id: str) -> None:
    key = scene.root / "another_key"
    if not key.exists():
        new_ssh_key(key)
    path = scene.repository / layout.backup_signature_key(set_id)
    path.chmod(0o600)
    manifest = (scene.repository / layout.manifest_key(set_id)).read_bytes()
    path.write_bytes(Signer(str(key), layout.principal(layout.BACKUP, DEPLOYMENT)).sign(manifest, layout.NAMESPACE_SET))


@pytest.mark.mutation
@pytest.mark.parametrize("damage", [removed, altered, signed_by_another])
def test_an_earlier_set_that_cannot_be_read_proves_nothing(scene: Scene, damage: t.Callable[[Scene, str], None]) -> None:
    damage(scene, scene.sets()[0])
    assert outcome(compared(scene)) == ("unproven", False)


@pytest.mark.mutation
def test_an_earlier_set_that_this_host_cannot_open_proves_nothing(scene: Scene) -> None:
    new_identity(scene.root / "another")
    assert outcome(compared(scene, identity=scene.root / "another")) == ("unproven", False)


def test_a_set_without_a_trusted_signature_is_passed_over(scene: Scene) -> None:
    first, second = scene.sets()
    scene.backup()
    signed_by_another(scene, second)
    assert (outcome(compared(scene)), compared(scene).details["since"]) == (("pass", False), first)


def test_a_restore_in_between_is_named(scene: Scene) -> None:
    opened = access.open_repository(scene.access())
    the_set = SealedSet(opened, scene.sets()[0], [str(scene.identity)])
    clusters = {one.system_identifier for one in the_set.open_set.manifest.sources}
    signer = Signer(str(scene.key(OPERATOR_HOST)), layout.principal(layout.OPERATOR, DEPLOYMENT))
    for cluster in (*clusters, "7"):
        restore_entry.enter(opened, signer, the_set, {"target": {"system_identifier": cluster, "databases": ["caracal", "caracal_auth"]}})
    scene.backup()
    check = compared(scene)
    assert [the_set.set_id in one for one in check.details["changes"]] == [True] * len(clusters)
