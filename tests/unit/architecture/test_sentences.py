# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from tools.rules import sentences, tree

Planter = t.Callable[[dict[str, str]], Path]
PRODUCT = {
    "plugins/module_utils/_storage/journal.py": 'raise X(f"{name} is missing, and the journal goes up to {last}; use another copy")',
    "plugins/module_utils/_storage/retention/plan.py": 'REASON = "under a legal hold of the store"',
    "roles/x/tasks/main.yml": "- debug:\n    msg: nothing was written; the set would be {{ x }}\n",
}
MESSAGE = "is missing, and the journal goes up to 3"
ELSEWHERE = "tests/system/sets/test_x.py"


def planted(plant: Planter, source: str, path: str = ELSEWHERE, debt: str = "") -> Path:
    return plant({**PRODUCT, path: source, sentences.DEBT: debt})


def test_no_test_repeats_more_sentences_than_are_recorded() -> None:
    assert tree.python(tree.ROOT, *sentences.TESTS)
    assert sum(sentences.debt(tree.ROOT).values()) > 0
    assert sentences.sentence_faults(tree.ROOT) == []


@pytest.mark.mutation
@pytest.mark.parametrize(
    "source",
    [
        f"assert {MESSAGE!r} in text",
        f"assert text == {MESSAGE!r}",
        f"assert any({MESSAGE!r} in one for one in found)",
        f"found = [one for one in all_of_them if {MESSAGE!r} in one]",
        "assert f'{name} is missing, and the journal goes up to {last}' in text",
        "pytest.raises(X, match='x is missing, and the journal goes up to .*; use')",
        f"scene.refused('x', X, {MESSAGE!r})",
        f"def ends(words: str) -> None:\n    pass\n\nends({MESSAGE!r})",
        f"def ends(*words: str) -> None:\n    pass\n\nends('x', {MESSAGE!r})",
        f"SAID = {MESSAGE!r}\n\ndef test_x():\n    assert SAID in text",
        f"def test_x():\n    said = {MESSAGE!r}\n    assert said in text",
        f"def test_x():\n    for words in ('x', {MESSAGE!r}):\n        assert words in text",
        f"@pytest.mark.parametrize('words', [{MESSAGE!r}])\ndef test_x(words):\n    assert words in text",
        f"@pytest.mark.parametrize(('a', 'words'), [(1, {MESSAGE!r})])\ndef test_x(a, words):\n    assert words in text",
        f"@pytest.mark.parametrize('a, words', [pytest.param(1, {MESSAGE!r})])\ndef test_x(a, words):\n    pytest.raises(X, match=words)",
        "assert 'nothing was written; the set would be x' in text",
        "assert 'under a legal hold of the store' in reasons",
    ],
)
def test_finds_a_product_sentence_repeated_in_another_test(plant: Planter, source: str) -> None:
    (fault,) = sentences.sentence_faults(planted(plant, source))
    assert fault.startswith("test_x.py repeats 1 ") and ELSEWHERE in fault


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("tests/unit/a/test_journal.py", f"assert {MESSAGE!r} in text"),
        ("tests/unit/b/test_journal_times.py", f"assert {MESSAGE!r} in text"),
        ("tests/unit/b/test_plan.py", "assert 'under a legal hold of the store' in text"),
        ("tests/unit/b/test_retention.py", "assert 'under a legal hold of the store' in text"),
        ("tests/unit/b/test_retention_plan.py", "assert 'under a legal hold of the store' in text"),
        (ELSEWHERE, "assert 'the journal goes up' in text"),
        (ELSEWHERE, f"assert found, {MESSAGE!r}"),
        (ELSEWHERE, f"'''{MESSAGE}'''\nmake({MESSAGE!r})\nassert made"),
        (ELSEWHERE, "assert 'so many words that the product never says' in text"),
        (ELSEWHERE, "assert 'SELECT a FROM b WHERE x is missing, and the journal goes up to y' in text"),
        (ELSEWHERE, f"TITLES = {{{MESSAGE!r}: 1}}\n\ndef test_x():\n    assert TITLES"),
        (
            ELSEWHERE,
            f"@pytest.mark.parametrize(('given', 'words'), [({MESSAGE!r}, 'x')])\ndef test_x(given, words):\n    assert words in text",
        ),
    ],
)
def test_accepts_sentences_in_their_own_test_and_other_words(plant: Planter, path: str, source: str) -> None:
    assert sentences.sentence_faults(planted(plant, source, path)) == []


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("debt", "fault"),
    [
        ("test_x.py 2\n", "test_x.py repeats 1 "),
        ("test_x.py 0\n", "test_x.py repeats 1 "),
        ("test_gone.py 1\ntest_x.py 1\n", "test_gone.py repeats 0 "),
        ("test_x.py 1\ntest_a.py 0\n", f"{sentences.DEBT} is not sorted"),
        ("test_x.py 2\ntest_x.py 1\n", f"{sentences.DEBT} is not sorted"),
    ],
)
def test_finds_a_wrong_record(plant: Planter, debt: str, fault: str) -> None:
    (found,) = sentences.sentence_faults(planted(plant, f"assert {MESSAGE!r} in text", debt=debt))
    assert found.startswith(fault)


def test_files_with_the_same_name_are_counted_together(plant: Planter) -> None:
    source = f"assert {MESSAGE!r} in text"
    root = plant({"tests/system/test_x.py": source})
    assert sentences.sentence_faults(planted(plant, source, debt="test_x.py 2\n")) == []
    assert len(sentences.found(root)["test_x.py"]) == 2


@pytest.mark.mutation
def test_the_record_is_only_lowered(plant: Planter) -> None:
    root = planted(plant, f"assert {MESSAGE!r} in text", debt="test_gone.py 3\ntest_x.py 2\n")
    plant({"tests/unit/test_new.py": f"assert {MESSAGE!r} in text"})
    sentences.lower(root)
    assert sentences.debt(root) == {"test_x.py": 1}
    (fault,) = sentences.sentence_faults(root)
    assert fault.startswith("test_new.py repeats 1 ")
