# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of the duration of each test, `tests/durations.json`. A run with `--record` writes it.

A checksum over all rows detects a record that was edited by hand. Each file has a digest of its source, so that `make
record` finds the files that changed since they were measured.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
import typing as t
from pathlib import Path

PATH = Path(__file__).parents[1] / "durations.json"
# Seconds counted for a test without a row.
NEW = 0.1
# Seconds counted for a test with a row that is rounded to 0.0.
ROUNDED = 0.025


class EditedByHand(Exception):
    """The checksum of the record does not match its rows."""


@dataclasses.dataclass(frozen=True)
class File:
    """A measured test file: a digest of its source, and the seconds of each test."""

    source: str
    tests: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Record:
    """Test files by path."""

    files: dict[str, File]

    @classmethod
    def read(cls, path: Path = PATH) -> Record:
        """Read the record. Raises EditedByHand."""
        if not path.exists():
            return cls({})
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["checksum"] != _checksum(found["files"]):
            raise EditedByHand(f"{path.name} was edited by hand or merged; restore a version from the history, then run make record")
        return cls({name: File(**one) for name, one in found["files"].items()})

    @classmethod
    def of(cls, seconds: t.Mapping[str, float], shared: t.Mapping[str, float], root: Path) -> Record:
        """Create a record from the seconds of each test by node ID and the seconds of shared fixtures by file; `root` has the files."""
        number = collections.Counter(map(file_of, seconds))
        files: dict[str, File] = {}
        for node, own in seconds.items():
            name = file_of(node)
            file = files.setdefault(name, File(digest(root / name), {}))
            file.tests[test_of(node)] = round(own + shared.get(name, 0.0) / number[name], 1)
        return cls(files)

    def seconds(self, node: str) -> float | None:
        """Return the seconds of a test, or None if it has no row."""
        file = self.files.get(file_of(node))
        return file.tests.get(test_of(node)) if file else None

    def total(self, name: str) -> float:
        """Return the seconds of all tests of a file."""
        file = self.files.get(name)
        return sum(file.tests.values()) if file else NEW

    def quickest(self, nodes: t.Iterable[str], budget: float) -> set[str]:
        """Return the quickest tests with a row that together take `budget` seconds.

        Among equally quick tests a digest of the name decides, so that no file loses all of its tests.
        """
        rows = {node: took for node in nodes if (took := self.seconds(node)) is not None}
        found, spent = set[str](), 0.0
        for node in sorted(rows, key=lambda one: (rows[one], hashlib.sha256(one.encode()).digest())):
            spent += max(rows[node], ROUNDED)
            if spent > budget:
                break
            found.add(node)
        return found

    def is_current(self, node: str, root: Path) -> bool:
        """Return whether the test has a row and its file is not known to have changed since.

        Old rows have no digest of the source.
        """
        name = file_of(node)
        return self.seconds(node) is not None and self.files[name].source in ("", digest(root / name))

    def renewed(self, ran: Record) -> Record:
        """Return the record updated with another run. A changed file loses its other rows, because some of its tests may not exist any
        more.
        """
        merged = dict(self.files)
        for name, new in ran.files.items():
            old = self.files.get(name)
            kept = old.tests if old and old.source in ("", new.source) else {}
            merged[name] = File(new.source, {**kept, **new.tests})
        return Record(merged)

    def write(self, path: Path) -> None:
        files = {name: dataclasses.asdict(one) for name, one in self.files.items()}
        path.write_text(json.dumps({"checksum": _checksum(files), "files": files}, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def file_of(node: str) -> str:
    return node.partition("::")[0]


def test_of(node: str) -> str:
    return node.partition("::")[2]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.exists() else ""


def _checksum(files: t.Any) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
