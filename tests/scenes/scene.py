# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A repository, the keys of three hosts, and the use cases called like their modules call them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import typing as t
from pathlib import Path

import pyrage
import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.databases import pg_encrypted_dump as dump_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.databases import pg_encrypted_restore as restore_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.images import image_archive as image_archive_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.replay import replay_volume_archive as replay_archive_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.replay import replay_volume_restore as replay_restore_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.secrets import secrets_bundle as secrets_bundle_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.secrets import secrets_restore as secrets_restore_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.streams import redis_stream_restore as redis_restore_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.streams import redis_stream_snapshot as redis_snapshot_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._audit.chains import audit_chain_verify as audit_chain_verify_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._audit.chains import audit_checkpoint as audit_checkpoint_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._audit.exports import audit_export_archive as audit_export_archive_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._audit.exports import audit_export_verify as audit_export_verify_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._checks import migration_verify as migration_verify_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._checks import retention_verify as retention_verify_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._checks import rollback_info as rollback_info_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._checks import state_verify as state_verify_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import strict_json
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.signing import Signer
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access, sealed_set
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import RepositoryOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._restore import audit_partition_ensure as audit_partition_ensure_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._restore import outbox_reopen as outbox_reopen_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._restore import restore_preflight as restore_preflight_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._restore import restore_verify as restore_verify_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._sets import backup_hold as backup_hold_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._sets import backup_preflight as backup_preflight_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._sets import backup_prune as backup_prune_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._sets import backup_set as backup_set_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._sets import backup_set_info as backup_set_info_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._sets import backup_set_verify as backup_set_verify_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._sets import escrow_verify as escrow_verify_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._sets import journal_correct as journal_correct_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._sets import repository_copy as repository_copy_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._sets import repository_verify as repository_verify_case
from ansible_collections.caracal_ops.backup.plugins.modules import (
    audit_chain_verify,
    audit_checkpoint,
    audit_export_archive,
    audit_export_verify,
    audit_partition_ensure,
    backup_hold,
    backup_preflight,
    backup_prune,
    backup_set,
    backup_set_info,
    backup_set_verify,
    escrow_verify,
    image_archive,
    journal_correct,
    migration_verify,
    outbox_reopen,
    pg_encrypted_dump,
    pg_encrypted_restore,
    redis_stream_restore,
    redis_stream_snapshot,
    replay_volume_archive,
    replay_volume_restore,
    repository_copy,
    repository_verify,
    restore_preflight,
    restore_verify,
    retention_verify,
    rollback_info,
    secrets_bundle,
    secrets_restore,
    state_verify,
)

DEPLOYMENT = "prod"
BACKUP_HOST, DRILL_HOST, OPERATOR_HOST, PRUNE_HOST = "backup", "drill", "operator", "prune"
HOSTS = (BACKUP_HOST, DRILL_HOST, OPERATOR_HOST, PRUNE_HOST)
Result = dict[str, t.Any]
# Fields in which a restore differs from its prediction: it takes time, and adds a journal entry.
ENTERED = {"seconds": 0, "journal_head": ""}

# Module, its use case, and the host on which it runs.
MODULES: dict[str, tuple[t.Any, t.Any, str]] = {
    "audit_chain_verify": (audit_chain_verify, audit_chain_verify_case, BACKUP_HOST),
    "audit_checkpoint": (audit_checkpoint, audit_checkpoint_case, BACKUP_HOST),
    "audit_export_archive": (audit_export_archive, audit_export_archive_case, BACKUP_HOST),
    "audit_export_verify": (audit_export_verify, audit_export_verify_case, BACKUP_HOST),
    "audit_partition_ensure": (audit_partition_ensure, audit_partition_ensure_case, DRILL_HOST),
    "backup_hold": (backup_hold, backup_hold_case, OPERATOR_HOST),
    "backup_preflight": (backup_preflight, backup_preflight_case, BACKUP_HOST),
    "backup_prune": (backup_prune, backup_prune_case, PRUNE_HOST),
    "backup_set": (backup_set, backup_set_case, BACKUP_HOST),
    "backup_set_info": (backup_set_info, backup_set_info_case, DRILL_HOST),
    "backup_set_verify": (backup_set_verify, backup_set_verify_case, BACKUP_HOST),
    "escrow_verify": (escrow_verify, escrow_verify_case, OPERATOR_HOST),
    "image_archive": (image_archive, image_archive_case, BACKUP_HOST),
    "journal_correct": (journal_correct, journal_correct_case, OPERATOR_HOST),
    "migration_verify": (migration_verify, migration_verify_case, DRILL_HOST),
    "outbox_reopen": (outbox_reopen, outbox_reopen_case, DRILL_HOST),
    "pg_encrypted_dump": (pg_encrypted_dump, dump_case, BACKUP_HOST),
    "pg_encrypted_restore": (pg_encrypted_restore, restore_case, DRILL_HOST),
    "redis_stream_restore": (redis_stream_restore, redis_restore_case, OPERATOR_HOST),
    "redis_stream_snapshot": (redis_stream_snapshot, redis_snapshot_case, BACKUP_HOST),
    "repository_copy": (repository_copy, repository_copy_case, OPERATOR_HOST),
    "repository_verify": (repository_verify, repository_verify_case, DRILL_HOST),
    "restore_preflight": (restore_preflight, restore_preflight_case, OPERATOR_HOST),
    "restore_verify": (restore_verify, restore_verify_case, OPERATOR_HOST),
    "retention_verify": (retention_verify, retention_verify_case, DRILL_HOST),
    "rollback_info": (rollback_info, rollback_info_case, DRILL_HOST),
    "replay_volume_archive": (replay_volume_archive, replay_archive_case, BACKUP_HOST),
    "replay_volume_restore": (replay_volume_restore, replay_restore_case, OPERATOR_HOST),
    "secrets_bundle": (secrets_bundle, secrets_bundle_case, BACKUP_HOST),
    "secrets_restore": (secrets_restore, secrets_restore_case, OPERATOR_HOST),
    "state_verify": (state_verify, state_verify_case, DRILL_HOST),
}


@dataclasses.dataclass(frozen=True)
class Scene:
    """Folders below `root`: one for each host, and the repository. `socket` is the source's."""

    root: Path
    socket: str

    @property
    def repository(self) -> Path:
        return self.root / "repository"

    def key(self, host: str) -> Path:
        return self.root / host / "signing_key"

    @property
    def identity(self) -> Path:
        return self.root / DRILL_HOST / "identity"

    @property
    def recipients(self) -> Path:
        return self.root / BACKUP_HOST / "recipients"

    def mark(self, host: str) -> Path:
        return self.root / host / "high_water_mark"

    def copy(self, root: Path, socket: str | None = None) -> Scene:
        """Return a scene with copied folders."""
        shutil.copytree(self.root, root, symlinks=True)
        return Scene(root, socket or self.socket)

    def given(self, name: str, **own: t.Any) -> dict[str, t.Any]:
        """Return options of a module as a user writes them: the usual ones, and `own` ones."""
        module, _case, host = MODULES[name]
        usual = {option: value for option, value in self._usual(host).items() if option in module.Options.spec()}
        if own.get("sandbox") or own.get("login_host"):
            usual.pop("login_unix_socket", None)
        if own.get("stage"):  # the host has no repository and no signing key
            usual = {option: value for option, value in usual.items() if option == "recipients_files"}
        return {**usual, **own}

    def options(self, name: str, **own: t.Any) -> t.Any:
        """Return options as the use case gets them, defaults included. Raises OptionError for options that the module would refuse."""
        return complete(MODULES[name][0].Options, self.given(name, **own))

    def access(self, **own: t.Any) -> RepositoryOptions:
        """Return the drill host's access to the repository."""
        found: RepositoryOptions = self.options("backup_set_verify", **own).access
        return found

    def _usual(self, host: str) -> dict[str, t.Any]:
        usual = {
            "repository": str(self.repository),
            "deployment": DEPLOYMENT,
            "allowed_signers": str(self.root / "allowed_signers"),
            "high_water_mark": str(self.mark(host)),
            "login_unix_socket": self.socket,
        }
        if host == BACKUP_HOST:
            return {**usual, "signing_key": str(self.key(host)), "recipients_files": [str(self.recipients)]}
        signing = {"signing_key": str(self.key(host))} if host in (OPERATOR_HOST, PRUNE_HOST) else {}
        return {**usual, **signing, "identity_files": [str(self.identity)]}

    def call(self, name: str, *, check_mode: bool = False, warn: t.Callable[[str], None] = lambda _text: None, **given: t.Any) -> Result:
        """Call the use case of module `name`."""
        result: Result = MODULES[name][1].run(Invocation(self.options(name, **given), check_mode, warn))
        return result

    def refused(self, name: str, kind: type[BackupError], *words: str, check_mode: bool | None = None, **given: t.Any) -> str:
        """Check that the use case raises exactly `kind`, in one line with `words`, without a secret, and does not change the repository.

        This is checked with and without check mode, unless `check_mode` selects one.
        """
        before, message = tree(self.root), ""
        for mode in (True, False) if check_mode is None else (check_mode,):
            with pytest.raises(BackupError) as raised:
                self.call(name, check_mode=mode, **given)
            message = raised.value.msg
            self.is_clean(message + json.dumps(raised.value.details))
            assert raised.type is kind, message
            assert "\n" not in message and len(message) < 1000
            assert not [word for word in words if word not in message], message
            assert tree(self.root) == before
        return message

    def is_clean(self, text: str) -> None:
        """Check that no private key, identity or password of this scene is in `text`."""
        assert not [secret for secret in self.secrets() if secret in text]

    def secrets(self) -> list[str]:
        """Return the lines of every private file. Passwords are in files named `*password*`."""
        private = [path for host in HOSTS for path in (self.root / host).iterdir()]
        texts = [path.read_text(errors="replace") for path in private if is_private(path)]
        return [line for text in texts for line in text.split("\n") if line and not line.startswith("-----")]

    def backup(self, **given: t.Any) -> Result:
        """Create a whole set: open, dump, commit; return the result of the dump."""
        self.call("backup_set", state="open", create_repository=True)
        set_id = given.pop("set_id", None) or self.new_id()
        result = self.call("pg_encrypted_dump", set_id=set_id, **given)
        self.call("backup_set", state="committed", set_id=set_id, left_out={"secrets": "not part of this test"})
        return result

    def new_id(self) -> str:
        """Return an unused set ID."""
        return str(self.call("backup_set", state="open")["set_id"])

    def sets(self) -> list[str]:
        """Return the committed sets."""
        opened = access.open_repository(self.access())
        return [one.set_id for one in opened.catalog.sets()]

    def inventory(self, set_id: str = "latest") -> dict[str, t.Any]:
        """Return the decrypted inventory of a set."""
        opened = access.open_repository(self.access())
        return sealed_set.SealedSet(opened, set_id, [str(self.identity)]).inventory()

    def files(self, pattern: str = "**/*") -> list[str]:
        """Return the files of the repository, relative to it, with hidden ones."""
        return sorted(str(path.relative_to(self.repository)) for path in self.repository.glob(pattern) if path.is_file())


def is_private(path: Path) -> bool:
    return path.is_file() and (path.name in ("identity", "signing_key") or "password" in path.name)


def tree(root: Path) -> dict[str, tuple[int, int, str]]:
    """Return path → mode, modification time and content's digest, of all files and folders below `root`."""
    found = {}
    for path in [root, *root.rglob("*")]:
        about = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path.relative_to(root))] = (about.st_mode, about.st_mtime_ns, content)
    return found


def outside(found: dict[str, tuple[int, int, str]], folder: str) -> dict[str, tuple[int, int, str]]:
    """Return a tree without one of its folders."""
    return {path: one for path, one in found.items() if path != folder}


def make(root: Path, socket: str) -> Scene:
    """Create a scene with keys of all hosts, without a repository."""
    scene = Scene(root, socket)
    root.mkdir(mode=0o700)
    signers = []
    for host in HOSTS:
        (root / host).mkdir(mode=0o700)
        new_ssh_key(scene.key(host))
        signers.append(f"{host}@{DEPLOYMENT} {scene.key(host).with_suffix('.pub').read_text()}")
    (root / "allowed_signers").write_text("".join(signers))
    scene.recipients.write_text(f"{new_identity(scene.identity)}\n")
    return scene


def new_ssh_key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)


def new_identity(path: Path) -> str:
    """Write an age identity; return its public recipient."""
    identity = pyrage.x25519.Identity.generate()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
        out.write(f"{identity}\n")
    return str(identity.to_public())


def part_content(path: Path) -> Result:
    """Return the content of a part of an open set."""
    document = json.loads(path.read_bytes())
    content: Result = json.loads(document["part"])["content"]
    return content


def rewrite_parts(scene: Scene, set_id: str, change: t.Callable[[str, Result], object]) -> None:
    """Change the parts of an open set and sign them as the backup host, as after a fault of it or with its stolen key.

    `change` gets name and content of each part.
    """
    signer = Signer(str(scene.key(BACKUP_HOST)), f"backup@{DEPLOYMENT}")
    for path in sorted((scene.repository / "sets" / set_id / "parts").iterdir()):
        part = json.loads(json.loads(path.read_bytes())["part"])
        change(part["name"], part["content"])
        data = strict_json.dumps({**part, "earlier": {}})
        signature = signer.sign(data, layout.NAMESPACE_PART).decode()
        path.chmod(0o600)
        path.write_bytes(strict_json.dumps({"type": "signed-set-part", "format": 1, "part": data.decode(), "signature": signature}))
