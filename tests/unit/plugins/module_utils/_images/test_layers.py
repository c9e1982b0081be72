# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Valid layers are unpacked as a container would see them. Entries that lead outside or have no end are refused."""

from __future__ import annotations

import os
import stat
import tarfile
import typing as t
from pathlib import Path

import pytest
import zstandard

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import StageFailed, StorageError, TamperedData
from ansible_collections.caracal_ops.backup.plugins.module_utils._images import layers, tree
from ansible_collections.caracal_ops.backup.plugins.module_utils._images.budget import Budget
from ansible_collections.caracal_ops.backup.plugins.module_utils._images.tree import Tree
from scenes import image_scene
from scenes.image_scene import Entries, archive, entry, folder, hard_link, symlink

Found = dict[str, t.Any]


def unpack(root: Path, *all_layers: Entries, pack: t.Callable[[bytes], bytes] = bytes, budget: Budget | None = None) -> Found:
    """Unpack the layers and return the content below `root`: bytes of files, targets of links, None for directories."""
    made, allowed = Tree(str(root / "rootfs"), "the image"), budget or Budget()
    os.makedirs(made.root)
    for at, entries in enumerate(all_layers):
        data = archive(entries)
        (root / f"layer{at}").write_bytes(pack(data))
        layers.unpack(str(root / f"layer{at}"), made, image_scene.hex_of(data), allowed)
    return seen(root / "rootfs")


def seen(root: Path) -> Found:
    found: Found = {}
    for above, folders, files in os.walk(root):
        for path in (Path(above, name) for name in (*folders, *files)):
            value = os.readlink(path) if path.is_symlink() else None if path.is_dir() else path.read_bytes()
            found[str(path.relative_to(root))] = value
    return found


def test_upper_layer_overrides_lower_layer(tmp_path: Path) -> None:
    below = [folder("etc/"), ("etc/passwd", b"below"), ("etc/group", b"below"), ("usr/bin/tool", b"1"), symlink("bin", "usr/bin")]
    above = [("./etc/passwd", b"above"), ("/opt/deep/er/new", b"2"), hard_link("etc/shadow", "etc/passwd"), ("bin/second", b"3")]
    assert unpack(tmp_path, below, above) == {
        "etc": None,
        "etc/passwd": b"above",
        "etc/shadow": b"above",
        "etc/group": b"below",
        "usr": None,
        "usr/bin": None,
        "usr/bin/tool": b"1",
        "usr/bin/second": b"3",
        "bin": "usr/bin",
        "opt": None,
        "opt/deep": None,
        "opt/deep/er": None,
        "opt/deep/er/new": b"2",
    }


def test_whiteouts_remove_lower_files_but_keep_new_files(tmp_path: Path) -> None:
    below = [("a/one", b"1"), ("a/two", b"2"), ("b/old/deep", b"3"), ("b/gone", b"4"), ("c", b"5")]
    above = [("a/.wh.one", b""), ("a/.wh.never", b""), ("b/old/new", b"6"), ("b/.wh..wh..opq", b""), (".wh.c", b"")]
    assert unpack(tmp_path, below, above) == {"a": None, "a/two": b"2", "b": None, "b/old": None, "b/old/new": b"6"}


def test_whiteout_applies_only_to_lower_layers(tmp_path: Path) -> None:
    """The whiteout's position in its layer does not matter, and its layer may contain the same name."""
    below = [("a/file", b"1"), ("b/deep/file", b"2"), ("c", b"3")]
    above = [("a/file", b"4"), ("a/.wh.file", b""), ("b/deep/new", b"5"), (".wh.b", b""), ("d/.wh..wh..opq", b""), (".wh.c/", b"")]
    assert unpack(tmp_path, below, above) == {"a": None, "a/file": b"4", "b": None, "b/deep": None, "b/deep/new": b"5"}


def test_upper_layer_replaces_directory_with_file_and_link_with_directory(tmp_path: Path) -> None:
    below = [("a/deep/file", b"1"), symlink("b", "a"), folder("c"), ("c/kept", b"2")]
    above = [("a", b"now a file"), folder("b"), ("b/own", b"3"), folder("c")]
    assert unpack(tmp_path, below, above) == {"a": b"now a file", "b": None, "b/own": b"3", "c": None, "c/kept": b"2"}


@pytest.mark.parametrize("pack", [image_scene.packed, zstandard.ZstdCompressor().compress], ids=["gzip", "zstd"])
def test_a_layer_may_be_packed(tmp_path: Path, pack: t.Callable[[bytes], bytes]) -> None:
    assert unpack(tmp_path, [("one", b"x" * 300_000)], pack=pack) == {"one": b"x" * 300_000}
    with pytest.raises(TamperedData):
        unpack(tmp_path / "cut", [("one", os.urandom(3000))], pack=lambda data: pack(data)[:-20])


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_long_names_of_every_kind_of_tar(tmp_path: Path, kind: int) -> None:
    name = "/".join(["long" * 20] * 2) + "/file"
    data = archive([(name, b"1")], kind=kind)
    (tmp_path / "layer").write_bytes(data)
    os.mkdir(tmp_path / "rootfs")
    layers.unpack(str(tmp_path / "layer"), Tree(str(tmp_path / "rootfs"), "the image"), image_scene.hex_of(data), Budget())
    assert (tmp_path / "rootfs" / name).read_bytes() == b"1"


def test_nothing_of_an_image_has_rights_or_an_owner(tmp_path: Path) -> None:
    files = archive([("suid", b"1")], mode=0o6755), archive([("secret", b"2")], mode=0o600)
    made = Tree(str(tmp_path / "rootfs"), "the image")
    os.mkdir(made.root)
    old = os.umask(0o077)
    try:
        for data in files:
            (tmp_path / "layer").write_bytes(data)
            layers.unpack(str(tmp_path / "layer"), made, image_scene.hex_of(data), Budget())
        made.folder("folder/deep")
    finally:
        os.umask(old)
    modes = {name: stat.S_IMODE(os.stat(tmp_path / "rootfs" / name).st_mode) for name in ("suid", "secret", "folder", "folder/deep")}
    assert modes == {"suid": 0o755, "secret": 0o644, "folder": 0o755, "folder/deep": 0o755}
    assert {os.stat(tmp_path / "rootfs" / name).st_uid for name in modes} == {os.geteuid()}


def test_links_are_followed_inside(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    out = str(tmp_path / "outside")
    found = unpack(tmp_path / "one", [symlink("a", out), symlink("b", "../../../../.." + out), ("a/file", b"1"), ("b/other", b"2")])
    inside = out.strip("/")
    assert found[f"{inside}/file"] == b"1" and found[f"{inside}/other"] == b"2"
    assert not os.listdir(tmp_path / "outside")


HOSTILE: dict[str, Entries] = {
    "a path that leads out": [("../out", b"1")],
    "a path that leads out in the middle": [("a/../../out", b"1")],
    "a directory that leads out": [folder("a/../../out")],
    "a link that never ends": [symlink("a", "b"), symlink("b", "a"), ("a/file", b"1")],
    "a link to itself": [symlink("a", "a/a"), ("a/file", b"1")],
    "a link with an empty target": [symlink("a", "")],
    "links that name many parts": [*(symlink(f"l{n}", "./" * 100 + f"l{n + 1}") for n in range(30)), folder("l30"), ("l0/file", b"1")],
    "a hard link out": [hard_link("a", "/etc/passwd")],
    "a hard link up": [hard_link("a", "../../../etc/passwd")],
    "a hard link through a link": [symlink("etc", "/etc"), hard_link("a", "etc/passwd")],
    "a hard link to a directory": [folder("etc"), hard_link("a", "etc")],
    "a hard link to what it replaces": [("a/file", b"1"), hard_link("a", "a/file")],
    "a path through a file": [("a", b"1"), ("a/file", b"2")],
    "a device": [entry(tarfile.BLKTYPE, "sda")],
    "a device next to the devices of the image": [entry(tarfile.CHRTYPE, "device/mem")],
    "a pipe": [entry(tarfile.FIFOTYPE, "run/pipe")],
    "a whiteout of the parent": [(".wh...", b"")],
    "a whiteout of nothing": [(".wh.", b"")],
    "a whiteout of here": [("a/.wh..", b"")],
    "a whiteout out": [("../.wh.etc", b"")],
    "a whiteout of a whiteout": [(".wh..wh.aufs", b"")],
    "a file instead of all": [(".", b"1")],
    "a link instead of all": [symlink("/", "/etc")],
    "a name that is too long": [("n" * 256, b"1")],
    "deeper than any image": [("d/" * (tree.DEPTH + 1) + "file", b"1")],
    "deeper by a link": [symlink("s", "d/" * 150), *(("s/" + "e/" * 60 + "file", b"1") for _once in range(1))],
    "a path without an end": [("p/" * 2100 + "file", b"1")],
    "a sparse file": [entry(tarfile.GNUTYPE_SPARSE, "sparse")],
    "an unknown kind": [entry(b"Z", "what")],
}


@pytest.mark.mutation
@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_layer_is_refused(tmp_path: Path, what: str) -> None:
    before = seen(tmp_path)
    with pytest.raises(TamperedData):
        unpack(tmp_path / "work", HOSTILE[what])
    assert {name: value for name, value in seen(tmp_path).items() if not name.startswith("work")} == before
    assert os.path.exists("/etc/passwd")


def test_devices_of_the_image_are_left_out(tmp_path: Path) -> None:
    assert unpack(tmp_path, [folder("dev"), entry(tarfile.CHRTYPE, "dev/null"), ("one", b"1")]) == {"dev": None, "one": b"1"}


@pytest.mark.mutation
def test_an_image_has_an_end(tmp_path: Path) -> None:
    many: Entries = [(f"{number}", b"") for number in range(4)]
    assert len(unpack(tmp_path / "enough", many[:3], budget=Budget(entries=3))) == 3
    with pytest.raises(TamperedData):
        unpack(tmp_path / "many", many[:2], many[2:], budget=Budget(entries=3))
    assert len(os.listdir(tmp_path / "many/rootfs")) == 2, "nothing of the layer that has too many"
    # Endless header text adds no file, but its size is limited.
    endless = image_scene.entry(tarfile.XGLTYPE, "x")
    endless.pax_headers = {"comment": "c" * 9000}
    with pytest.raises(TamperedData):
        unpack(tmp_path / "words", [endless], budget=Budget(words=5000))
    with pytest.raises(StageFailed):
        unpack(tmp_path / "late", many[:1], budget=Budget(until=0.0))
    with pytest.raises(TamperedData):
        unpack(tmp_path / "large", [("bomb", b"\0" * 2_000_000)], pack=image_scene.packed, budget=Budget(size=1_000_000))
    assert not (tmp_path / "large/rootfs/bomb").exists()
    # Headers and padding count too, for all layers together.
    several = [[("one", b"1")], [("two", b"2")]]
    assert len(unpack(tmp_path / "both", *several, budget=Budget(size=2 * tarfile.RECORDSIZE))) == 2
    with pytest.raises(TamperedData):
        unpack(tmp_path / "words of all", *several, budget=Budget(size=2 * tarfile.RECORDSIZE - 1))


@pytest.mark.mutation
def test_a_layer_is_what_the_configuration_names(tmp_path: Path) -> None:
    (tmp_path / "layer").write_bytes(archive([("one", b"1")]))
    os.mkdir(tmp_path / "rootfs")
    with pytest.raises(TamperedData):
        layers.unpack(str(tmp_path / "layer"), Tree(str(tmp_path / "rootfs"), "the image"), "0" * 64, Budget())
    assert os.listdir(tmp_path / "rootfs") == [], "nothing of it is used"


@pytest.mark.mutation
@pytest.mark.parametrize("change", [lambda data: data[:700], lambda data: b"x" * 512 + data, lambda data: data + b"\1" * (17 << 20)])
def test_a_damaged_archive_is_refused(tmp_path: Path, change: t.Callable[[bytes], bytes]) -> None:
    data = change(archive([("one", b"1" * 1000)]))
    (tmp_path / "layer").write_bytes(data)
    os.mkdir(tmp_path / "rootfs")
    with pytest.raises(TamperedData):
        layers.unpack(str(tmp_path / "layer"), Tree(str(tmp_path / "rootfs"), "the image"), image_scene.hex_of(data), Budget())


def test_full_disk_is_a_storage_error_and_not_an_image_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_about: t.Any) -> t.NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fchmod", full)
    with pytest.raises(StorageError):
        unpack(tmp_path, [("one", b"1")])


def test_tree_resolves_paths_through_links_within_image(tmp_path: Path) -> None:
    unpack(
        tmp_path, [("usr/bin/tool", b"1"), symlink("bin", "/usr/bin"), symlink("usr/bin/other", "../../bin/tool"), symlink("lost", "no")]
    )
    made = Tree(str(tmp_path / "rootfs"), "the image")
    tool = str(tmp_path / "rootfs/usr/bin/tool")
    assert [made.resolve(path) for path in ("/bin/tool", "bin/other", "/lost", "/bin/tool/x", "/none")] == [tool, tool, None, None, None]
