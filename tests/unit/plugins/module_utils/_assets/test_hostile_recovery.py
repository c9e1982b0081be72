# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""RECOVERY.md of a set with names that attackers chose as commands and Markdown. Its blocks may do only their own work.

The database programs are stand-ins that record their arguments. Decryption and verification are real.
"""

from __future__ import annotations

import datetime
import hashlib
import io
import os
import re
import subprocess
import tarfile
import typing as t
from pathlib import Path

import pyrage
import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._assets import recovery
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.signing import Signer
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import artifact as artifacts
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.artifact import Artifact
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.manifest import Manifest, Pairing, Source
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import compression
from scenes.by_hand import BLOCK
from scenes.scene import new_identity, new_ssh_key
from unit.plugins.module_utils._assets.test_recovery_from_a_bucket import DOWNLOAD

SET = "20261125T020000Z-aaaa"
NOW = datetime.datetime(2026, 11, 25, 2, tzinfo=datetime.timezone.utc)
FENCE = "x\n```\n\n```sh\ntouch pwned\n```\n"
HOSTILE = [FENCE, "$(touch pwned)", "`touch pwned`", "'; touch pwned; '", '"; touch pwned #', "a|touch pwned", "x\r\ny\x1b[2J", "-x"]
STAND_IN = """#!/bin/bash
printf '%s\\0' "${{0##*/}}" "$@" >> {log}
case "$*" in *DBSIZE) echo 0 ;; *ANALYZE) ;; *) cat > /dev/null ;; esac
"""
Members = t.Sequence[tuple[tarfile.TarInfo, bytes]]


class HandMade:
    """A signed set of one database and one replay directory, and a shell that runs the blocks of its text."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.repository = root / "repository"
        (root / "bin").mkdir()
        (root / "restored").mkdir()
        new_ssh_key(root / "key")
        public = (root / "key.pub").read_text(encoding="ascii")
        (root / "allowed_signers").write_text(f"backup@prod {public}", encoding="ascii")
        self.public = pyrage.x25519.Recipient.from_str(new_identity(root / "identity"))
        for name in ("psql", "pg_restore", "redis-cli", "aws"):
            (root / "bin" / name).write_text(STAND_IN.format(log=root / "log"), encoding="utf-8")
            (root / "bin" / name).chmod(0o755)

    def artifact(self, path: str, kind: str, data: bytes, recipient: str = "SHA256:abc", **of: t.Any) -> Artifact:
        sealed = pyrage.encrypt(compression.compress(data), [self.public])
        place = self.repository / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(sealed)
        return Artifact(path, kind, len(sealed), hashlib.sha256(sealed).hexdigest(), "zstd", (recipient,), **of)

    def make(self, name: str = "caracal", members: Members = (), more: t.Sequence[Artifact] = ()) -> str:
        """Sign a set that uses `name` wherever an untrusted party chooses a name, and return its RECOVERY.md."""
        of = {"database": name}
        made = Manifest(
            set_id=SET,
            repository="0" * 32,
            deployment="prod",
            created=NOW,
            previous=None,
            family=name,
            release=name,
            sources=(Source(name, "7412345678901234567", 170010, NOW, "0/16B3748", False),),
            artifacts=(
                self.artifact(layout.dump_key(SET, name), artifacts.DUMP, b"dump", **of),
                self.artifact(layout.schema_key(SET, name), artifacts.SCHEMA, b"schema", **of),
                self.artifact(layout.leaf_key("leaf", "1" * 64, SET), artifacts.LEAF, b"rows", leaf=f"public.{name}", **of),
                self.artifact(layout.inventory_key(SET), artifacts.INVENTORY, b"{}", name),
                self.artifact(layout.secrets_key("0" * 16, SET), artifacts.SECRETS, archive(()), name, source=name),
                self.artifact(layout.replay_key(SET, "sts-1", 1), artifacts.REPLAY, archive(members), name, source=name),
                self.artifact(layout.redis_key(SET, 1), artifacts.REDIS, b"", name, source=name),
                *more,
            ),
            pairing=Pairing("pass", name),
            key_ids={"kek": name},
            tools={name: name},
            left_out={name: name, "replay of gateway": name},
        )
        return self.sign(made, recovery.render(made))

    def sign(self, made: Manifest, text: bytes) -> str:
        manifest = Manifest(**{**vars(made), "artifacts": (*made.artifacts, artifacts.recovery(SET, text))}).to_bytes()
        files = {
            layout.recovery_key(SET): text,
            layout.manifest_key(SET): manifest,
            layout.backup_signature_key(SET): Signer(str(self.root / "key"), "backup@prod").sign(manifest, layout.NAMESPACE_SET),
        }
        for key, data in files.items():
            path = self.repository / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return text.decode()

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        env = {
            "PATH": os.pathsep.join([str(self.root / "bin"), os.environ["PATH"]]),
            "HOME": str(self.root),
            "LC_ALL": "C.UTF-8",
            "REPOSITORY": str(self.repository),
            "ALLOWED_SIGNERS": str(self.root / "allowed_signers"),
            "IDENTITY": str(self.root / "identity"),
            "SECRETS_IDENTITY": str(self.root / "identity"),
            "RESTORED": str(self.root / "restored"),
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "BUCKET": "bucket",
        }
        return subprocess.run(["bash"], input=script, env=env, cwd=self.root, capture_output=True, text=True, check=False, timeout=600)

    def calls(self) -> list[str]:
        """Return the started programs and their arguments."""
        return (self.root / "log").read_bytes().decode().split("\0")

    def pwned(self) -> list[Path]:
        return list(self.root.rglob("pwned"))


def archive(members: Members) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as made:
        for info, data in members:
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return out.getvalue()


def member(name: str, data: bytes = b"", **of: t.Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    for field, value in {"mode": 0o600, **of}.items():
        setattr(info, field, value)
    return info, data


@pytest.fixture
def by_hand(tmp_path: Path) -> HandMade:
    return HandMade(tmp_path)


@pytest.mark.mutation
@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_name_runs_no_command(by_hand: HandMade, name: str) -> None:
    """Names of databases, partitions, sources, tools, reasons and recipients. Each block works, and there are no additional blocks."""
    blocks = BLOCK.findall(by_hand.make(name))
    assert len(blocks) == 8
    done = by_hand.run("\n".join(blocks))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert not by_hand.pwned()
    calls = by_hand.calls()
    assert {"redis-cli", "pg_restore", "psql"} <= {*calls}, "the control: each command was run to its end"
    assert f'COPY "public"."{name.replace(chr(34), chr(34) * 2)}" FROM STDIN' in calls
    assert len([one for one in calls if one == name or name.replace("'", "\\'") in one]) >= 5


@pytest.mark.mutation
@pytest.mark.parametrize("name", [*HOSTILE, "a | b", "[x](http://evil)", "<script>x</script>", "**bold**"], ids=ascii)
def test_hostile_name_is_not_interpreted_as_markdown(by_hand: HandMade, name: str) -> None:
    """There are as many headings, fences and lists as with a harmless name, and Markdown characters of a name are escaped."""
    text, plain = by_hand.make(name), by_hand.make("plain")
    assert text.isascii() and [line for line in text.split("\n") if not line.isprintable()] == []
    assert [line[:3] for line in text.split("\n") if line[:3] in ("```", "## ", "- `")] == [
        line[:3] for line in plain.split("\n") if line[:3] in ("```", "## ", "- `")
    ]
    sentence = text[text.index("Not in this set") :]
    assert not re.search(r"(?<!\\)[`*<>|\[\]]", sentence)


@pytest.mark.no_false_alarm
def test_recovery_restores_plain_files_without_setuid(by_hand: HandMade) -> None:
    members = [member("pending-1.ndjson", b"one\n"), member("incomplete/pending-2.ndjson", b"tw", mode=0o4755)]
    done = by_hand.run("\n".join(BLOCK.findall(by_hand.make(members=members))))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    found = {path.name: path for path in (by_hand.root / "restored" / "replay" / "sts-1").rglob("*.ndjson")}
    assert {name: path.read_bytes() for name, path in found.items()} == {"pending-1.ndjson": b"one\n", "pending-2.ndjson": b"tw"}
    assert found["pending-1.ndjson"].stat().st_mode & 0o7777 == 0o600
    assert found["pending-2.ndjson"].stat().st_mode & 0o7000 == 0


@pytest.mark.mutation
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_archive_member_that_is_not_a_plain_file_is_not_extracted(by_hand: HandMade, kind: bytes) -> None:
    members = [member("pending-1.ndjson", b"one\n"), member("odd", type=kind, linkname="pending-1.ndjson", devmajor=1, devminor=3)]
    done = by_hand.run("\n".join(BLOCK.findall(by_hand.make(members=members))))
    assert done.returncode != 0 and "odd" in done.stderr
    assert [path for path in (by_hand.root / "restored").rglob("*") if not path.is_dir()] == []


@pytest.mark.mutation
def test_download_refuses_name_from_unsigned_text(by_hand: HandMade) -> None:
    """An attacker with write access to the bucket has added a line to RECOVERY.md."""
    [download] = DOWNLOAD.findall(by_hand.make())
    text = by_hand.repository / layout.recovery_key(SET)
    text.write_text(f"{text.read_text(encoding='utf-8')}\n{'0' * 64}  ../elsewhere/authorized_keys\n", encoding="utf-8")
    done = by_hand.run(download)
    assert done.returncode != 0 and "signed manifest" in done.stderr, done.stderr
    assert not (by_hand.root / "elsewhere").exists()
    assert not [one for one in by_hand.calls() if "elsewhere" in one]


@pytest.mark.no_false_alarm
def test_download_requests_every_signed_file(by_hand: HandMade) -> None:
    [download] = DOWNLOAD.findall(by_hand.make())
    done = by_hand.run(download)
    assert done.returncode == 0, done.stderr
    calls = by_hand.calls()
    files = [str(path.relative_to(by_hand.repository)) for path in by_hand.repository.rglob("*") if path.is_file()]
    assert len(files) == 10 and all(one in calls for one in files)
