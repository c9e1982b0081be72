# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import os
import resource
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError, OptionError, StorageError
from ansible_collections.caracal_ops.backup.plugins.module_utils._report import prometheus
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.prometheus import Sample
from scenes.metrics_text import parse

SIZE = Sample("caracal_backup_last_size_bytes", "Size.", "gauge", {"deployment": "prod"}, 1234.0)


def with_labels(**labels: str) -> Sample:
    return dataclasses.replace(SIZE, labels=labels)


def test_samples_of_one_name_are_grouped() -> None:
    other = Sample("caracal_backup_drill_checks", "How many.", "gauge", {}, 0.25)
    text = prometheus.render([SIZE, other, with_labels(deployment="test")])
    assert text == (
        "# HELP caracal_backup_last_size_bytes Size.\n"
        "# TYPE caracal_backup_last_size_bytes gauge\n"
        'caracal_backup_last_size_bytes{deployment="prod"} 1234\n'
        'caracal_backup_last_size_bytes{deployment="test"} 1234\n'
        "# HELP caracal_backup_drill_checks How many.\n"
        "# TYPE caracal_backup_drill_checks gauge\n"
        "caracal_backup_drill_checks 0.25\n"
    )
    assert parse(text)["caracal_backup_drill_checks"] == {(): 0.25}
    assert prometheus.render([]) == ""


@pytest.mark.parametrize("value", ["a\\b", 'say "x"', "two\nlines", "\\n", "}", ",", "ö"])
def test_label_is_read_back_unchanged(value: str) -> None:
    text = prometheus.render([with_labels(deployment=value, verdict="pass")])
    assert text.count("\n") == 3
    assert parse(text)[SIZE.name] == {(("deployment", value), ("verdict", "pass")): 1234.0}


@pytest.mark.parametrize("value", [0, 1, 1790219520.123457, 1e-9, 2.0**53, 0.1 + 0.2])
def test_a_number_keeps_all_its_digits(value: float) -> None:
    assert parse(prometheus.render([dataclasses.replace(SIZE, value=value)]))[SIZE.name] == {(("deployment", "prod"),): value}


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ([SIZE, SIZE], "duplicate labels"),
        ([SIZE, dataclasses.replace(SIZE, kind="counter", labels={})], "two meanings"),
        ([SIZE, dataclasses.replace(SIZE, help="Another.", labels={})], "two meanings"),
        ([dataclasses.replace(SIZE, name="up")], "not a metric name"),
        ([dataclasses.replace(SIZE, name="caracal_backup_a b")], "not a metric name"),
        ([with_labels(**{"a-b": "x"})], "invalid label names"),
    ],
)
def test_a_table_that_no_prometheus_reads_is_a_mistake(samples: list[Sample], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        prometheus.render(samples)


def test_file_is_replaced_in_one_step_and_readable_by_every_user(tmp_path: Path) -> None:
    path = tmp_path / "backup.prom"
    before = os.umask(0o077)
    try:
        for text in ("old 1\n", "new 2\n"):
            prometheus.write(str(path), text)
            assert path.read_text() == text and path.stat().st_mode & 0o7777 == 0o644
    finally:
        os.umask(before)
    inode = path.stat().st_ino
    prometheus.write(str(path), "new 3\n")
    assert path.stat().st_ino != inode and os.listdir(tmp_path) == ["backup.prom"]


def refused(act: t.Callable[[], object], kind: type[BackupError], *words: str) -> None:
    with pytest.raises(BackupError) as raised:
        act()
    assert raised.type is kind and "\n" not in raised.value.msg
    assert not [word for word in words if word not in raised.value.msg], raised.value.msg


@pytest.mark.mutation
def test_unusable_paths_are_reported(tmp_path: Path) -> None:
    (tmp_path / "folder.prom").mkdir()
    for path, kind, word in (
        (tmp_path / "backup.txt", OptionError, "does not end in .prom"),
        (tmp_path / "no" / "backup.prom", StorageError, f"the directory {tmp_path / 'no'}"),
        (tmp_path / "folder.prom", StorageError, "is a directory"),
        (Path("/proc/backup.prom"), StorageError, "/proc"),
    ):
        refused(lambda path=path: prometheus.write(str(path), "x 1\n"), kind, "metrics_file", str(path), word)
        if path.parent != Path("/proc"):
            refused(lambda path=path: prometheus.check_place(str(path)), kind, str(path), word)
    assert os.listdir(tmp_path) == ["folder.prom"]


@pytest.mark.mutation
def test_full_disk_keeps_old_file(tmp_path: Path) -> None:
    path = tmp_path / "backup.prom"
    prometheus.write(str(path), "old 1\n")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, limits[1]))
    try:
        refused(lambda: prometheus.write(str(path), "new 2\n"), StorageError, str(path), "make room")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text() == "old 1\n" and os.listdir(tmp_path) == ["backup.prom"]
    prometheus.write(str(path), "new 2\n")
    assert path.read_text() == "new 2\n"
