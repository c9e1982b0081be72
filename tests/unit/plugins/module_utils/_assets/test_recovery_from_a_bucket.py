# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The step of RECOVERY.md that downloads a set, unchanged. `aws` is a stand-in, so tests do not need the tool."""

from __future__ import annotations

import os
import re
import subprocess
import uuid
from pathlib import Path

import pytest

from scenes import aws_stand_in
from scenes.by_hand import BLOCK
from scenes.s3_server import S3Server
from scenes.scene import Scene

DOWNLOAD = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text_of(scene: Scene) -> str:
    return (scene.repository / "sets" / scene.sets()[-1] / "RECOVERY.md").read_text(encoding="utf-8")


def upload(scene: Scene, s3: S3Server, prefix: str) -> list[str]:
    """Upload the whole repository to a bucket and return its keys."""
    found = [str(path.relative_to(scene.repository)) for path in scene.repository.rglob("*") if path.is_file()]
    for key in found:
        s3.client.put_object(Bucket=s3.shared, Key=prefix + key, Body=(scene.repository / key).read_bytes())
    return found


def downloaded(scene: Scene, s3: S3Server, prefix: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the download and, in the same shell, the first two steps of the text, which verify the downloaded files."""
    (folder / "bin").mkdir()
    env = {
        "PATH": os.pathsep.join([str(folder / "bin"), os.environ["PATH"]]),
        "HOME": str(folder),
        "BUCKET": s3.shared,
        "PREFIX": prefix,
        "REPOSITORY": str(folder / "repository"),
        "ALLOWED_SIGNERS": str(scene.root / "allowed_signers"),
        "IDENTITY": str(scene.identity),
    }
    text = text_of(scene)
    script = "\n".join([*DOWNLOAD.findall(text), *BLOCK.findall(text)[:2]])
    with aws_stand_in.start(s3.client, folder / "bin"):
        return subprocess.run(["bash"], input=script, env=env, cwd=folder, capture_output=True, text=True, check=False, timeout=600)


@pytest.mark.no_false_alarm
def test_downloaded_set_matches_the_signed_set(scene: Scene, s3: S3Server, tmp_path: Path) -> None:
    prefix = f"{uuid.uuid4().hex}/"
    keys = upload(scene, s3, prefix)
    done = downloaded(scene, s3, prefix, tmp_path)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    came = {str(path.relative_to(tmp_path / "repository")) for path in (tmp_path / "repository").rglob("*") if path.is_file()}
    first, newest = scene.sets()
    assert came < set(keys) and {key for key in keys if key.startswith(f"sets/{newest}/")} <= came
    assert not [key for key in came if key.startswith(f"sets/{first}/")]
    assert all((tmp_path / "repository" / key).read_bytes() == (scene.repository / key).read_bytes() for key in came)


@pytest.mark.mutation
def test_download_ignores_newer_object_versions(scene: Scene, s3: S3Server, tmp_path: Path) -> None:
    """This includes a newer version of the commands themselves."""
    prefix = f"{uuid.uuid4().hex}/"
    keys = [key for key in upload(scene, s3, prefix) if scene.sets()[-1] in key]
    for number, key in enumerate(keys):
        if number % 2 or key.endswith(".md"):
            s3.client.put_object(Bucket=s3.shared, Key=prefix + key, Body=b"of somebody else")
        else:
            s3.client.delete_object(Bucket=s3.shared, Key=prefix + key)
    done = downloaded(scene, s3, prefix, tmp_path)
    assert done.returncode == 0 and done.stderr == "", done.stderr


@pytest.mark.mutation
def test_missing_object_ends_the_download(scene: Scene, s3: S3Server, tmp_path: Path) -> None:
    prefix = f"{uuid.uuid4().hex}/"
    gone = next(key for key in upload(scene, s3, prefix) if scene.sets()[-1] in key and key.endswith("inventory.json.zst.age"))
    for one in s3.client.list_object_versions(Bucket=s3.shared, Prefix=prefix + gone)["Versions"]:
        s3.client.delete_object(Bucket=s3.shared, Key=one["Key"], VersionId=one["VersionId"])
    done = downloaded(scene, s3, prefix, tmp_path)
    assert done.returncode != 0 and f"{gone} is not in the bucket" in done.stderr
    assert not (tmp_path / "repository" / gone).exists()


def test_only_one_recovery_block_needs_a_bucket(scene: Scene) -> None:
    """All other blocks do not depend on a bucket."""
    text = text_of(scene)
    assert len(DOWNLOAD.findall(text)) == 1 and not [block for block in BLOCK.findall(text) if "aws" in block.split()]
