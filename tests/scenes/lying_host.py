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
#!{python} -B
import json, pathlib, re, subprocess, sys
done = subprocess.run([{python!r}, *sys.argv[1:]], stdin=sys.stdin, stdout=subprocess.PIPE)
said = done.stdout
name = re.search(r"AnsiballZ_(\\w+)[.]py", " ".join(sys.argv))
more = json.loads(pathlib.Path({answers!r}).read_text()).get(name[1] if name else "")
if more and b"{{" in said:
    answer = json.loads(said[said.index(b"{{"):])
    for field, value in more.items():
        answer[field] = answer.get(field, []) + value if isinstance(value, list) else value
    said = json.dumps(answer).encode()
sys.stdout.buffer.write(said)
sys.exit(done.returncode)
"""
# By module.
Answers = dict[str, dict[str, t.Any]]


def python(folder: Path, answers: Answers) -> Path:
    """An interpreter that adds `answers` to what modules say."""
    (folder / "answers.json").write_text(json.dumps(answers), encoding="utf-8")
    made = folder / "python"
    made.write_text(_LIES.format(python=sys.executable, answers=str(folder / "answers.json")), encoding="utf-8")
    made.chmod(0o755)
    return made
