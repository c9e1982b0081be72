# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole sentences of the product that tests repeat. A message's wording is asserted where it is made and nowhere else.

A test is at home where a file of its name makes the sentence: `test_journal.py`, and `test_journal_times.py` too, for what `journal.py`
says; `test_s3.py` for `s3_client.py`; `test_retention_plan.py` for `retention/plan.py`. Anywhere else it looks at the check's id, the
error's class and its fields.

What stood elsewhere before this rule is a debt, counted in `sentence_debt.txt` by name of the file: it may only shrink.
`python -m tools.rules.sentences` prints it, `--lower` writes the numbers that have become smaller.
"""

from __future__ import annotations

import collections
import re
import sys
import typing as t
from pathlib import Path

from tools.rules import asserted, tree

DEBT = "tests/tools/rules/sentence_debt.txt"
TESTS = ("tests/unit", "tests/system")
# Documentation of modules shows samples of what is made elsewhere.
PRODUCT = ("plugins/module_utils", "plugins/action", "plugins/filter", "tests/tools", "tests/twin", "tests/faults", "tests/bench")
ROLES = ("roles/**/*.yml", "playbooks/**/*.yml", "playbooks/**/*.j2")
# So many words make a sentence, and so many in a row tell that it is the same one.
WORDS, SAME = 6, 3
_WORD = re.compile(r"[(\"'`]*([A-Za-z]+(?:['-][A-Za-z]+)*)[)\"'`,.;:?!]*")
_GAP = "|"
_SQL = re.compile(r"\b(SELECT|FROM|WHERE|INSERT|UPDATE|ALTER|CREATE|DROP|AND)\b")

Runs = frozenset[tuple[str, ...]]


def words(text: str) -> list[str]:
    """Words of a text or of a pattern for one, a gap where something else stands between them."""
    plain = re.sub(r"\.[*+]\??", f" {_GAP} ", text.replace("\\", "")).strip("^$")
    found = [_WORD.fullmatch(part) for part in plain.split()]
    return [one[1].lower() if one else _GAP for one in found]


def runs(text: str) -> Runs:
    """Every `SAME` words in a row."""
    found = words(text)
    windows = (tuple(found[at : at + SAME]) for at in range(len(found) - SAME + 1))
    return frozenset(window for window in windows if _GAP not in window)


def is_sentence(text: str) -> bool:
    return "\n" not in text and not _SQL.search(text) and sum(word != _GAP for word in words(text)) >= WORDS


class Product:
    """What the product says, and in which of its files."""

    def __init__(self, root: Path) -> None:
        self._makers: dict[tuple[str, ...], set[str]] = collections.defaultdict(set)
        for path in tree.python(root, *PRODUCT):
            for text in asserted.texts(tree.parse(root, path)):
                self._add(text, _names(Path(path)))
        for pattern in ROLES:
            for path in tree.files(root, pattern):
                self._add((root / path).read_text(encoding="utf-8"), [path])

    def _add(self, text: str, names: t.Iterable[str]) -> None:
        for run in runs(text):
            self._makers[run].update(names)

    def makers(self, file: str, text: str) -> list[str]:
        """Files that say most of the text, when it is a sentence and none of them is at home in this file of tests."""
        wanted = runs(text) if is_sentence(text) else frozenset()
        said = collections.Counter(name for run in wanted for name in self._makers.get(run, ()))
        most = sorted(name for name, count in said.items() if count == max(said.values()))
        return [] if any(_at_home(file, name) for name in most) else most


def _at_home(file: str, name: str) -> bool:
    """One of the two names is the beginning of the other, in whole words."""
    tested = file.removeprefix("test_").removesuffix(".py")
    return file.startswith("test_") and (f"{tested}_".startswith(f"{name}_") or f"{name}_".startswith(f"{tested}_"))


def _names(path: Path) -> tuple[str, str]:
    """What a test of this file is called after `test_`."""
    return path.stem, f"{path.parent.name.lstrip('_')}_{path.stem}"


def found(root: Path) -> dict[str, list[str]]:
    """Repeated sentences with their places, by the name of the file."""
    product = Product(root)
    places: dict[str, list[str]] = collections.defaultdict(list)
    for path in tree.python(root, *TESTS):
        name = Path(path).name
        for line, text in asserted.sentences(tree.parse(root, path)):
            if makers := product.makers(name, text):
                places[name].append(f"{path}:{line}: {text!r}, which {makers[0]} makes")
    return dict(places)


def record(root: Path) -> list[tuple[str, int]]:
    """The lines of the record: a name and a number each."""
    path = root / DEBT
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [(name, int(count)) for name, count in (line.split() for line in lines)]


def debt(root: Path) -> dict[str, int]:
    return dict(record(root))


def sentence_faults(root: Path) -> list[str]:
    """Files with more sentences than recorded, or with fewer; a record that is not sorted or names a file twice."""
    places, recorded = found(root), debt(root)
    faults = []
    for name in sorted(places.keys() | recorded.keys()):
        count, allowed = len(places.get(name, [])), recorded.get(name, 0)
        if count > allowed:
            shown = "\n  ".join(places[name])
            faults.append(
                f"{name} repeats {count} sentences of the product, {allowed} are recorded: look at ids, classes, fields\n  {shown}"
            )
        elif count < allowed:
            faults.append(
                f"{name} repeats {count} sentences of the product, {allowed} are recorded: python -m tools.rules.sentences --lower"
            )
    names = [name for name, _count in record(root)]
    return faults + ([f"{DEBT} is not sorted, or names a file twice"] if names != sorted(set(names)) else [])


def lower(root: Path) -> None:
    """Write the numbers that have become smaller, and no other."""
    places = found(root)
    left = {name: min(count, len(places.get(name, []))) for name, count in debt(root).items()}
    lines = [f"{name} {count}\n" for name, count in sorted(left.items()) if count]
    (root / DEBT).write_text("".join(lines), encoding="utf-8")


def main(arguments: t.Sequence[str]) -> str | None:
    """Print what is owed; returns the faults."""
    if arguments == ["--lower"]:
        lower(tree.ROOT)
    faults = sentence_faults(tree.ROOT)
    recorded = debt(tree.ROOT)
    print(f"{sum(recorded.values())} sentences in {len(recorded)} files")
    return "\n".join(faults) or None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
