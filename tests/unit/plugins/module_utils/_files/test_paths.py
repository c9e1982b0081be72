# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Links in the path of a directory: the owners whose links are followed."""

from __future__ import annotations

import errno
import inspect
import os
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import UnsafePath
from ansible_collections.caracal_ops.backup.plugins.module_utils._files import paths
from harness.users import only_root

USER = 64999
COMPONENTS = 150


@pytest.fixture
def link(tmp_path: Path) -> Path:
    (tmp_path / "to" / "inner").mkdir(parents=True)
    (tmp_path / "above").mkdir()
    link = tmp_path / "above" / "link"
    link.symlink_to("../to")
    return link


@pytest.mark.no_false_alarm
def test_an_own_link_in_an_own_directory_is_followed(link: Path, tmp_path: Path) -> None:
    with paths.folder(str(link / "inner")) as folder:
        assert os.fstat(folder.descriptor).st_ino == (tmp_path / "to" / "inner").stat().st_ino
    link.unlink()
    link.symlink_to(tmp_path / "to")
    paths.make(str(link / "new")).close()
    assert (tmp_path / "to" / "new").is_dir()


@pytest.mark.mutation
def test_link_that_every_user_can_replace_is_refused(link: Path) -> None:
    link.parent.chmod(0o777)
    with pytest.raises(UnsafePath) as refused:
        paths.folder(str(link / "inner"))
    assert str(link) in refused.value.msg and str(link.parent) in refused.value.msg


@only_root
@pytest.mark.mutation
@pytest.mark.parametrize("sticky", [True, False])
def test_a_link_of_another_user_is_refused(link: Path, sticky: bool) -> None:
    """The same applies in /tmp, where root's own link is followed."""
    link.parent.chmod(0o1777 if sticky else 0o755)
    paths.folder(str(link)).close()
    os.lchown(link, USER, USER)
    with pytest.raises(UnsafePath):
        paths.folder(str(link))


@pytest.mark.mutation
def test_links_in_a_circle_come_to_an_end(link: Path) -> None:
    link.unlink()
    link.symlink_to("link")
    with pytest.raises(UnsafePath):
        paths.folder(str(link))


@pytest.mark.mutation
def test_an_error_names_the_component(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        paths.folder(str(tmp_path / "a" / "b"))
    assert missing.value.filename == str(tmp_path / "a")


@pytest.mark.mutation
@pytest.mark.parametrize("target", ["/", ".", "..", "nowhere\0"])
def test_path_that_names_directory_or_contains_nul_is_refused(link: Path, target: str) -> None:
    """Both as the target of a link and as the path itself."""
    places = [target]
    if "\0" not in target:
        link.unlink()
        link.symlink_to(target)
        places.append(str(link))
    for place in places:
        with pytest.raises(OSError) as refused:
            paths.reading(place)
        assert refused.value.errno == errno.EINVAL


@pytest.fixture
def few_calls() -> t.Iterator[None]:
    """Allow fewer levels of calls than a long path has components."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + COMPONENTS)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.no_false_alarm
def test_a_long_way_is_made(tmp_path: Path, few_calls: None) -> None:
    place = os.path.join(tmp_path, *["a"] * COMPONENTS)
    with paths.nearest(place) as above:
        assert above.path == str(tmp_path)
    with paths.make_all(place) as made:
        assert made.path == place and made.is_new
