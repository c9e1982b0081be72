# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plain English in texts that users and maintainers read: short sentences, a named actor, the usual verbs of the trade.

`python -m tools.rules.english [FILE …]` prints the findings in these files, or in all pages if no file is named.
"""

from __future__ import annotations

import re
import sys
import typing as t
from pathlib import Path

from tools.rules import prose, prose_ids, sizes, tree

PAGES = (
    "README.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "docs/docsite/rst/*.rst",
    "plugins/modules/*.py",
    "plugins/doc_fragments/*.py",
    "roles/*/README.md",
    "roles/*/meta/*.yml",
    "roles/*/tasks/*.yml",
    "playbooks/**/*.yml",
    "molecule/**/*.yml",
    "plugins/module_utils/**/*.py",
    "plugins/action/*.py",
    "plugins/filter/*.py",
    "tests/**/*.py",
    "tests/twin/compose/*.yml",
    "tests/twin/compose/Dockerfile",
    "roles/*/templates/*.j2",
    "roles/*/defaults/*.yml",
    "roles/*/vars/*.yml",
    "monitoring/**/*.yml",
    "monitoring/**/*.json",
    "changelogs/fragments/*.yml",
    ".github/**/*.yml",
    "execution_environment/*.yml",
    "Makefile",
)
# Words of a sentence. Code counts as one word.
LONGEST = 30
# Pattern and remedy. Case is ignored unless the pattern sets it.
PATTERNS = {
    r"\b(?<!there )(is|are|was|were|be|been) no (?!(more|fewer|less|longer|later|earlier|other) than\b)[a-z]+": "X is not a Y",
    r"\b(who|what|which)(so)?ever\b": "name the actor or the thing",
    r"\b(no|some|any|every)body\b": "name the actor: the operator, an attacker, the backup host",
    r"\b(told|tells?|said|says?)\b": "report, print, return",
    r"\b(looks?|looked|looking) (at|for what)\b": "check, inspect",
    r"\b(judged?|judges|believed?|believes)\b": "evaluate, verify, trust",
    r"\banew\b": "again",
    r"\ball the same\b": "anyway",
    r"\bno longer\b(?! than)": "not … any more, or the state that holds now",
    r"\bbeside\b": "next to, alongside",
    r"\bunder way\b": "running, in progress",
    r"\bstrangers?\b": "untrusted party",
    r"\bhangs? together\b": "is internally consistent",
    r"\bshut (in|off)\b": "isolated",
    r"\bby the clock\b": "on a schedule",
    r"\bfor want of\b": "because … is missing",
    r"\b(brings?|brought|bringing|puts?|comes?|came) back\b": "restore, return",
    r"\b(that|those) of\b": "repeat the noun",
    r"\bseams?\b": "trust boundary, boundary",
    r"\bthe short of it\b": "summary",
    r"(?-i:(?:^|[.:;] )(Of|By hand|Where|Whose|Whether) (?!to\b))": "begin with the subject, If, When, In or For",
    r"(?-i:(?:^|[.:;] )(Who|What) [^?]*$)": "name the party or the thing: signers, contents, limits",
    r"(?<=\S)  +(?=\S)": "one space",
    r";[^;.]*;": "two sentences instead of a chain",
}
_PATTERNS = {re.compile(pattern, re.IGNORECASE): remedy for pattern, remedy in PATTERNS.items()}
_END = re.compile(r"(?<=[.!?:;])\s+(?=[A-Z\"(*])")


def sentences(text: str) -> list[str]:
    return _END.split(text)


def findings(text: str) -> list[str]:
    """Return the findings in a passage."""
    found = [f"{match[0].strip()!r}: {remedy}" for pattern, remedy in _PATTERNS.items() for match in pattern.finditer(text)]
    for one in sentences(text):
        if (count := len(one.split())) > LONGEST:
            found.append(f"{count} words in a sentence, at most {LONGEST}: {one[:60]!r}")
    return found


def faults(root: Path, paths: t.Iterable[str]) -> list[str]:
    """Return `path:line: finding` for these files."""
    return [
        f"{path}:{passage.line}: {finding}"
        for path in paths
        for passage in prose.passages(root / path)
        for finding in findings(passage.text)
    ]


def id_faults(nodes: t.Iterable[str]) -> list[str]:
    """Return `test: finding` for the IDs of these parametrized tests."""
    return [f"{node}: {finding}" for node in nodes for text in prose_ids.words(node) for finding in findings(text)]


def main(arguments: t.Sequence[str]) -> str | None:
    """Print the number of pages; return the findings. Works on the tree in the current directory."""
    root = Path.cwd()
    paths = arguments or [path for pattern in PAGES for path in tree.files(root, pattern) if not path.startswith(sizes.DATA)]
    found = faults(root, paths)
    print(f"{len(paths)} pages, {len(found)} findings")
    return "\n".join(found) or None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
