# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every console block of a guide is run by a test, or is marked as an example."""

from __future__ import annotations

import ast
import re
import typing as t

import yaml

from scenes import guide_commands, guide_pages
from tools.rules import tree

Block = tuple[str, int]
SECTIONS = {one["title"]: one["toctree"] for one in yaml.safe_load((tree.ROOT / "docs/docsite/extra-docs.yml").read_text())["sections"]}
STARTED = SECTIONS["Get started"]
TASKS = [page for title, pages in SECTIONS.items() if title not in ("Get started", "Reference", "Explanation") for page in pages]
CODE = """
def test_one(desk: Desk) -> None:
    desk.run_block("guide_one", 1)
    desk.run_block(page, 2)
    desk.run_block("guide_one", 3, {"a": "b"}, NAME="value")
"""


def run_by(modules: t.Iterable[ast.Module]) -> set[Block]:
    """Blocks that tests name with constants."""
    calls = (node for module in modules for node in ast.walk(module) if isinstance(node, ast.Call))
    named = (node.args[:2] for node in calls if isinstance(node.func, ast.Attribute) and node.func.attr == "run_block")
    return {(one.value, two.value) for one, two in named if isinstance(one, ast.Constant) and isinstance(two, ast.Constant)}


def blocks(pages: t.Iterable[str]) -> set[Block]:
    return {(page, number) for page in pages for number in range(1, len(guide_pages.blocks(page, "console")) + 1)}


def examples(pages: t.Iterable[str]) -> set[Block]:
    return {(page, number) for page in pages for number in guide_commands.examples(page)}


def test_every_console_block_is_run_or_is_an_example() -> None:
    run = run_by(tree.parse(tree.ROOT, path) for path in tree.files(tree.ROOT, "tests/**/*.py"))
    every, marked = blocks([*STARTED, *TASKS]), examples([*STARTED, *TASKS])
    assert [one for one in sorted(every) if not guide_commands.commands(*one).strip()] == []
    assert len(every) > 45 and sorted(every - run - marked) == [] and sorted(run & marked) == []
    assert sorted(run - blocks([*STARTED, *TASKS, *SECTIONS["Reference"]]) - run_by([ast.parse(CODE)])) == []


def test_at_most_one_block_in_ten_is_an_example() -> None:
    assert not examples(STARTED) and 0 < len(examples(TASKS)) <= len(blocks(TASKS)) / 10


def test_every_example_has_a_reason() -> None:
    for page in TASKS:
        text = (guide_pages.FOLDER / f"{page}.rst").read_text(encoding="utf-8")
        assert text.count(guide_commands.EXAMPLE) == len(guide_commands.examples(page))
        assert all(len(reason) > 10 for reason in re.findall(re.escape(guide_commands.EXAMPLE) + r" (.*)", text))


def test_finds_blocks_that_are_named_with_constants() -> None:
    assert run_by([ast.parse(CODE)]) == {("guide_one", 1), ("guide_one", 3)}


def test_prompts_and_output_are_not_commands() -> None:
    assert guide_commands.commands_of("$ one \\\n    two\noutput\nhost-a$   three\n") == "one \\\n    two\nthree\n"
    assert guide_commands.commands_of("# for a in b; do\n    c\n  done\n# d\n") == "for a in b; do\n    c\n  done\nd\n"
