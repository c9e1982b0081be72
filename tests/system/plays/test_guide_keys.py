# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of the guides with `ssh-keygen`, `age` and other programs for keys and artifacts."""

from __future__ import annotations

import hashlib
import os

from scenes.guide_commands import Desk
from scenes.secrets_scene import contents
from system.plays.drillable import Drillable


def test_signing_keys(desk: Desk) -> None:
    etc = desk.folder / "etc"
    etc.mkdir()
    desk.program("ask", "echo a passphrase")
    ask = {"SSH_ASKPASS": str(desk.folder / "bin" / "ask"), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": "none"}
    replaced = {"/etc/caracal-ops": str(etc), "~/": f"{desk.folder}/"}
    desk.run_block("guide_key_custody", 1, replaced, **ask)
    assert {path.name for path in etc.glob("*.pub")} == {f"{name}_signing_key.pub" for name in ("backup", "drill", "prune")}
    assert (desk.folder / "operator_signing_key.pub").read_text(encoding="ascii").endswith(" operator@prod\n")


def test_identities(desk: Desk) -> None:
    (desk.folder / "etc").mkdir()
    lines = desk.run_block("guide_key_custody", 2, {"/etc/caracal-ops": str(desk.folder / "etc")}).splitlines()
    assert len({line for line in lines if line.startswith("age1")}) == 2


def test_a_break_glass_identity_decrypts_the_inventory(desk: Desk, whole_set: Drillable) -> None:
    scene = whole_set.scene
    folder = scene.repository / "sets" / scene.sets()[-1]
    replaced = {"break-glass.identity": str(scene.identity), "inventory.json.zst.age": str(folder / "inventory.json.zst.age")}
    assert int(desk.run_block("guide_key_custody", 3, replaced)) > 1000


def test_id_of_a_key(desk: Desk) -> None:
    desk.write("secretStoreKek", "1f" * 32 + "\n")
    expected = hashlib.sha256(bytes.fromhex("1f" * 32)).hexdigest()[:16]
    assert desk.run_block("guide_keys_and_envelopes", 1) == f"{expected}\n"


def test_secrets_of_a_set(desk: Desk, whole_set: Drillable) -> None:
    scene, deployment = whole_set.scene, whole_set.deployment
    (name,) = (path.name for path in (scene.repository / "objects" / "secrets").glob("*.tar.zst.age"))
    found = {"IDENTITY": str(deployment.identity), "REPOSITORY": str(scene.repository)}
    desk.run_block("guide_secrets", 1, {"<key set>.<set id>.tar.zst.age": name}, **found)
    assert contents(desk.folder / "secrets-of-the-set" / "secrets") == contents(deployment.directory)


def test_replay_volumes_of_a_set(desk: Desk, whole_set: Drillable) -> None:
    scene, set_id = whole_set.scene, whole_set.scene.sets()[-1]
    os.symlink(scene.repository / "sets", desk.folder / "sets")
    replaced = {"<set id>": set_id, "identity.txt": str(scene.identity)}
    desk.run_block("guide_replay_volumes", 1, replaced)
    assert list((desk.folder / "replay").rglob("*.ndjson"))
