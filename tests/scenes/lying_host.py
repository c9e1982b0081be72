# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host that answers the controller with what it likes."""

from __future__ import annotations

import json
import sys
import typing as t
from pathlib import Path

_LIES = """\
#!PYTHON -B
import json, pathlib, re, subprocess, sys
done = subprocess.run(["PYTHON", *sys.argv[1:]], stdin=sys.stdin, stdout=subprocess.PIPE)
said = done.stdout
name = re.search(r"AnsiballZ_(\\w+)[.]py", " ".join(sys.argv))
told = json.loads(pathlib.Path("ANSWERS").read_text())
more = {**told.get("*", {}), **told.get(name[1], {})} if name else {}
def lied(value, key=""):
    if isinstance(value, dict):
        return {one: lied(inner, one) for one, inner in value.items()}
    if isinstance(value, list):
        return [lied(one, key) for one in value]
    return told["texts"] if isinstance(value, str) and key not in told["but"] else value
if name and b"{" in said:
    answer = json.loads(said[said.index(b"{"):])
    if "texts" in told:
        answer = lied(answer)
    for field, value in more.items():
        answer[field] = answer.get(field, []) + value if isinstance(value, list) else value
    said = json.dumps(answer).encode() + told.get("junk", "").encode()
sys.stdout.buffer.write(said)
sys.exit(done.returncode)
"""
# By module; those of `*` are of all.
Answers = dict[str, dict[str, t.Any]]


def python(folder: Path, answers: Answers) -> Path:
    """An interpreter that adds `answers` to what modules say."""
    return _made(folder, answers)


def with_texts(folder: Path, text: str, but: t.Sequence[str] = ()) -> Path:
    """An interpreter that says `text` in each field of every answer, `but` in those of these names."""
    return _made(folder, {"texts": text, "but": [*but]})


def with_junk(folder: Path, junk: str) -> Path:
    """An interpreter that says `junk` after each answer."""
    return _made(folder, {"junk": junk})


def _made(folder: Path, told: t.Mapping[str, t.Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "answers.json").write_text(json.dumps(told), encoding="utf-8")
    made = folder / "python"
    made.write_text(_LIES.replace("PYTHON", sys.executable).replace("ANSWERS", str(folder / "answers.json")), encoding="utf-8")
    made.chmod(0o755)
    return made
