# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rule for plain English finds each of its patterns in prose and ignores code."""

from __future__ import annotations

import typing as t

import pytest

from tools import tiers
from tools.rules import english, prose, prose_ids

# One sentence for each pattern, in the order of `english.PATTERNS`.
PLANTED = (
    "It is no set.",
    "Use it with whoever has the key.",
    "An attacker or anybody can read it.",
    "The server says yes.",
    "The module looks at the file.",
    "The key is judged.",
    "It runs anew.",
    "It runs all the same.",
    "It no longer runs.",
    "It is beside the file.",
    "A dump is under way.",
    "It is read by a stranger.",
    "The copy hangs together.",
    "It is shut in.",
    "It runs by the clock.",
    "It fails for want of a key.",
    "The play puts back the file.",
    "The key is that of the host.",
    "It crosses a seam.",
    "Read the short of it.",
    "Of a set, one file is enough.",
    "What a set contains.",
    "Two  spaces.",
    "One; two; three.",
)
PLAIN = ("There is no set.", "It is no longer than that.", "Restart it; then ask.", "What does a set contain?")


@pytest.mark.mutation
@pytest.mark.parametrize(("text", "pattern"), list(zip(PLANTED, english.PATTERNS, strict=True)), ids=range(len(PLANTED)))
def test_finds_each_pattern(text: str, pattern: str) -> None:
    assert any(finding.endswith(f": {english.PATTERNS[pattern]}") for finding in english.findings(text))


@pytest.mark.mutation
def test_finds_a_long_sentence() -> None:
    assert english.findings(f"{'word ' * english.LONGEST}word.") and not english.findings(f"{'word ' * (english.LONGEST - 1)}word.")


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("text", PLAIN)
def test_plain_sentences_pass(text: str) -> None:
    assert english.findings(text) == []


RST = """
Title
=====

.. _label:

One ``told`` and :ref:`two <x>`.

.. code-block:: console

  $ told

.. list-table::

   * - cell
     - told

.. ansible-thing::

   told
"""
MARKDOWN = """
# Title

One `told` and [two](https://told.example).
Three.

```sh
told
```

| head |
|---|
| cell |
"""


def test_reads_the_prose_of_a_page(plant) -> None:
    root = plant({"a.rst": RST, "b.md": MARKDOWN})
    assert [one.text for one in prose.passages(root / "a.rst")] == ["Title", "One X and two.", "cell", "told"]
    assert [one.text for one in prose.passages(root / "b.md")] == ["Title", "One X and two. Three.", "head", "cell"]


MODULE = """
DOCUMENTATION = r'''
short_description: One told
description:
  - Reads O(told) and V(said), L(two,https://told.example).
options:
  told:
    description: Name of X.
'''

class X:
    'A docstring that was told.'

    PROGRESS = r'''
options:
  x:
    description: Three words here.
'''

    def y(self, told):
        raise ValueError(f"cannot read {told} of it", "SELECT told FROM table x", "told")
"""
PLAYS = """
- name: Read the {{ told }} keys
  debug:
    msg: >-
      Told over
      two lines.
    name: told
"""


def test_reads_documentation_and_messages(plant) -> None:
    root = plant({"a.py": MODULE, "b.yml": PLAYS})
    found = [(3, "One told"), (5, "Reads X and X, two."), (8, "Name of X."), (12, "A docstring that was told."), (17, "Three words here.")]
    found += [(21, "cannot read X of it")]
    assert prose.passages(root / "a.py") == found
    assert prose.passages(root / "b.yml") == [(2, "Read the X keys"), (4, "Told over two lines.")]


def test_reads_names_and_notes_of_tests(plant) -> None:
    source = "def test_key_is_told():\n    'Two words.'\n    # A note.\n    assert told == 'a message of the product'\n"
    root = plant({"tests/test_a.py": source})
    assert prose.passages(root / "tests/test_a.py") == [(1, "Key is told"), (2, "Two words."), (3, "A note.")]


COMMENTED = """
# A key
# is told.
A = 1  # noqa
	# Second.
"""


@pytest.mark.parametrize("path", ["Makefile", "Dockerfile", "a.yml", "a.j2"])
def test_reads_comments_of_each_format(plant, path: str) -> None:
    source = COMMENTED if path != "a.yml" else COMMENTED.replace("A = 1", "a: 1").replace("\t", "  ")
    assert prose.passages(plant({path: source}) / path) == [(2, "A key is told."), (5, "Second.")]


def test_reads_a_dashboard_and_a_changelog_fragment(plant) -> None:
    root = plant({"a.json": '{"panels": [{"description": "Two words"}]}', "b.yml": "bugfixes:\n  - One told.\n"})
    assert [one.text for path in ("a.json", "b.yml") for one in prose.passages(root / path)] == ["Two words", "One told."]


@pytest.mark.mutation
def test_names_the_line(plant) -> None:
    root = plant({"a.rst": "Title\n=====\n\nPlain words.\n\nIt runs anew.\n"})
    assert english.faults(root, ["a.rst"]) == ["a.rst:6: 'anew': again"]


def test_reads_the_words_of_ids() -> None:
    assert prose_ids.words("tests/x.py::test_y[a dump_is told-SELECT 1;-two, words]") == ["a dump is told", "two, words"]
    assert prose_ids.words("tests/x.py::test_y") == []


@pytest.mark.mutation
def test_finds_a_pattern_in_an_id() -> None:
    [fault] = english.id_faults(["x.py::test_y[a key]", "x.py::test_y[nobody_reads]"])
    assert fault.startswith("x.py::test_y[nobody_reads]: 'nobody'")


def test_ids_of_all_tests_are_plain_english(request: pytest.FixtureRequest) -> None:
    collected = t.cast("tiers.Chooser", request.config.pluginmanager.get_plugin(tiers.NAME)).collected
    assert collected and english.id_faults(collected) == []
