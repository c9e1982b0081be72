# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An archive of exports in a directory or in a bucket with Object Lock, the source database, and ways to damage the archive."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import typing as t
import uuid
from pathlib import Path

from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access
from scenes import scene as scenes
from scenes.s3_server import S3Server
from scenes.scene import Scene
from scenes.twin_database import TwinCluster
from twin import exports, keys, load

Finding = tuple[str, str]
DAYS = 400
Options = dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class ArchiveScene:
    """`source` is a folder with the exports of `database`. `archive` is a directory, or a location on `s3`."""

    scene: Scene
    cluster: TwinCluster
    source: Path
    archive: str
    s3: S3Server | None = None
    database: str = "caracal"

    def export(self) -> list[str]:
        with contextlib.closing(load.open_database(self.cluster.target, self.database)) as connection:
            paths = exports.export(connection, str(self.source))
            connection.commit()
        return paths

    def place(self, **own: t.Any) -> Options:
        """Return the location of the archive, and the lock that the operator has set."""
        if self.s3 is None:
            return {"archive": self.archive, **own}
        return {"archive": self.archive, **self.s3.options(lock_mode="GOVERNANCE", lock_days={"archive": DAYS}), **own}

    def fill(self, *, check_mode: bool = False, warn: t.Callable[[str], None] = lambda _text: None, **own: t.Any) -> scenes.Result:
        given = {"source": str(self.source), **self.place(), **own}
        return self.scene.call("audit_export_archive", check_mode=check_mode, warn=warn, **given)

    def verify(self, *, alone: bool = False, **own: t.Any) -> scenes.Result:
        """Verify the archive. With `alone`, there is no database."""
        key = keys.for_seed(self.cluster.spec.seed).audit_hmac_key.hex()
        given = {
            "audit_hmac_key_files": keys.files(self.scene.root, key),
            "database": None if alone else self.database,
            "require_valid": False,
            **self.place(),
        }
        return self.scene.call("audit_export_verify", **{**given, **own})

    def entries(self) -> list[t.Any]:
        """Return the journal's entries about archived days."""
        opened = access.open_repository(self.scene.access())
        return opened.journal.of_kind("archive-day")

    def stored(self) -> list[str]:
        """Return the keys of the archived exports."""
        if self.s3 is None:
            root = Path(self.archive)
            return sorted(str(path.relative_to(root)) for path in root.glob("archive/**/*.parquet"))
        bucket, prefix = self.bucket
        found = self.s3.client.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/archive/").get("Contents", [])
        return sorted(one["Key"].removeprefix(f"{prefix}/") for one in found)

    @property
    def bucket(self) -> tuple[str, str]:
        bucket, _slash, prefix = self.archive.removeprefix("s3://").partition("/")
        return bucket, prefix

    def named(self, key: str) -> dict[str, str]:
        """Return an object of the archive as parameters of a request."""
        bucket, prefix = self.bucket
        return {"Bucket": bucket, "Key": f"{prefix}/{key}"}

    def file(self, key: str) -> Path:
        return Path(self.archive) / key

    @property
    def client(self) -> t.Any:
        """Return the client of the owner of the bucket's account."""
        assert self.s3
        return self.s3.client

    def copy(self, root: Path) -> ArchiveScene:
        """Return a scene with copied folders. The archive is copied only if it is a directory."""
        archive = str(root / "archive")
        if self.s3 is None:
            shutil.copytree(self.archive, archive)
        shutil.copytree(self.source, root / "exports")
        scene = self.scene.copy(root / "scene")
        return dataclasses.replace(self, scene=scene, source=root / "exports", archive=self.archive if self.s3 else archive)


def new(root: Path, cluster: TwinCluster, s3: S3Server | None = None, database: str = "caracal") -> ArchiveScene:
    """Return a scene with exports and a repository, but no archive yet."""
    root.mkdir(exist_ok=True)
    scene = scenes.make(root / "scene", cluster.info.socket_dir)
    scene.call("backup_set", state="open", create_repository=True)
    archive = f"s3://{s3.shared}/{uuid.uuid4().hex}" if s3 else str(root / "archive")
    made = ArchiveScene(scene, cluster, root / "exports", archive, s3, database)
    made.export()
    return made


def found(result: scenes.Result) -> set[Finding]:
    """Return (check, kind) of all findings of all checks."""
    return {(check["id"], one["kind"]) for check in result["checks"] for one in check["details"].get("positions", [])}


def verdicts(result: scenes.Result) -> dict[str, str]:
    return {check["id"]: check["verdict"] for check in result["checks"]}
