# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Metrics for the textfile collector of node_exporter: format samples as text, and write the text to a file in one step."""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from .._errors import OptionError, StorageError
from .._files import paths

SUFFIX = ".prom"
MODE = 0o644
_NAME = re.compile(r"caracal_backup(_[a-z0-9]+)+\Z")
_LABEL = re.compile(r"[a-z][a-z0-9_]*\Z")


@dataclasses.dataclass(frozen=True)
class Sample:
    """One line. Samples with the same name are grouped, and have the same `help` and `kind` (`gauge` or `counter`)."""

    name: str
    help: str
    kind: str
    labels: t.Mapping[str, str]
    value: float


def render(samples: t.Iterable[Sample]) -> str:
    """Return the samples in the text format, version 0.0.4. Raise ValueError for samples that Prometheus would refuse."""
    families: dict[str, list[Sample]] = {}
    for sample in samples:
        families.setdefault(sample.name, []).append(sample)
    return "".join(line for name, family in families.items() for line in _family(name, family))


def _family(name: str, family: t.Sequence[Sample]) -> t.Iterator[str]:
    first = family[0]
    if not _NAME.match(name) or {(one.help, one.kind) for one in family} != {(first.help, first.kind)}:
        raise ValueError(f"{name}: not a metric name of this collection, or with two meanings")
    lines = [f"{name}{_labels(one.labels)} {_number(one.value)}\n" for one in family]
    if len({line.rpartition(" ")[0] for line in lines}) != len(lines):
        raise ValueError(f"{name}: duplicate labels")
    yield f"# HELP {name} {_escape(first.help)}\n"
    yield f"# TYPE {name} {first.kind}\n"
    yield from lines


def _labels(labels: t.Mapping[str, str]) -> str:
    if not all(_LABEL.match(name) for name in labels):
        raise ValueError(f"{sorted(labels)}: invalid label names")
    pairs = (f'{name}="{_quote(value)}"' for name, value in labels.items())
    return "{" + ",".join(pairs) + "}" if labels else ""


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quote(text: str) -> str:
    return _escape(text).replace('"', '\\"')


def _number(value: float) -> str:
    """Return whole numbers without a decimal point, others with all their digits."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def check_place(path: str) -> None:
    """Raise OptionError for a name that the collector does not read, StorageError for a directory that is not writable."""
    if not path.endswith(SUFFIX):
        raise OptionError(f"metrics_file {path} does not end in {SUFFIX}, so node_exporter would not read it; use that suffix")
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise StorageError(
            f"metrics_file {path}: the directory {folder} does not exist; create it, or use the directory that node_exporter reads"
        )
    if os.statvfs(folder).f_flag & os.ST_RDONLY or not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        raise StorageError(f"metrics_file {path}: {folder} is not writable; give this user write access, or use another directory")
    if os.path.isdir(path):
        raise StorageError(f"metrics_file {path} is a directory; give a file in it")


def write(path: str, text: str) -> None:
    """Replace the whole file in one step. All users can read it. Raises the errors of `check_place`, and StorageError for a full disk."""
    check_place(path)
    try:
        paths.replace(path, text.encode(), MODE)
    except OSError as exc:
        raise StorageError(f"metrics_file {path}: {exc.strerror}; make room, or use another file") from exc
