# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The existing sets, their state, and the next set to drill. Also the identity that decrypts a real set."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.signing import Signer
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import ObjectMissing, OptionError, TamperedData, VerificationFailed
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access, drill_set
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import journal as journals
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout
from scenes import scene as scenes
from scenes.scene import DEPLOYMENT, DRILL_HOST, Scene, tree


def drill(scene: Scene, set_id: str, verdict: str) -> str:
    """Enter a drill into the journal and return its ID."""
    opened = access.open_repository(scene.access())
    record = opened.catalog.get(set_id)
    drill_id = layout.new_set_id(access.now(), os.urandom(5))
    subjects = [entries.subject(layout.manifest_key(set_id), record.manifest_sha256)]
    signer = Signer(str(scene.key(DRILL_HOST)), layout.principal(layout.DRILL, DEPLOYMENT))
    body = {"drill": drill_id, "set": set_id, "verdict": verdict}
    journals.append(opened.repository, opened.journal, signer, entries.DRILL, subjects, body, time=access.times(), machine="drill-2")
    return drill_id


def test_sets_are_listed_with_what_became_of_them(scene: Scene) -> None:
    first, second = scene.sets()
    drill(scene, second, "fail")
    last = drill(scene, second, "pass")
    found = scene.call("backup_set_info")
    assert not found["changed"] and found["selected"] is None and found["reason"] is None
    assert [one["set_id"] for one in found["sets"]] == [first, second]
    one, two = found["sets"]
    assert one["last_drill"] is None
    assert {name: two["last_drill"][name] for name in ("drill_id", "verdict", "sequence")} == {
        "drill_id": last,
        "verdict": "pass",
        "sequence": 5,
    }
    manifest = access.open_repository(scene.access()).catalog.read(second).manifest
    assert (two["sequence"], two["release"], two["family"], two["bytes"]) == (3, manifest.release, manifest.family, manifest.size)
    assert two["artifacts"] == len(manifest.artifacts) and two["assets"] == ["databases"] and two["problem"] is None
    assert two["databases"] == [source.database for source in manifest.sources] and two["left_out"] == manifest.left_out
    assert found["journal_head"].startswith("5-") and two["locked_until"] is None
    assert [line.split()[0] for line in found["lines"][2:]] == [second, first]
    chosen = scene.call("backup_set_info", select="latest")
    assert chosen["lines"] is None and chosen["selected"] == second


def test_it_writes_its_mark_and_nothing_else(scene: Scene) -> None:
    scene.mark(DRILL_HOST).unlink(missing_ok=True)
    before = tree(scene.repository)
    assert scene.call("backup_set_info", check_mode=True)["freshness"] == "unproven" and not scene.mark(DRILL_HOST).exists()
    assert scene.call("backup_set_info")["freshness"] == "unproven"
    assert scene.call("backup_set_info")["freshness"] == "fresh"
    assert tree(scene.repository) == before


def test_every_set_has_its_turn(scene: Scene) -> None:
    first, second = scene.sets()
    chosen: list[t.Any] = []
    for verdict in ("pass", "fail", "pass", "pass"):
        found = scene.call("backup_set_info", select="random", within=24)
        chosen.append(found["selected"])
        drill(scene, found["selected"], verdict)
    assert sorted(chosen[:2]) == sorted([first, second]) and chosen[2:] == chosen[:2]
    drill(scene, chosen[0], "unproven")
    assert scene.call("backup_set_info", select="random")["selected"] == chosen[0], "what proved nothing is made again"
    assert {scene.call("backup_set_info", select=way)["selected"] for way in ("oldest", first)} == {first}
    assert scene.call("backup_set_info", select="latest")["selected"] == second


@pytest.mark.mutation
def test_damaged_set_is_reported_and_can_still_be_selected(scene: Scene) -> None:
    first, _second = scene.sets()
    path = scene.repository / layout.manifest_key(first)
    path.write_bytes(path.read_bytes() + b" ")
    found = scene.call("backup_set_info", select="oldest")
    assert "entry 2 of the journal" in found["sets"][0]["problem"] and found["sets"][0]["release"] is None
    assert found["sets"][1]["problem"] is None and found["selected"] == first, "or its drill would never be made, and never fail"


@pytest.mark.mutation
def test_impossible_selection_is_refused(scene: Scene) -> None:
    scene.refused("backup_set_info", ObjectMissing, "20261101T000000Z-zzzz is not in", select="20261101T000000Z-zzzz")
    scene.refused("backup_set_info", OptionError, "'newest'", select="newest")
    scene.refused("backup_set_info", VerificationFailed, "hours old, more than 1e-06", select="latest", within=1e-6)
    scene.refused("backup_set_info", OptionError, "within is -1.0 hours", select="latest", within=-1)
    scene.refused("backup_set_info", OptionError, "within is nan hours", select="latest", within="nan")
    scene.refused("backup_set_info", OptionError, "within applies only to select latest, oldest, random, not to no select", within=24)


@pytest.mark.mutation
def test_altered_journal_stops_listing(scene: Scene) -> None:
    scene.call("backup_set_info")
    path = scene.repository / layout.entry_key(3)
    path.write_bytes(path.read_bytes() + b" ")
    scene.refused("backup_set_info", TamperedData, "was rolled back")


def opened_by(scene: Scene, *identities: Path, set_id: str | None = None) -> t.Any:
    opened = access.open_repository(scene.access())
    drilled = drill_set.read(opened, set_id or scene.sets()[-1])
    (found,) = drill_set.facts(opened, drilled, [str(one) for one in identities]).recipients or [None]
    return found


def test_headers_prove_identity_that_opens_set(scene: Scene, tmp_path: Path) -> None:
    ours = "SHA256:"
    unknown = tmp_path / "stranger"
    scenes.new_identity(unknown)
    found = opened_by(scene, scene.identity)
    assert found["assets"] == "databases" and found["opened_by"] == found["sealed_to"] and found["sealed_to"][0].startswith(ours)
    assert opened_by(scene, unknown, scene.identity)["opened_by"] == found["sealed_to"]
    assert opened_by(scene, unknown)["opened_by"] == []
    assert opened_by(scene)["opened_by"] is None, "nobody tried"


@pytest.mark.mutation
def test_missing_objects_leave_opening_identity_unknown(scene: Scene) -> None:
    for path in scene.repository.glob("sets/*/postgres/*.age"):
        os.unlink(path)
    for path in scene.repository.glob("objects/audit/*/*.age"):
        os.unlink(path)
    for path in scene.repository.glob("sets/*/*.age"):
        os.unlink(path)
    assert opened_by(scene, scene.identity)["opened_by"] is None
