# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from tools.rules import tree, words


def test_no_file_contains_a_machine_specific_path() -> None:
    assert len(tree.files(tree.ROOT)) > 20
    assert words.word_faults(tree.ROOT) == []


@pytest.mark.mutation
# The IDs are numbers, because the record of durations contains test names.
@pytest.mark.parametrize("word", words.WORDS, ids=range(len(words.WORDS)))
def test_finds_a_machine_specific_path(plant, word: str) -> None:
    assert words.word_faults(plant({"docs/x.rst": f"see {word}x", "tests/output/x": word})) == [f"docs/x.rst: holds {word!r}"]
