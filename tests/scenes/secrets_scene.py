# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A deployment with its secrets directory, and the modules that bundle and restore it."""

from __future__ import annotations

import dataclasses
import json
import stat
import typing as t
from pathlib import Path

from scenes import scene as scenes
from scenes.scene import DRILL_HOST, Result, Scene
from scenes.twin_database import TwinCluster
from twin import keys
from twin.releases.known import RELEASES


@dataclasses.dataclass(frozen=True)
class Deployment:
    """`scene` with a secrets directory of `cluster`. Secrets are encrypted for a separate recipient."""

    scene: Scene
    cluster: TwinCluster

    @property
    def directory(self) -> Path:
        return self.scene.root / "secrets"

    @property
    def identity(self) -> Path:
        return self.scene.root / DRILL_HOST / "identity_of_secrets"

    @property
    def recipients(self) -> Path:
        return self.scene.root / "secrets.recipients"

    @property
    def target(self) -> Path:
        return self.scene.root / "restored"

    def sources(self, **given: t.Any) -> dict[str, t.Any]:
        usual = {
            "directory": str(self.directory),
            "recipients_files": [str(self.recipients)],
            "database_recipients_files": [str(self.scene.recipients)],
        }
        return {**usual, **given}

    def bundle(self, set_id: str, reading: int, **given: t.Any) -> Result:
        return self.scene.call("secrets_bundle", set_id=set_id, reading=reading, **self.sources(**given))

    def opened(self) -> str:
        self.scene.call("backup_set", state="open", create_repository=True)
        return self.scene.new_id()

    def dumped(self, **given: t.Any) -> str:
        """Create a set with a first pass over the secrets and a dump."""
        set_id = self.opened()
        self.bundle(set_id, 1, **given)
        self.scene.call("pg_encrypted_dump", set_id=set_id)
        return set_id

    def commit(self, set_id: str) -> None:
        self.scene.call("backup_set", state="committed", set_id=set_id)

    def backup(self, **given: t.Any) -> tuple[str, Result]:
        """Create a committed set; return its ID and the result of its second pass."""
        set_id = self.dumped(**given)
        result = self.bundle(set_id, 2, **given)
        self.commit(set_id)
        return set_id, result

    def restore(self, *, check_mode: bool = False, warn: t.Callable[[str], None] = lambda _text: None, **given: t.Any) -> Result:
        usual = {"directory": str(self.target), "identity_files": [str(self.identity)]}
        return self.scene.call("secrets_restore", check_mode=check_mode, warn=warn, **{**usual, **given})

    def manifest(self, set_id: str) -> dict[str, t.Any]:
        text = (self.scene.repository / "sets" / set_id / "manifest.json").read_text(encoding="utf-8")
        return t.cast("dict[str, t.Any]", json.loads(text))

    def first_ids(self, set_id: str) -> dict[str, str]:
        """Return the IDs of the keys that the first pass found."""
        content = scenes.part_content(self.scene.repository / "sets" / set_id / "parts" / "secrets.1.json")
        return t.cast("dict[str, str]", content["key_ids"])

    def put(self, name: str, content: str | bytes, mode: int = 0o444) -> Path:
        """Write or replace a secret file."""
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return path

    def file(self, name: str, content: str) -> Path:
        """Write a file outside the secrets directory."""
        path = self.scene.root / name
        path.write_text(content, encoding="utf-8")
        return path


def make(root: Path, cluster: TwinCluster) -> Deployment:
    made = Deployment(scenes.make(root, cluster.info.socket_dir), cluster)
    made.recipients.write_text(f"{scenes.new_identity(made.identity)}\n")
    made.directory.mkdir(mode=0o700)
    for name, text in keys.for_seed(cluster.spec.seed).as_files(RELEASES[cluster.spec.release].family).items():
        made.put(name, text)
    return made


def contents(root: Path) -> dict[str, tuple[int, bytes]]:
    """Return mode and bytes of every file below."""
    return {
        str(path.relative_to(root)): (stat.S_IMODE(path.stat().st_mode), path.read_bytes()) for path in root.rglob("*") if path.is_file()
    }
