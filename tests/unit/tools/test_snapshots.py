# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from tools import snapshots
from tools.rules import tree

TEXT = "one\ntwo \u2713\n"


def kept(root: Path) -> Path:
    return root / snapshots.FOLDER / "x.txt"


@pytest.mark.no_false_alarm
def test_a_rewritten_file_matches_and_is_written_once(tmp_path: Path) -> None:
    assert snapshots.rewrite(tmp_path, "x.txt", TEXT)
    snapshots.check(tmp_path, "x.txt", TEXT)
    before = kept(tmp_path).stat()
    assert not snapshots.rewrite(tmp_path, "x.txt", TEXT)
    assert kept(tmp_path).stat() == before and kept(tmp_path).read_bytes() == TEXT.encode()


@pytest.mark.mutation
def test_a_changed_text_is_shown_as_a_diff(tmp_path: Path) -> None:
    snapshots.rewrite(tmp_path, "x.txt", TEXT)
    with pytest.raises(AssertionError, match="make snapshots") as caught:
        snapshots.check(tmp_path, "x.txt", TEXT.replace("two", "three"))
    assert {"-two \u2713", "+three \u2713", " one"} <= set(str(caught.value).splitlines())


@pytest.mark.mutation
@pytest.mark.parametrize(("there", "made"), [(None, TEXT), (None, ""), ("", ""), (TEXT, TEXT.rstrip()), (TEXT.rstrip(), TEXT)])
def test_finds_a_missing_or_empty_file_and_a_changed_line_end(tmp_path: Path, there: str | None, made: str) -> None:
    if there is not None:
        snapshots.rewrite(tmp_path, "x.txt", there)
    with pytest.raises(AssertionError, match="make snapshots"):
        snapshots.check(tmp_path, "x.txt", made)


def test_rewritten_files_are_stored_in_the_clone() -> None:
    assert snapshots.clone({"CARACAL_OPS_BUILD": "/srv/clone/build"}) == Path("/srv/clone")
    assert snapshots.clone({}) == tree.ROOT


def test_each_snapshot_file_has_a_test() -> None:
    sources = "".join((tree.ROOT / path).read_text(encoding="utf-8") for path in tree.python(tree.ROOT, "tests/unit/snapshots"))
    names = [Path(path).name for path in tree.files(tree.ROOT, f"{snapshots.FOLDER}/*")]
    assert len(names) > 3 and not [name for name in names if f'snapshot("{name}"' not in sources]
