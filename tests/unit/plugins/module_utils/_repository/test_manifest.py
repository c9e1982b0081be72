# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import json
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError, TamperedData, VersionMismatch
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import manifest as manifests
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.artifact import Artifact
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.manifest import Manifest, PreviousSet
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.services import Service

OTHER = "20251125T020000Z-bbbb"
# Fields that earlier sets do not have.
LATER = {"services", "images", "findings", "partitions"}
SERVICE = {
    **{"service": "sts", "replica": "1", "image": "registry.example/caracal-go:v1.0.0", "digest": f"sha256:{'d' * 64}"},
    **{"image_id": f"sha256:{'e' * 64}", "command": ["/usr/local/bin/sts"], "working_directory": "/"},
}
ID, CONFIG, LAYER = (f"sha256:{one * 64}" for one in "123")
IMAGE = {"image_id": ID, "documents": [ID, CONFIG], "layers": [{"digest": LAYER, "size": 1024}, {"digest": LAYER, "size": 1024}]}
CENSUS = {
    **{"cluster": "7", "timeline": 1, "server": "PostgreSQL 17.6", "file": "1/2/3/4", "columns": "0" * 64},
    **{"xmin": 770, "lsn": "0/1A2B", "rows": 3, "positions": "-12"},
}
PARTITION = {
    **{"database": "caracal", "leaf": "public.audit_events_y2026m06", "proof": "census", "last_read": "2026-06-17T12:30:00.000000Z"},
    "census": CENSUS,
}


@pytest.fixture
def manifest(world) -> Manifest:
    made: Manifest = world.manifest()[0]
    return made


@pytest.mark.no_false_alarm
def test_manifest_is_read_as_written(manifest: Manifest) -> None:
    assert manifests.parse(manifest.to_bytes()) == manifest
    assert manifest.recovery.path.endswith("/RECOVERY.md") and manifest.size == sum(one.size for one in manifest.artifacts)
    later = dataclasses.replace(manifest, previous=PreviousSet(OTHER, 7, "0" * 64), family=None, release=None, key_ids={"kek": "0" * 16})
    assert manifests.parse(later.to_bytes()) == later
    ran = (Service(**{**SERVICE, "command": ("/usr/local/bin/sts",)}),)
    with_services = dataclasses.replace(manifest, services=ran)
    assert manifests.parse(with_services.to_bytes()).services == ran
    assert manifests.parse(altered(with_services, lambda content: content.pop("services"))).services == ()


def altered(manifest: Manifest, change: t.Callable[[dict[str, t.Any]], object]) -> bytes:
    content = json.loads(manifest.to_bytes())
    change(content)
    return json.dumps(content).encode()


def refused(data: bytes, kind: type[BackupError], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        manifests.parse(data, "x/manifest.json")
    assert "x/manifest.json" in caught.value.msg and "\n" not in caught.value.msg


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("field", "value", "kind", "words"),
    [
        ("type", "drill-report", TamperedData, "has type 'drill-report', not backup-set"),
        ("format", 3, VersionMismatch, "has format 3, "),
        ("format", "1", TamperedData, "invalid format"),
        ("set_id", "latest", TamperedData, "invalid set_id"),
        ("set_id", "20251125T020000Z-bbbb", TamperedData, "does not belong to set 20251125T020000Z-bbbb"),
        ("deployment", "a b", TamperedData, "invalid deployment"),
        ("created", "yesterday", TamperedData, "invalid created"),
        ("previous", {}, TamperedData, "previous of x/manifest.json has no set_id"),
        ("sources", [{}], TamperedData, r"sources\[0\] of x/manifest.json has no database"),
        ("artifacts", [], TamperedData, "does not name exactly one RECOVERY.md"),
        ("artifacts", {}, TamperedData, "invalid artifacts"),
        ("pairing", {"verdict": "perhaps", "message": ""}, TamperedData, "unknown verdict 'perhaps'"),
        ("timings", {"dump": "long"}, TamperedData, "invalid timings"),
        ("left_out", {"redis": None}, TamperedData, "invalid left_out"),
        ("services", [{**SERVICE, "image_id": "latest"}], TamperedData, "invalid image_id"),
        ("services", [{**SERVICE, "service": "a b"}], TamperedData, "invalid service"),
        ("services", [{**SERVICE, "command": ["/bin/sts", "--password=x"]}], TamperedData, "invalid command"),
        ("services", [{**SERVICE, "image": "a\nb"}], TamperedData, "invalid image"),
        ("services", [{**SERVICE, "working_directory": "app"}], TamperedData, "invalid working_directory"),
        ("services", [{**SERVICE, "command": ["/bin/a\0b"]}], TamperedData, "invalid command"),
        ("services", [{**SERVICE, "more": 1}], TamperedData, "unknown field 'more'"),
        ("images", [{**IMAGE, "image_id": "latest"}], TamperedData, "invalid image_id"),
        ("images", [{**IMAGE, "documents": []}], TamperedData, "invalid documents"),
        ("images", [{**IMAGE, "documents": [CONFIG]}], TamperedData, "invalid documents"),
        ("images", [{**IMAGE, "documents": [ID, "../x"]}], TamperedData, "invalid documents"),
        ("images", [{**IMAGE, "documents": [ID] * 4}], TamperedData, "invalid documents"),
        ("images", [{**IMAGE, "layers": []}], TamperedData, "invalid layers"),
        ("images", [{**IMAGE, "layers": [{"digest": LAYER, "size": 1}] * 1001}], TamperedData, "invalid layers"),
        ("images", [{**IMAGE, "layers": [{"digest": "x", "size": 1}]}], TamperedData, "invalid digest"),
        ("images", [{**IMAGE, "layers": [{"digest": LAYER, "size": -1}]}], TamperedData, "negative size"),
        ("images", [{**IMAGE, "layers": [{"digest": LAYER, "size": 1 << 36}]}], TamperedData, "more than 34359738368 bytes"),
        ("images", [{**IMAGE, "layers": [{"digest": LAYER, "size": 1, "more": 1}]}], TamperedData, "unknown field 'more'"),
        ("images", [{**IMAGE, "more": 1}], TamperedData, "unknown field 'more'"),
        ("images", [IMAGE] * 2, TamperedData, "names an image twice"),
        ("images", [IMAGE] * 1001, TamperedData, "more than 1000 images"),
        ("images", [IMAGE], TamperedData, "artifacts of images"),
        ("images", {}, TamperedData, "invalid images"),
        ("services", [SERVICE] * 1001, TamperedData, "more than 1000 services"),
        ("partitions", [{**PARTITION, "proof": "trust"}], TamperedData, "unknown proof 'trust'"),
        ("partitions", [{**PARTITION, "census": None}], TamperedData, "no census"),
        ("partitions", [{**PARTITION, "last_read": "today"}], TamperedData, "invalid last_read"),
        ("partitions", [{**PARTITION, "more": 1}], TamperedData, "unknown field 'more'"),
        *(
            ("partitions", [{**PARTITION, "census": {**CENSUS, field: value}}], TamperedData, field)
            for field, value in {"cluster": "x", "timeline": -1, "file": "4", "columns": "0", "xmin": "1", "lsn": "1", "rows": -1}.items()
        ),
        ("partitions", [{**PARTITION, "census": {**CENSUS, "positions": "1.5"}}], TamperedData, "positions"),
        ("more", 1, TamperedData, "unknown field 'more'"),
    ],
)
def test_content_that_does_not_fit_is_refused(manifest: Manifest, field: str, value: t.Any, kind: type[BackupError], words: str) -> None:
    refused(altered(manifest, lambda content: content.update({field: value})), kind, words)


@pytest.mark.mutation
@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Manifest) if field.name not in LATER] + ["type", "format"])
def test_a_missing_field_is_named(manifest: Manifest, field: str) -> None:
    refused(altered(manifest, lambda content: content.pop(field)), TamperedData, f"has no {field}")


@pytest.mark.mutation
@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Artifact)])
def test_a_missing_field_of_an_artifact_is_named(manifest: Manifest, field: str) -> None:
    refused(altered(manifest, lambda content: content["artifacts"][0].pop(field)), TamperedData, rf"artifacts\[0\] of .* has no {field}")


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("number", "changes", "words"),
    [
        (0, {"path": "../../etc/passwd"}, "is not a valid path"),
        (0, {"path": "/etc/passwd.age"}, "is not a valid path"),
        (0, {"path": f"sets/{OTHER}/postgres/caracal.dump.zst.age"}, "does not belong to set"),
        (0, {"path": "repository.json.age"}, "does not belong to set"),
        (0, {"shared_from": OTHER}, "does not belong to set"),
        (0, {"kind": "party"}, "unknown kind 'party'"),
        (0, {"compression": "lzma"}, "unknown compression"),
        (0, {"recipients": []}, "with 0 recipients"),
        (0, {"recipients": [1]}, "invalid recipients"),
        (0, {"sha256": "0"}, "invalid sha256"),
        (0, {"size": -1}, "negative size"),
        (0, {"size": True}, "invalid size"),
        (2, {"path": f"objects/audit/x/{'1' * 64}.{OTHER}.copy.zst.age"}, "does not belong to set"),
        (2, {"shared_from": OTHER}, "does not belong to set"),
        (2, {"shared_from": "x"}, "does not belong to set"),
        (3, {"path": "sets/20261125T020001Z-aaaa/other.json.zst.age"}, "does not belong to set"),
        (4, {"recipients": ["SHA256:abc"]}, "with 1 recipients"),
        (5, {"kind": "dump"}, "does not name exactly one RECOVERY.md"),
    ],
)
def test_an_artifact_that_does_not_fit_is_refused(manifest: Manifest, number: int, changes: dict[str, t.Any], words: str) -> None:
    with pytest.raises(TamperedData, match=words):
        manifests.parse(altered(manifest, lambda content: content["artifacts"][number].update(changes)))


@pytest.mark.no_false_alarm
def test_an_object_of_an_earlier_set_may_be_shared(manifest: Manifest) -> None:
    path = f"objects/audit/x/{'1' * 64}.{OTHER}.copy.zst.age"
    data = altered(manifest, lambda content: content["artifacts"][2].update(path=path, shared_from=OTHER))
    assert manifests.parse(data).artifacts[2].shared_from == OTHER


@pytest.mark.mutation
def test_artifact_listed_twice_is_refused(manifest: Manifest) -> None:
    refused(altered(manifest, lambda content: content["artifacts"].append(content["artifacts"][0])), TamperedData, "an artifact twice")


@pytest.mark.mutation
def test_duplicate_keys_are_refused(manifest: Manifest) -> None:
    data = manifest.to_bytes().replace(b'"deployment": "prod"', b'"deployment": "prod", "deployment": "prod"')
    refused(data, TamperedData, "duplicate key 'deployment'")


@pytest.mark.mutation
def test_manifest_that_reader_would_refuse_is_not_written(manifest: Manifest) -> None:
    with pytest.raises(TamperedData, match=r"RECOVERY.md"):
        dataclasses.replace(manifest, artifacts=()).to_bytes()


def part(digest: str, *, layer: bool = False, maker: str = OTHER, **changes: t.Any) -> dict[str, t.Any]:
    """Return an artifact of an image that another set has stored."""
    found = Artifact(layout.image_key(digest, maker, layer=layer), "image", 1, "0" * 64, "zstd", ("SHA256:abc",), source=digest)
    return {**found.to_dict(), "shared_from": maker, **changes}


WHOLE = [part(ID), part(CONFIG), part(LAYER, layer=True)]


def with_images(manifest: Manifest, parts: t.Sequence[t.Any], images: t.Sequence[t.Any] = (IMAGE,)) -> Manifest:
    return manifests.parse(
        altered(manifest, lambda content: content.update(images=list(images), artifacts=[*content["artifacts"], *parts])), "x/manifest.json"
    )


@pytest.mark.no_false_alarm
def test_a_set_may_keep_images(manifest: Manifest) -> None:
    found = with_images(manifest, WHOLE)
    assert manifests.parse(found.to_bytes()) == found
    assert found.size == manifest.size + 3 and found.data_size == manifest.data_size == manifest.size
    # So that older releases can read all other sets.
    assert b"images" not in manifest.to_bytes()


@pytest.mark.mutation
@pytest.mark.parametrize(
    "parts",
    [
        WHOLE[:2],
        WHOLE[1:],
        [*WHOLE, part(f"sha256:{'4' * 64}")],
        [*WHOLE[:2], part(LAYER)],
        [*WHOLE, part(LAYER)],
        [*WHOLE, part(LAYER, layer=True, maker="20251124T020000Z-bbbb")],
        [part(ID, source=CONFIG), *WHOLE[1:]],
        [part(ID, source=None), *WHOLE[1:]],
        [part(ID, shared_from=None), *WHOLE[1:]],
        [part(ID, kind="secrets"), *WHOLE[1:]],
        [part(ID, path=f"sets/{OTHER}/x.json.zst.age"), *WHOLE[1:]],
        [part(ID, path=f"objects/audit/x/{'1' * 64}.{OTHER}.json.zst.age"), *WHOLE[1:]],
    ],
)
def test_an_image_has_its_artifacts_and_no_others(manifest: Manifest, parts: t.Any) -> None:
    with pytest.raises(TamperedData):
        with_images(manifest, parts)


@pytest.mark.mutation
def test_nothing_is_a_layer_and_a_document(manifest: Manifest) -> None:
    image = {**IMAGE, "layers": [{"digest": CONFIG, "size": 1}]}
    with pytest.raises(TamperedData):
        with_images(manifest, [*WHOLE[:2], part(CONFIG, layer=True)], [image])
