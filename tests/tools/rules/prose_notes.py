# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Texts for maintainers in Python code: docstrings, comments and names of tests."""

from __future__ import annotations

import ast
import io
import re
import tokenize

from tools.rules.passage import CODE, Passage

_CODE = re.compile(r"``[^`]*``|`[^`]*`")
_PARAGRAPH = re.compile(r"\n\s*\n|\n\s*[*-] ")
# Comments for tools, and the header of each file.
_FOR_TOOLS = re.compile(r"#(!| ?(noqa|type:|pylint:|mypy:|fmt:|pragma|nosec|Copyright|GNU General|SPDX-))")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def passages(text: str) -> list[Passage]:
    """Return paragraphs of docstrings, comments and names of tests. Consecutive comment lines are one passage."""
    return sorted([*_docstrings(text), *_comments(text), *_names(text)])


def _docstrings(text: str) -> list[Passage]:
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, _DOCUMENTED) and (note := ast.get_docstring(node)) is not None:
            found += [Passage(node.body[0].lineno, words) for part in _PARAGRAPH.split(note) if (words := _words(part))]
    return found


def _names(text: str) -> list[Passage]:
    """Return the name of each test as a sentence."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (name := node.name.removeprefix("test_")) != node.name:
            found.append(Passage(node.lineno, name.replace("_", " ").capitalize()))
    return found


def _comments(text: str) -> list[Passage]:
    found: list[Passage] = []
    last = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT or _FOR_TOOLS.match(token.string):
            continue
        words, line, alone = _words(token.string.lstrip("#: ")), token.start[0], token.line.lstrip().startswith("#")
        if alone and found and line == last + 1:
            found[-1] = Passage(found[-1].line, f"{found[-1].text} {words}")
        else:
            found.append(Passage(line, words))
        last = line if alone else 0
    return found


def hash_comments(text: str) -> list[Passage]:
    """Return the comments of a file whose lines of comment begin with `#`, such as YAML. Consecutive lines are one passage."""
    found: list[Passage] = []
    last = 0
    for number, line in enumerate(text.splitlines(), 1):
        comment = line.strip()
        if not comment.startswith("# ") or _FOR_TOOLS.match(comment):
            continue
        words = _words(comment.lstrip("# "))
        if found and number == last + 1:
            found[-1] = Passage(found[-1].line, f"{found[-1].text} {words}")
        elif words:
            found.append(Passage(number, words))
        last = number
    return found


def _words(text: str) -> str:
    return " ".join(_CODE.sub(CODE, text).split())
