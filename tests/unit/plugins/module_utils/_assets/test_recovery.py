# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of RECOVERY.md, unchanged, with the tools that they name and without this software."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxInfo
from harness.fixtures import FreshCluster
from scenes import scene as scenes
from scenes.by_hand import Recover, commands
from scenes.scene import Scene, new_identity
from scenes.twin_database import TwinCluster


def databases(cluster: SandboxInfo, source: TwinCluster) -> set[str]:
    found = TwinCluster(cluster, source.spec).execute("SELECT datname FROM pg_database", database="postgres")
    return {name for (name,) in found}


@pytest.mark.no_false_alarm
def test_recovery_steps_restore_a_set(scene: Scene, recover: Recover, fresh_cluster: FreshCluster, caracal_database: TwinCluster) -> None:
    cluster = fresh_cluster()
    done = recover(scene, scene.sets()[-1], cluster)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    result = scene.call("state_verify", sandbox=cluster.directory)
    assert result["verdict"] == "pass", [check for check in result["checks"] if check["verdict"] == "fail"]


def test_recovery_commands_restore_settings_and_odd_roles(
    tmp_path: Path, recover: Recover, fresh_cluster: FreshCluster, twin_cluster: t.Callable[..., TwinCluster]
) -> None:
    """Objects that the twin does not have: access lists and settings of databases, members, limits, names that need quotes."""
    source = twin_cluster(seed="odd")
    source.execute(
        'CREATE ROLE "odd; role" NOINHERIT CONNECTION LIMIT 7',
        "ALTER ROLE \"odd; role\" SET search_path = ''",
        "ALTER ROLE \"odd; role\" SET work_mem = '5MB'",
        "CREATE ROLE auditors VALID UNTIL '2030-01-01 12:00:00+02'",
        "GRANT auditors TO caracalaudit",
        'GRANT auditors TO "odd; role"',
        "GRANT SELECT ON zones TO auditors",
        "REVOKE ALL ON DATABASE caracal FROM PUBLIC",
        'GRANT CONNECT ON DATABASE caracal TO "odd; role"',
        "GRANT CREATE ON DATABASE caracal TO auditors WITH GRANT OPTION",
        "ALTER DATABASE caracal SET timezone = 'UTC'",
        "ALTER DATABASE caracal SET application_name = 'it''s = \"odd\"'",
        'ALTER DATABASE caracal SET search_path = public, "odd; schema"',
        "ALTER DATABASE caracal SET caracal.zone_id = '*'",
        "ALTER DATABASE caracal_auth CONNECTION LIMIT 50",
        'ALTER ROLE "odd; role" IN DATABASE caracal SET search_path = "odd; schema", public',
        "ALTER ROLE \"odd; role\" IN DATABASE caracal SET application_name = 'it''s \"odd\"'",
        "GRANT pg_monitor TO caracalaudit",
    )
    scene = _committed(tmp_path, source)
    by_hand, by_module = fresh_cluster(), fresh_cluster()
    done = recover(scene, scene.sets()[-1], by_hand)
    assert done.returncode == 0, done.stderr
    restored = scene.call("pg_encrypted_restore", sandbox=by_module.directory)
    assert [check["verdict"] for check in restored["checks"]] == ["pass", "pass"]
    for cluster in (by_module, by_hand):
        result = scene.call("state_verify", sandbox=cluster.directory)
        assert result["verdict"] == "pass", [check for check in result["checks"] if check["verdict"] == "fail"]


def _committed(tmp_path: Path, source: TwinCluster) -> Scene:
    scene = scenes.make(tmp_path / "own", source.info.socket_dir)
    scene.backup()
    return scene


def flip(path: Path) -> None:
    """Flip one bit in the middle."""
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def altered(path: Path) -> None:
    """Add a command to the instructions, or a byte to the manifest."""
    path.write_bytes(path.read_bytes().replace(b"psql", b"true; psql", 1) if path.suffix == ".md" else path.read_bytes() + b"\n")


def swap(path: Path) -> None:
    """Use the valid content of another partition."""
    other = next(one for one in sorted(path.parent.parent.rglob("*.age")) if one != path)
    path.write_bytes(other.read_bytes())


DAMAGE: dict[str, tuple[str, t.Callable[[Path], None]]] = {
    "dump": ("sets/{set}/postgres/caracal.dump.zst.age", flip),
    "schema": ("sets/{set}/postgres/caracal_auth.schema.zst.age", truncate),
    "leaf": ("objects/audit/audit_events_y2026m01/*.age", flip),
    "leaf swapped": ("objects/audit/audit_events_y2026m01/*.age", swap),
    "inventory": ("sets/{set}/inventory.json.zst.age", flip),
    "blocks": ("sets/{set}/audit-blocks.tsv.zst", flip),
    "missing": ("sets/{set}/postgres/caracal.dump.zst.age", Path.unlink),
    "manifest": ("sets/{set}/manifest.json", altered),
    "instructions": ("sets/{set}/RECOVERY.md", altered),
    "signature": ("sets/{set}/signatures/backup.sig", flip),
    "signature missing": ("sets/{set}/signatures/backup.sig", Path.unlink),
}


@pytest.mark.mutation
def test_recovery_commands_restore_no_unsigned_content(
    scene: Scene, recover: Recover, fresh_cluster: FreshCluster, caracal_database: TwinCluster, tmp_path: Path
) -> None:
    cluster = fresh_cluster()
    untouched = databases(cluster, caracal_database)
    set_id = scene.sets()[-1]
    for number, (pattern, damage) in enumerate(DAMAGE.values()):
        broken = scene.copy(tmp_path / f"broken{number}")
        (path,) = broken.repository.glob(pattern.format(set=set_id))
        damage(path)
        done = recover(broken, set_id, cluster)
        assert done.returncode != 0 and done.stdout + done.stderr, pattern
        assert databases(cluster, caracal_database) == untouched, pattern
    new_identity(scene.root / "other")
    for name in ("ALLOWED_SIGNERS", "IDENTITY"):
        done = recover(scene, set_id, cluster, **{name: str(scene.root / "other")})
        assert done.returncode != 0 and done.stdout + done.stderr, name
        assert databases(cluster, caracal_database) == untouched, name


@pytest.mark.mutation
@pytest.mark.parametrize("kind", ["dump", "leaf"])
def test_broken_pipe_ends_the_recovery_commands(
    scene: Scene, recover: Recover, fresh_cluster: FreshCluster, tmp_path: Path, kind: str
) -> None:
    """Even if the digests were not checked, a damaged artifact in the middle of a pipe makes the pipe fail."""
    set_id = scene.sets()[-1]
    script = re.sub(r"^sha256sum --check.*?^END$", "", commands(scene, set_id), flags=re.MULTILINE | re.DOTALL)
    pattern, damage = DAMAGE[kind]
    (path,) = scene.repository.glob(pattern.format(set=set_id))
    damage(path)
    done = recover(scene, set_id, fresh_cluster(), script)
    assert done.returncode != 0 and done.stderr
