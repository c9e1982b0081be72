# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host that sends arbitrary answers to the controller."""

from __future__ import annotations

import json
import sys
import typing as t
from pathlib import Path

_LIES = """\
#!PYTHON -B
import json, pathlib, re, subprocess, sys
# A module comes as a file, or with pipelining from standard input.
given = b"" if sys.argv[1:] else sys.stdin.buffer.read()
asked = " ".join(sys.argv[1:]) or given.decode()
name = re.search("AnsiballZ_(\\\\w+)[.]py" if sys.argv[1:] else "ansible_module='(?:[a-z_]+[.])*([a-z0-9_]+)'", asked)
told = json.loads(pathlib.Path("ANSWERS").read_text())
instead = told["instead"].get(name[1]) if name else None
if instead is None:
    source = {"input": given} if given else {"stdin": sys.stdin}
    done = subprocess.run(["PYTHON", *sys.argv[1:]], stdout=subprocess.PIPE, **source)
    said, status = done.stdout, done.returncode
else:
    said, status = json.dumps(instead).encode(), 0
more = {**told["more"].get("*", {}), **told["more"].get(name[1], {})} if name else {}
def lied(value, key=""):
    if isinstance(value, dict):
        return {one: lied(inner, one) for one, inner in value.items()}
    if isinstance(value, list):
        return [lied(one, key) for one in value]
    return told["texts"] if isinstance(value, str) and key not in told["but"] else value
if name and b"{" in said:
    answer = json.loads(said[said.index(b"{"):])
    if told["texts"] is not None:
        answer = lied(answer)
    for field, value in more.items():
        answer[field] = answer.get(field, []) + value if isinstance(value, list) else value
    said = json.dumps(answer).encode() + told.get("junk", "").encode()
sys.stdout.buffer.write(said)
sys.exit(status)
"""
# By module; `*` applies to all modules.
Answers = dict[str, dict[str, t.Any]]


def python(folder: Path, answers: Answers, instead: Answers | None = None) -> Path:
    """Write an interpreter that adds `answers` to the answers of modules. A module in `instead` does not run: its answer is there."""
    return _made(folder, more=answers, instead=instead or {})


def with_texts(folder: Path, text: str, but: t.Sequence[str] = (), instead: Answers | None = None) -> Path:
    """Write an interpreter that puts `text` into each field of every answer, `but` not into the fields with these names."""
    return _made(folder, texts=text, but=[*but], instead=instead or {})


def with_junk(folder: Path, junk: str) -> Path:
    """Write an interpreter that prints `junk` after each answer."""
    return _made(folder, junk=junk)


def _made(folder: Path, **lies: t.Any) -> Path:
    folder.mkdir(exist_ok=True)
    usual: dict[str, t.Any] = {"more": {}, "instead": {}, "texts": None, "but": []}
    (folder / "answers.json").write_text(json.dumps({**usual, **lies}), encoding="utf-8")
    made = folder / "python"
    made.write_text(_LIES.replace("PYTHON", sys.executable).replace("ANSWERS", str(folder / "answers.json")), encoding="utf-8")
    made.chmod(0o755)
    return made
