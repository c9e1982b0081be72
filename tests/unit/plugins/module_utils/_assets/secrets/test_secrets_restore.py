# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets restored into empty, partly filled or foreign directories. Also altered sets, killed restores, and manual restores."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import secrets
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    BackupError,
    OptionError,
    StorageError,
    TamperedData,
    TargetRefused,
    WrongIdentity,
)
from scenes import secrets_scene
from scenes.scene import ENTERED, rewrite_parts
from scenes.secrets_scene import Deployment, contents
from scenes.twin_database import TwinCluster

OTHER = "0f" + "c3" * 31
KILLS = 12


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory, caracal_database: TwinCluster) -> tuple[Deployment, str]:
    made = secrets_scene.make(tmp_path_factory.mktemp("secrets") / "scene", caracal_database)
    made.put("allowlist/operatorAllowlist.json", "{}\n")
    made.file("caracal.env", "STS_ADMIN_TOKEN=token\n").chmod(0o640)
    (made.scene.root / "ca.pem").write_text("certificate")
    set_id, _result = made.backup(
        environment_file=str(made.scene.root / "caracal.env"),
        extra_files=[str(made.scene.root / "ca.pem")],
        retired_audit_keys=[str(made.file("retired", "1d" + "e7" * 31))],
    )
    return made, set_id


@pytest.fixture
def made(made_once: tuple[Deployment, str], tmp_path: Path) -> Deployment:
    """Return a copy of a deployment with one set that contains everything that a bundle can contain."""
    return Deployment(made_once[0].scene.copy(tmp_path / "scene"), made_once[0].cluster)


def refused(made: Deployment, kind: type[BackupError], *words: str, check_mode: bool | None = None, **given: t.Any) -> str:
    usual = {"directory": str(made.target), "identity_files": [str(made.identity)]}
    return made.scene.refused("secrets_restore", kind, *words, check_mode=check_mode, **{**usual, **given})


# ---- targets


@pytest.mark.no_false_alarm
def test_reports_files_without_a_target(made: Deployment) -> None:
    result = made.restore()
    assert result["not_restored"] == ["environment/caracal.env", "extra/ca.pem", "retired/001.audit_hmac_key"]
    root = made.scene.root
    everything = {
        "environment_file": str(root / "new.env"),
        "extra_directory": str(root / "extra"),
        "retired_directory": str(root / "retired.keys"),
    }
    result = made.restore(**everything)
    assert result["not_restored"] == [] and len(result["written"]) == 3 and len(result["unchanged"]) == 14
    assert contents(root / "extra") == {"ca.pem": (0o644, b"certificate")}
    assert contents(root / "retired.keys") == {"001.audit_hmac_key": (0o444, (root / "retired").read_bytes())}
    assert (root / "new.env").read_text() == "STS_ADMIN_TOKEN=token\n" and stat.S_IMODE((root / "new.env").stat().st_mode) == 0o600
    assert not made.restore(**everything)["changed"]


def test_extra_files_are_restored_into_separate_directories(made: Deployment) -> None:
    """A Compose project mounts them like this, each from its own directory."""
    own = made.scene.root / "project" / "ca"
    own.mkdir(parents=True)
    result = made.restore(extra_directories={"ca.pem": str(own), "enabled": "/nowhere"}, extra_directory=str(made.scene.root / "extra"))
    assert "extra/ca.pem" in result["written"] and contents(own) == {"ca.pem": (0o644, b"certificate")}
    assert not (made.scene.root / "extra").exists()


@pytest.mark.no_false_alarm
def test_completes_a_partly_filled_directory(made: Deployment) -> None:
    made.restore()
    (made.target / "secretStoreKek").unlink()
    (made.target / "auditHmacKey").chmod(0o644)
    made.target.chmod(0o755)
    predicted = made.restore(check_mode=True)
    assert (predicted["written"], predicted["adjusted"]) == (["secrets/secretStoreKek"], ["secrets/auditHmacKey"])
    assert not (made.target / "secretStoreKek").exists()
    result = made.restore()
    assert {**result, **ENTERED} == {**predicted, **ENTERED} and len(result["unchanged"]) == 12
    assert contents(made.target) == contents(made.directory) and stat.S_IMODE(made.target.stat().st_mode) == 0o700
    made.target.chmod(0o755)
    assert made.restore()["changed"] and not made.restore()["changed"]


def test_other_secrets_are_never_overwritten_silently(made: Deployment) -> None:
    made.target.mkdir(mode=0o700)
    for name in ("secretStoreKek", "auditHmacKey"):
        (made.target / name).write_text(OTHER)
        (made.target / name).chmod(0o400)
    (made.target / "mine").write_text("stays")
    message = refused(made, TargetRefused, f"{made.target}/auditHmacKey, {made.target}/secretStoreKek", "set replace")
    assert OTHER not in message
    warned: list[str] = []
    predicted = made.restore(check_mode=True, replace=True)
    assert predicted["replaced"] == ["secrets/auditHmacKey", "secrets/secretStoreKek"] and not Path(predicted["safety_copy"]).exists()
    result = made.restore(replace=True, warn=warned.append)
    assert result["replaced"] == predicted["replaced"] and result["foreign"] == ["mine"] and "mine" in warned[0]
    assert {**contents(made.directory), "mine": (0o644, b"stays")} == contents(made.target)
    safety = Path(result["safety_copy"])
    assert contents(safety) == {name: (0o400, OTHER.encode()) for name in result["replaced"]}
    assert stat.S_IMODE(safety.stat().st_mode) == 0o700 and safety.name.startswith("restored.replaced-")


@pytest.mark.parametrize("what", ["link", "directory", "linked folder"])
def test_refuses_links_and_directories_instead_of_files(made: Deployment, what: str) -> None:
    made.target.mkdir()
    if what == "link":
        (made.target / "secretStoreKek").symlink_to(made.scene.root / "ca.pem")
    elif what == "directory":
        (made.target / "secretStoreKek").mkdir()
    else:
        (made.target / "allowlist").symlink_to(made.scene.root)
    refused(made, TargetRefused, str(made.target), "restore elsewhere", replace=True)


# ---- directories without a file


def with_folders(tmp_path: Path, database: TwinCluster) -> Deployment:
    """Return a deployment as left by the installer: `allowlist` and `console` are empty."""
    made = secrets_scene.make(tmp_path / "installed", database)
    for name, mode in (("allowlist", 0o755), ("console", 0o750)):
        (made.directory / name).mkdir()
        (made.directory / name).chmod(mode)
    return made


def modes(made: Deployment) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in made.target.iterdir() if path.is_dir()}


@pytest.mark.no_false_alarm
def test_restores_empty_folders(tmp_path: Path, caracal_database: TwinCluster) -> None:
    made = with_folders(tmp_path, caracal_database)
    _set_id, bundled = made.backup()
    both = ["folders/allowlist", "folders/console"]
    assert [name for name in bundled["names"] if name.startswith("folders/")] == both
    predicted = made.restore(check_mode=True)
    assert not made.target.exists()
    before = os.umask(0o077)
    try:
        result = made.restore()
    finally:
        os.umask(before)
    assert {**result, **ENTERED} == {**predicted, **ENTERED} and set(both) <= set(result["written"])
    assert modes(made) == {"allowlist": 0o755, "console": 0o750} and result["not_restored"] == []
    again = made.restore()
    assert not again["changed"] and set(both) <= set(again["unchanged"])
    (made.target / "allowlist").chmod(0o700)
    (made.target / "console").rmdir()
    mended = made.restore()
    assert (mended["adjusted"], mended["written"]) == (both[:1], both[1:])
    assert modes(made) == {"allowlist": 0o755, "console": 0o750}


def test_new_or_filled_folder_changes_the_state(tmp_path: Path, caracal_database: TwinCluster) -> None:
    """The next set must not use an earlier object that does not have the directory."""
    made = secrets_scene.make(tmp_path / "installed", caracal_database)
    _first, before = made.backup()
    (made.directory / "console").mkdir()
    _second, after = made.backup()
    made.put("console/smtpUrl", "smtp://mail")
    _third, filled = made.backup()
    assert len({before["key_set"], after["key_set"], filled["key_set"]}) == 3
    assert "folders/console" in after["names"] and "folders/console" not in filled["names"]


@pytest.mark.mutation
@pytest.mark.parametrize("what", ["link", "file"])
def test_refuses_links_and_files_instead_of_folders(tmp_path: Path, caracal_database: TwinCluster, what: str) -> None:
    made = with_folders(tmp_path, caracal_database)
    made.backup()
    made.target.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    if what == "link":
        (made.target / "console").symlink_to(elsewhere)
    else:
        (made.target / "console").write_text("mine")
    refused(made, TargetRefused, f"{made.target}/console", replace=True)
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o700 and not (made.target / "secretStoreKek").exists()


@pytest.mark.mutation
def test_a_bundle_does_not_choose_which_folders_are_made(
    tmp_path: Path, caracal_database: TwinCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = with_folders(tmp_path, caracal_database)
    for name in ("allowlist", "console"):
        (made.directory / name).chmod(0o777)
    (made.directory / "cron.d").mkdir()
    monkeypatch.setattr(secrets, "FOLDERS", ("allowlist", "console", "cron.d"))
    made.backup()
    monkeypatch.undo()
    result = made.restore()
    assert result["not_restored"] == ["folders/cron.d"]
    assert modes(made) == {"allowlist": 0o775, "console": 0o775}


def test_options_that_cannot_work_are_refused(made: Deployment) -> None:
    refused(made, OptionError, "owner or group", owner="nobody-of-that-name")
    refused(made, StorageError, "cannot create", directory=str(made.scene.root / "a" / "b"))
    refused(made, StorageError, "cannot create", directory=str(made.scene.root / "ca.pem"))
    refused(made, OptionError, "has no state 'abc'", key_set="abc")
    refused(made, WrongIdentity, ".tar.zst.age: ", identity_files=[str(made.scene.identity)])


def test_sets_the_requested_owner_and_modes_of_the_product(made: Deployment) -> None:
    mine = str(os.getuid())
    made.restore(owner=mine, group=str(os.getgid()))
    assert {mode for mode, _content in contents(made.target).values()} == {0o444}
    assert stat.S_IMODE(made.target.stat().st_mode) == 0o700
    assert not made.restore(owner=mine)["changed"]


# ---- sets


def test_refuses_a_set_without_secrets(made: Deployment) -> None:
    set_id = made.opened()
    made.scene.call("pg_encrypted_dump", set_id=set_id)
    made.commit(set_id)
    refused(made, OptionError, f"set {set_id} contains no secrets")
    assert made.restore(set_id=made.scene.sets()[0])["changed"]


@pytest.mark.mutation
@pytest.mark.parametrize("damage", ["flipped", "shorter", "swapped"])
def test_an_altered_object_is_refused_before_the_first_write(made: Deployment, damage: str) -> None:
    (name,) = made.scene.files("objects/secrets/*")
    path = made.scene.repository / name
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[-20] ^= 1
    elif damage == "shorter":
        del data[-1]
    else:
        made.put("metricsBearer", "x")
        made.bundle(made.opened(), 1)
        (other,) = set(made.scene.files("objects/secrets/*")) - {name}
        data = bytearray((made.scene.repository / other).read_bytes())
    path.chmod(0o600)
    path.write_bytes(bytes(data))
    refused(made, TamperedData, name)
    assert not made.target.exists()


@pytest.mark.mutation
@pytest.mark.parametrize("key", ["kek", "audit_hmac_key"])
def test_keys_other_than_the_manifest_names_are_refused(made: Deployment, key: str) -> None:
    set_id = made.dumped()
    made.bundle(set_id, 2)

    def change(name: str, content: dict[str, t.Any]) -> None:
        if name.startswith("secrets."):
            content["key_ids"][key] = "00" * 8

    rewrite_parts(made.scene, set_id, change)
    made.commit(set_id)
    refused(made, TamperedData, f"contains {key}", "which the manifest does not list", set_id=set_id)


# ---- failures


def test_killed_restore_keeps_each_file_whole(made: Deployment) -> None:
    made.restore()
    for path in made.target.iterdir():
        if path.is_file():
            path.chmod(0o600)
            path.write_text(OTHER)
    old = contents(made.target)
    new = contents(made.directory)
    dice, killed = random.Random(7), 0
    for _number in range(KILLS):
        killed += killed_restore(made, dice.random() * 0.02)
        now = {name: one for name, one in contents(made.target).items() if ".caracal-ops-" not in name}
        assert now.keys() == new.keys()
        assert all(now[name] in (old[name], new[name]) for name in new)
    assert killed
    copies = [contents(path) for path in made.scene.root.glob("restored.replaced-*")]
    saved = [one for copy in copies for name, one in copy.items() if ".caracal-ops-" not in name]
    made.restore(replace=True)
    assert contents(made.target) == new
    assert saved and all(content == OTHER.encode() for _mode, content in saved)


RUN = """
import json, sys
from pathlib import Path
from scenes import secrets_scene
from scenes.scene import Scene
root, options = sys.argv[1], json.loads(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
Scene(Path(root), "").call("secrets_restore", **options)
print("done", flush=True)
"""


def killed_restore(made: Deployment, after: float) -> bool:
    """Kill a restore and return whether it was killed before its end. The delay starts when the restore has read the set."""
    given = {"directory": str(made.target), "identity_files": [str(made.identity)], "replace": True}
    command = [sys.executable, "-c", RUN, str(made.scene.root), json.dumps(given)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as process:
        assert process.stdin and process.stdout and process.stdout.readline() == b"ready\n"
        process.stdin.write(b"go\n")
        process.stdin.flush()
        before = set(made.scene.root.glob("restored.replaced-*"))
        while process.poll() is None and set(made.scene.root.glob("restored.replaced-*")) == before:
            pass
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        return process.stdout.readline() != b"done\n"


def test_secrets_object_can_be_extracted_with_age_zstd_and_tar(made: Deployment) -> None:
    """Without our software: the object is age, zstd and tar."""
    (name,) = made.scene.files("objects/secrets/*")
    script = """
        set -euo pipefail
        umask 077
        mkdir "$TARGET"
        age --decrypt --identity "$IDENTITY" "$REPOSITORY/$OBJECT" | zstd --decompress --stdout | tar --extract --directory "$TARGET"
        ls -A "$TARGET/secrets"
    """
    env = {
        **{"PATH": os.environ["PATH"], "REPOSITORY": str(made.scene.repository), "OBJECT": name},
        **{"IDENTITY": str(made.identity), "TARGET": str(made.scene.root / "hand")},
    }
    done = subprocess.run(["bash"], input=script, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == sorted(os.listdir(made.directory))
    hand = made.scene.root / "hand"
    found = {name: content for name, (_mode, content) in contents(hand / "secrets").items()}
    assert found == {name: content for name, (_mode, content) in contents(made.directory).items()}
    assert json.loads((hand / "index.json").read_text())["family"] == "secret_store"
