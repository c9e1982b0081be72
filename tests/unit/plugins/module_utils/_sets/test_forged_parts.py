# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An attacker with write access to the store, but without a key, acts between the modules of a set and its commit."""

from __future__ import annotations

import hashlib
import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import strict_json
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.signing import Signer
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import TamperedData
from scenes.replay_folders import event, folder
from scenes.scene import Scene, new_ssh_key, rewrite_parts
from unit.plugins.module_utils._assets.replay.test_replay_volumes import A, open_id

Document = dict[str, t.Any]


def part_path(scene: Scene, name: str = "postgres") -> Path:
    return scene.repository / "sets" / open_id(scene) / "parts" / f"{name}.json"


def document(path: Path) -> Document:
    found: Document = json.loads(path.read_bytes())
    return json.loads(found["part"]) if "part" in found else found


def forge(scene: Scene, part: Document) -> None:
    """Replace a dump by one of the same size, recorded as valid and decryptable with the set's secrets."""
    one = next(one for one in part["content"]["artifacts"] if one["kind"] == "dump")
    path = scene.repository / one["path"]
    path.chmod(0o600)
    path.write_bytes(b"x" * one["size"])
    one["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    part["content"]["pairing"] = {"verdict": "pass", "message": "proved"}


def plain(_scene: Scene, part: Document, _path: Path) -> Document:
    return {name: value for name, value in part.items() if name != "earlier"}


def another_key(scene: Scene, part: Document, _path: Path) -> Document:
    new_ssh_key(scene.root / "stranger")
    data = strict_json.dumps(part)
    signature = Signer(str(scene.root / "stranger"), "backup@prod").sign(data, "part@caracal-ops")
    return {"type": "signed-set-part", "format": 1, "part": data.decode(), "signature": signature.decode()}


def another_purpose(scene: Scene, part: Document, _path: Path) -> Document:
    """A signature for another purpose does not make a part valid."""
    data = strict_json.dumps(part)
    signature = Signer(str(scene.key("backup")), "backup@prod").sign(data, "set@caracal-ops")
    return {"type": "signed-set-part", "format": 1, "part": data.decode(), "signature": signature.decode()}


def old_signature(_scene: Scene, part: Document, path: Path) -> Document:
    return {**json.loads(path.read_bytes()), "part": strict_json.dumps(part).decode()}


@pytest.mark.mutation
@pytest.mark.parametrize("wrap", [plain, another_key, another_purpose, old_signature])
def test_a_part_and_its_artifact_that_were_forged_before_the_commit(dumped: Scene, wrap: t.Any) -> None:
    path = part_path(dumped)
    part = document(path)
    forge(dumped, part)
    path.write_bytes(strict_json.dumps(wrap(dumped, part, path)))
    set_id = open_id(dumped)
    words = (f"{path} is not signed by SHA256:", f"backup_set state=aborted set_id={set_id}")
    dumped.refused("backup_set", TamperedData, *words, state="committed", set_id=set_id)
    dumped.refused("backup_set", TamperedData, *words, check_mode=True, state="open", set_id=set_id)
    dumped.refused("pg_encrypted_dump", TamperedData, *words, set_id=set_id)
    assert dumped.call("backup_set", state="aborted", set_id=set_id)["changed"]


@pytest.mark.mutation
def test_a_part_that_was_added(dumped: Scene) -> None:
    """A false reason for an artifact that was not left out, and a false proof."""
    content = {"artifacts": [], "result": {}, "pairing": {"verdict": "pass", "message": "proved"}, "left_out": {"secrets": "not needed"}}
    made = {"type": "set-part", "format": 1, "set": open_id(dumped), "name": "x", "content": content}
    part_path(dumped, "x").write_bytes(strict_json.dumps(made))
    dumped.refused("backup_set", TamperedData, "x.json is not signed by SHA256:", state="committed", set_id=open_id(dumped))


@pytest.mark.mutation
@pytest.mark.parametrize("data", [b"", b"[]", b'{"type": 1}', b"[" * 100_000, b'{"type":"set-part","format":1,"set":"x"}', b"\xff"])
def test_a_part_that_is_malformed(dumped: Scene, data: bytes) -> None:
    part_path(dumped).write_bytes(data)
    dumped.refused("backup_set", TamperedData, "postgres.json", state="committed", set_id=open_id(dumped))


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("artifacts", 3),
        ("artifacts", [{}]),
        ("sources", {}),
        ("sources", [{"database": "caracal"}]),
        ("family", 1),
        ("pairing", {"verdict": "yes", "message": ""}),
        ("key_ids", {"kek": 1}),
        ("tools", []),
        ("timings", {"x": "1"}),
        ("left_out", {"x": None}),
    ],
)
def test_a_signed_part_that_is_malformed(dumped: Scene, field: str, value: t.Any) -> None:
    rewrite_parts(dumped, open_id(dumped), lambda _name, content: content.update({field: value}))
    dumped.refused("backup_set", TamperedData, "was not written by this software", state="committed", set_id=open_id(dumped))


@pytest.fixture
def with_replay(dumped: Scene, tmp_path: Path) -> Scene:
    """Return a set whose replay files were read before and after the dump."""
    source = folder(tmp_path / "source")
    source.file(A, event("a-1"))
    for reading in (1, 2):
        volumes = [{"service": "sts", "path": str(source.volume)}]
        dumped.call("replay_volume_archive", set_id=open_id(dumped), reading=reading, volumes=volumes)
    return dumped


@pytest.mark.mutation
def test_a_part_that_was_removed_or_exchanged_since(with_replay: Scene) -> None:
    """Without both passes, the set would record that there was no replay directory."""
    kept = part_path(with_replay, "replay.sts-1.1").read_bytes()
    set_id = open_id(with_replay)
    part_path(with_replay, "replay.sts-1.1").unlink()
    words = "replay.sts-1.1.json was removed or exchanged after replay.sts-1.2 was written"
    with_replay.refused("backup_set", TamperedData, words, state="committed", set_id=set_id)
    part_path(with_replay, "replay.sts-1.1").write_bytes(kept)
    part_path(with_replay, "postgres").unlink()
    with_replay.refused("backup_set", TamperedData, "postgres.json was removed", state="committed", set_id=set_id)


@pytest.mark.no_false_alarm
def test_parts_of_several_modules_are_committed(with_replay: Scene) -> None:
    set_id = open_id(with_replay)
    assert with_replay.call("backup_set", state="committed", set_id=set_id)["changed"]
    assert with_replay.call("backup_set_verify", set_id=set_id)["verdict"] == "pass"
