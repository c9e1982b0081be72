# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every module three times: check mode changes nothing and predicts the run; a second run finds everything done.

The table has one row for each module and state. Keys in `unknown` cannot be predicted, and the module's documentation states that.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    KeyProblem,
    ObjectMissing,
    OptionError,
    StorageError,
    TargetRefused,
)
from harness.fixtures import FreshCluster
from scenes import scene as scenes
from scenes.fixtures import Copy
from scenes.playing import Play, backup_settings
from scenes.scene import Result, Scene, tree
from scenes.twin_database import TwinCluster
from tools.rules import documented
from tools.rules import tree as sources

ID = "20260102T030405Z-abcd"
CLUSTER = "SELECT datname, datacl::text FROM pg_database UNION ALL SELECT rolname, rolvaliduntil::text FROM pg_roles ORDER BY 1"


@dataclasses.dataclass
class World:
    """A scene with two committed sets and one with a dump, a source, an empty cluster, and a restored copy."""

    scene: Scene
    source: TwinCluster
    empty: TwinCluster
    restored: Copy

    @property
    def open_set(self) -> str:
        (part,) = self.scene.files("sets/*/parts/postgres.json")
        return part.split("/")[1]

    def state(self) -> tuple[t.Any, ...]:
        """Return everything that a module could change: all files of all hosts, and databases and roles of all clusters."""
        clusters = [one.execute(CLUSTER, database="postgres") for one in (self.source, self.empty, self.restored)]
        return tree(self.scene.root), clusters

    def call(self, name: str, check_mode: bool, given: dict[str, t.Any]) -> Result:
        return self.scene.call(name, check_mode=check_mode, **given)


@dataclasses.dataclass(frozen=True)
class Row:
    """A module and a state. `given` returns the options. `unknown` are keys of the result (or `list.key`) that cannot be predicted.

    `second` is the expected second run: `unchanged`, `created again`, or the error that refuses it.
    """

    module: str
    given: t.Callable[[World], dict[str, t.Any]]
    changes: bool = True
    unknown: tuple[str, ...] = ()
    second: str | type[Exception] = "unchanged"


ROWS = {
    "open": Row("backup_set", lambda world: {"state": "open", "set_id": ID}, second="created again"),
    "open an open set": Row("backup_set", lambda world: {"state": "open", "set_id": world.open_set}, changes=False),
    "committed": Row(
        "backup_set",
        # Outside of the scene: metrics change with each run, for example the free space.
        lambda world: {"state": "committed", "set_id": world.open_set, "metrics_file": str(world.scene.root.parent / "backup.prom")},
        unknown=("journal_head",),
    ),
    "committed before": Row("backup_set", lambda world: {"state": "committed", "set_id": world.scene.sets()[0]}, changes=False),
    "aborted": Row("backup_set", lambda world: {"state": "aborted", "set_id": world.open_set}),
    "dump": Row(
        "pg_encrypted_dump",
        lambda world: {"set_id": ID},
        unknown=(
            *("artifacts", "bytes", "checks", "diff", "partitions", "seconds"),
            *(f"databases.{name}" for name in ("seconds", "longest_wait", "snapshot_time", "clock_offset")),
        ),
    ),
    "dump into a dumped set": Row("pg_encrypted_dump", lambda world: {"set_id": world.open_set}, changes=False, unknown=("seconds",)),
    "verify": Row("backup_set_verify", lambda world: {"set_id": "latest"}, changes=False),
    "state": Row("state_verify", lambda world: {"sandbox": world.restored.info.directory}, changes=False, unknown=("seconds",)),
    "restore": Row(
        "pg_encrypted_restore",
        lambda world: {"sandbox": world.empty.info.directory},
        unknown=("seconds", "checks", "databases.seconds"),
        second=TargetRefused,
    ),
    "restore into a server": Row(
        "pg_encrypted_restore",
        lambda world: {
            "login_unix_socket": world.empty.info.socket_dir,
            "signing_key": str(world.scene.key("operator")),
            "high_water_mark": str(world.scene.mark("operator")),
        },
        unknown=("seconds", "checks", "databases.seconds", "journal_head"),
        second=TargetRefused,
    ),
    "nothing to send again": Row("outbox_reopen", lambda world: {"sandbox": world.restored.info.directory}, changes=False),
    "taken back": Row("rollback_info", lambda world: {"former_database": "caracal"}, changes=False),
}  # fmt: skip


@pytest.fixture
def world(dumped: Scene, caracal_database: TwinCluster, restored: Copy, fresh_cluster: FreshCluster) -> World:
    return World(dumped, caracal_database, TwinCluster(fresh_cluster(), caracal_database.spec), restored)


def known(result: t.Any, unknown: t.Collection[str]) -> t.Any:
    """Return a result without the keys that cannot be predicted."""
    kept = {}
    for name, value in result.items():
        inner = [one.partition(".")[2] for one in unknown if one.startswith(f"{name}.")]
        if name in unknown:
            continue
        kept[name] = [known(one, inner) for one in value] if inner and isinstance(value, list) else known(value, inner) if inner else value
    return kept


# The predictions of these are verified in their own tests.
ELSEWHERE = {
    "audit_chain_verify",
    "audit_checkpoint",
    "audit_export_archive",
    "audit_export_verify",
    "audit_partition_ensure",
    "backup_hold",
    "backup_preflight",
    "backup_prune",
    "backup_set_info",
    "canary_exchange",
    "compose_services",
    "database_login",
    "guarded",
    "deployment_info",
    "envelope_verify",
    "escrow_verify",
    "host_keys",
    "image_archive",
    "journal_correct",
    "journal_timestamp",
    "key_lists",
    "migration_verify",
    "notify_watch",
    "postgres_programs",
    "redis_stream_restore",
    "redis_stream_snapshot",
    "replay_stage_fetch",
    "replay_volume_archive",
    "replay_volume_restore",
    "repository_copy",
    "repository_verify",
    "restore_drill",
    "restore_preflight",
    "restore_verify",
    "retention_verify",
    "secrets_bundle",
    "secrets_restore",
}


def test_every_module_has_a_row() -> None:
    assert {row.module for row in ROWS.values()} == set(documented.modules(sources.ROOT)) - ELSEWHERE


@pytest.mark.parametrize("name", ROWS)
def test_check_mode_predicts_the_run_and_the_second_run(world: World, name: str) -> None:
    row = ROWS[name]
    given = row.given(world)
    before = world.state()
    predicted = world.call(row.module, True, given)
    assert world.state() == before
    made = world.call(row.module, False, given)
    assert predicted["changed"] == made["changed"] == row.changes
    assert predicted.keys() == made.keys()
    assert known(predicted, row.unknown) == known(made, row.unknown)
    if "checks" in row.unknown:
        assert made["checks"][: len(predicted["checks"])] == predicted["checks"]
    _diff_tells(row, predicted, made)
    for result in (predicted, made):
        world.scene.is_clean(json.dumps(result))
    _again(world, row, given)


def _diff_tells(row: Row, predicted: Result, made: Result) -> None:
    """Check that there is a diff if the documentation promises it. In check mode, it is at least the known beginning."""
    support = documented.documentation(sources.ROOT, row.module)["attributes"].get("diff_mode", {}).get("support")
    assert ("diff" in made) == (support == "full"), "documented otherwise"
    if "diff" in made:
        assert set(made["diff"]) == {"before", "after"} and (made["diff"]["before"] != made["diff"]["after"]) == row.changes
        assert made["diff"]["after"].startswith(predicted["diff"]["after"]) and predicted["diff"]["before"] == made["diff"]["before"]


def _again(world: World, row: Row, given: dict[str, t.Any]) -> None:
    for check_mode in (True, False):
        before = world.state()
        if isinstance(row.second, str):
            assert world.call(row.module, check_mode, given)["changed"] == (row.second == "created again")
        else:
            with pytest.raises(row.second):
                world.call(row.module, check_mode, given)
        if check_mode:
            assert world.state() == before
        elif row.second != "created again":
            # The check creates a file to find out whether a folder is writable.
            assert _contents(world.state()) == _contents(before)


def _contents(state: tuple[t.Any, ...]) -> tuple[t.Any, ...]:
    files, *rest = state
    return {path: (mode, digest) for path, (mode, _time, digest) in files.items()}, *rest


# ---- what a run would refuse, check mode refuses too


def test_check_mode_verifies_a_new_repository_like_a_run(empty_scene: Scene, tmp_path: Path) -> None:
    scene, opening = empty_scene, {"state": "open", "create_repository": True}
    scenes.new_ssh_key(scene.root / "stranger")
    unknown = str(scene.root / "stranger")
    scene.refused("backup_set", KeyProblem, unknown, "not in", **opening, signing_key=unknown)
    nowhere = str(tmp_path / "no" / "such" / "mark")
    scene.refused("backup_set", StorageError, nowhere, "folder that exists", **opening, high_water_mark=nowhere)
    inside = str(scene.repository / "mark")
    scene.refused("backup_set", OptionError, inside, "inside the repository", **opening, high_water_mark=inside)
    assert scene.call("backup_set", **opening)["changed"]
    # The state after a creation that was killed before its last step.
    (scene.repository / "journal" / "0000000001.json").unlink()
    scene.mark("backup").unlink()
    signers = scene.root / "allowed_signers"
    signers.write_text(signers.read_text() + f"backup@test {scene.key('backup').with_suffix('.pub').read_text()}")
    scene.refused("backup_set", OptionError, "deployment prod", "not to test", **opening, deployment="test", check_mode=True)
    assert scene.call("backup_set", check_mode=True, **opening)["changed"]


def test_an_unwritable_mark_is_refused_also_in_check_mode(world: World, tmp_path: Path) -> None:
    scene, nowhere = world.scene, str(tmp_path / "no" / "such" / "mark")
    words = (nowhere, "folder that exists")
    scene.refused("backup_set", StorageError, *words, state="open", high_water_mark=nowhere)
    scene.refused("backup_set", StorageError, *words, state="committed", set_id=world.open_set, high_water_mark=nowhere, check_mode=True)
    scene.refused("backup_set_verify", StorageError, *words, high_water_mark=nowhere)
    scene.refused("state_verify", StorageError, *words, high_water_mark=nowhere, sandbox=world.restored.info.directory)
    scene.refused("pg_encrypted_restore", StorageError, *words, high_water_mark=nowhere, sandbox=world.empty.info.directory)


def test_check_mode_of_a_dump_works_without_a_repository(empty_scene: Scene, tmp_path: Path) -> None:
    """The preflight runs completely without a repository. It refuses if none may be created, or none can be created."""
    scene, before = empty_scene, tree(empty_scene.root)
    predicted = scene.call("pg_encrypted_dump", check_mode=True, set_id=ID, create_repository=True)
    assert predicted["changed"] and [one["database"] for one in predicted["databases"]] == ["caracal", "caracal_auth"]
    assert tree(scene.root) == before
    scene.refused("pg_encrypted_dump", ObjectMissing, "create_repository", set_id=ID)
    scene.refused("pg_encrypted_dump", ObjectMissing, "create_repository", set_id=ID, create_repository=True, check_mode=False)
    (tmp_path / "file").write_bytes(b"")
    nowhere = str(tmp_path / "file" / "where")
    scene.refused(
        "pg_encrypted_dump", StorageError, f"{tmp_path}/file", set_id=ID, create_repository=True, repository=nowhere, check_mode=True
    )
    scene.refused(
        "pg_encrypted_dump", KeyProblem, "nothing", set_id=ID, create_repository=True, recipients_files=["/nothing"], check_mode=True
    )


def test_playbook_works_before_there_is_a_repository(empty_scene: Scene, caracal_database: TwinCluster, tmp_path: Path) -> None:
    """Before there is a repository, `--check` also checks the server; then the real run, with metrics."""
    scene, metrics = empty_scene, tmp_path / "backup.prom"
    settings = {**backup_settings(scene), "caracal_backup_metrics_file": str(metrics)}
    before = tree(scene.root)
    checked = Play("backup", settings, tmp_path, ("--check", "--diff"))
    assert checked.ended() == 0, checked.output()
    assert "with caracal, caracal_auth" in checked.output() and "nothing was written" in checked.output()
    assert tree(scene.root) == before and not metrics.exists()
    wrong = Play("backup", {**settings, "caracal_ops_login_unix_socket": str(tmp_path)}, tmp_path, ("--check",))
    assert wrong.ended() != 0 and "cannot connect to database" in wrong.output() and tree(scene.root) == before
    made = Play("backup", settings, tmp_path, ("--diff",))
    assert made.ended() == 0, made.output()
    assert len(scene.sets()) == 1 and "caracal_backup_journal_entries" in metrics.read_text()
    scene.is_clean(made.output() + checked.output())
