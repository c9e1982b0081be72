# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole sentences of the product that tests repeat. Only tests of the file that makes a message assert its words.

A test is such a test if its name begins with the file's: `test_journal.py` and `test_journal_times.py` test
`journal.py`, `test_s3.py` tests `s3_client.py`, and `test_retention_plan.py` tests `retention/plan.py`. All other tests
compare the ID of a check, or the class and the fields of an error.

`sentence_debt.txt` counts older repetitions by file. The counts may only shrink. `python -m tools.rules.sentences`
prints the repetitions, and `--lower` writes the numbers that became smaller.
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
# Documentation of modules is not included: it shows samples of texts that other files make.
PRODUCT = ("plugins/module_utils", "plugins/action", "plugins/filter", "tests/tools", "tests/twin", "tests/faults", "tests/bench")
ROLES = ("roles/**/*.yml", "playbooks/**/*.yml", "playbooks/**/*.j2")
# The number of words of a sentence, and the number of consecutive words by which it is recognized.
WORDS, SAME = 6, 3
_WORD = re.compile(r"[(\"'`]*([A-Za-z]+(?:['-][A-Za-z]+)*)[)\"'`,.;:?!]*")
_GAP = "|"
_SQL = re.compile(r"\b(SELECT|FROM|WHERE|INSERT|UPDATE|ALTER|CREATE|DROP|AND)\b")

Runs = frozenset[tuple[str, ...]]


def words(text: str) -> list[str]:
    """Return the words of a text or of a pattern for one, with a gap for everything else between them."""
    plain = re.sub(r"\.[*+]\??", f" {_GAP} ", text.replace("\\", "")).strip("^$")
    found = [_WORD.fullmatch(part) for part in plain.split()]
    return [one[1].lower() if one else _GAP for one in found]


def runs(text: str) -> Runs:
    """Return every sequence of `SAME` consecutive words."""
    found = words(text)
    windows = (tuple(found[at : at + SAME]) for at in range(len(found) - SAME + 1))
    return frozenset(window for window in windows if _GAP not in window)


def is_sentence(text: str) -> bool:
    return "\n" not in text and not _SQL.search(text) and sum(word != _GAP for word in words(text)) >= WORDS


class Product:
    """The sentences of the product, and the files that contain them."""

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
        """Return the files that contain most of the text, if it is a sentence and this test file tests none of them."""
        wanted = runs(text) if is_sentence(text) else frozenset()
        counts = collections.Counter(name for run in wanted for name in self._makers.get(run, ()))
        most = sorted(name for name, count in counts.items() if count == max(counts.values()))
        return [] if any(_at_home(file, name) for name in most) else most


def _at_home(file: str, name: str) -> bool:
    """Return whether one of the two names is a prefix of the other, in whole words."""
    tested = file.removeprefix("test_").removesuffix(".py")
    return file.startswith("test_") and (f"{tested}_".startswith(f"{name}_") or f"{name}_".startswith(f"{tested}_"))


def _names(path: Path) -> tuple[str, str]:
    """Return the possible names of this file's tests, without `test_`."""
    return path.stem, f"{path.parent.name.lstrip('_')}_{path.stem}"


def found(root: Path) -> dict[str, list[str]]:
    """Return repeated sentences with their locations, by the name of the file."""
    product = Product(root)
    places: dict[str, list[str]] = collections.defaultdict(list)
    for path in tree.python(root, *TESTS):
        name = Path(path).name
        for line, text in asserted.sentences(tree.parse(root, path)):
            if makers := product.makers(name, text):
                places[name].append(f"{path}:{line}: {text!r}, which {makers[0]} makes")
    return dict(places)


def record(root: Path) -> list[tuple[str, int]]:
    """Return the lines of the record, each with a name and a number."""
    path = root / DEBT
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [(name, int(count)) for name, count in (line.split() for line in lines)]


def debt(root: Path) -> dict[str, int]:
    return dict(record(root))


def sentence_faults(root: Path) -> list[str]:
    """Return files with more or fewer sentences than recorded, and faults of a record that is not sorted or repeats a name."""
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
    """Write only the numbers that became smaller."""
    places = found(root)
    left = {name: min(count, len(places.get(name, []))) for name, count in debt(root).items()}
    lines = [f"{name} {count}\n" for name, count in sorted(left.items()) if count]
    (root / DEBT).write_text("".join(lines), encoding="utf-8")


def main(arguments: t.Sequence[str]) -> str | None:
    """Print the repetitions; return the faults."""
    if arguments == ["--lower"]:
        lower(tree.ROOT)
    faults = sentence_faults(tree.ROOT)
    recorded = debt(tree.ROOT)
    print(f"{sum(recorded.values())} sentences in {len(recorded)} files")
    return "\n".join(faults) or None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
