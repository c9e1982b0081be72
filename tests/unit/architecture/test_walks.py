# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The architecture guide's walks match the code; a walk through a small tree fails at each place broken in turn."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tools.rules import guide, tree, walks

UTILS = "plugins/module_utils"
PRIVATE = "is private; name the public function that calls it"
LOST = "no step that still runs leads to it"
TITLE = "Keys, from a variable to bytes"
# Every way in which one function leads to another.
FILES = {
    "playbooks/seal.yml": "- hosts: all\n  roles:\n    - role: caracal_ops.backup.caracal_seal\n",
    "roles/caracal_seal/tasks/main.yml": "- include_tasks: no\n- ansible.builtin.include_tasks: '{{ item }}.yml'\n  loop: [dump]\n",
    "roles/caracal_seal/tasks/dump.yml": (
        "- caracal_ops.backup.pg_seal:\n    keys: '{{ caracal_seal_keys }}'\n  register: __sealed\n- debug: {var: __sealed}\n"
    ),
    "plugins/modules/pg_seal.py": (
        "from ..module_utils._ansible.boundary import run\nfrom ..module_utils._assets import pg_seal\n\n\n"
        "def main():\n    run({}, pg_seal.run)\n"
    ),
    f"{UTILS}/_ansible/boundary.py": "def run(spec, use_case):\n    use_case(spec)\n",
    f"{UTILS}/_assets/pg_seal.py": (
        "from .._crypto.sealing import Sealer\nfrom .._stream import pipes as p\nfrom .._storage import local\n\n\n"
        "def run(given):\n    p.each([_sealed, given])\n    with opened(given) as publish:\n        publish()\n\n\n"
        "def _sealed(given):\n    _into(given, Sealer(local.File()))\n\n\n"
        "def _into(given, sealer):\n    p.copy(given, sealer)\n\n\n"
        "def opened(given):\n    def publish():\n        given.finish()\n\n    yield publish\n"
    ),
    f"{UTILS}/_stream/pipes.py": (
        "class Sink(t.Protocol):\n    def write(self, data): ...\n\n\ndef copy(source, sink: Sink):\n    sink.write(source.read())\n"
    ),
    f"{UTILS}/_crypto/sealing.py": (
        "import threading\nfrom .._storage.base import Store\n\n\n"
        "class Sealer:\n    def __init__(self, store: Store):\n        self._out = _Counting(store)\n"
        "        threading.Thread(target=self._seal)\n\n    def write(self, data):\n        return None\n\n"
        "    def _seal(self):\n        library().encrypt(self._out)\n\n\n"
        "class _Counting:\n    def __init__(self, store: Store):\n        self._store = store\n\n"
        "    def write(self, data):\n        self._store.put(data)\n"
    ),
    f"{UTILS}/_storage/base.py": "class Store:\n    def put(self, data):\n        raise NotImplementedError\n",
    f"{UTILS}/_storage/local.py": "from .base import Store\n\n\nclass File(Store):\n    def put(self, data):\n        return None\n",
}
STEPS = [
    "``playbooks/seal.yml`` ``caracal_ops.backup.caracal_seal``",
    "``roles/caracal_seal/tasks/main.yml`` ``dump``",
    "``roles/caracal_seal/tasks/dump.yml`` ``caracal_seal_keys``",
    "``plugins/modules/pg_seal.py`` ``main``",
    "``_ansible/boundary.py`` ``run``",
    "``_assets/pg_seal.py`` ``run``",
    "``_crypto/sealing.py`` ``Sealer``",
    "``_storage/local.py`` ``File.put``",
    "``_stream/pipes.py`` ``copy``",
    "``_crypto/sealing.py`` ``Sealer.write``",
    "``_assets/pg_seal.py`` ``opened``",
    "``_assets/pg_seal.py`` ``opened.publish``",
    "``roles/caracal_seal/tasks/dump.yml`` ``__sealed``",
]
ENDS = {TITLE: ("playbooks/seal.yml caracal_ops.backup.caracal_seal", "roles/caracal_seal/tasks/dump.yml __sealed", len(STEPS))}


def text_of(steps: list[str]) -> str:
    """Return a guide with one walk between other sections."""
    items = "".join(f"#. {step}: what happens,\n   and why.\n" for step in steps)
    title = f"{TITLE}\n{'~' * len(TITLE)}\n"
    return f"Before\n------\n\n#. no walk\n\n{walks.HEADING}\n-----------\n\nWords.\n\n{title}\n{items}\nAfter\n-----\n"


def test_walks_of_the_guide_match_the_code() -> None:
    text = (tree.ROOT / guide.PATH).read_text(encoding="utf-8")
    assert walks.Walker(tree.ROOT).faults(text) == []


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("path", "old", "new", "step"),
    [
        (
            "roles/caracal_backup/tasks/dump.yml",
            "{{ caracal_backup_recipients | caracal_ops.backup.as_list }}",
            "",
            "dump.yml caracal_backup_recipients: ",
        ),
        (f"{UTILS}/_evidence/open_set.py", "age.refuse_signing_key(", "print(", "recipients.py refuse_signing_key: "),
        (f"{UTILS}/_drivers/postgres/dump.py", "def copy_leaf", "def copy_rows", "dump.py copy_leaf: "),
        (f"{UTILS}/_drill/drill_report.py", "opened.mark.advance(opened.journal)", "pass", "mark.py HighWaterMark.advance: "),
    ],
)
def test_reports_a_step_that_is_gone_from_the_code(tmp_path: Path, path: str, old: str, new: str, step: str) -> None:
    for folder in ("plugins", "roles", "playbooks"):
        shutil.copytree(tree.ROOT / folder, tmp_path / folder)
    source = (tmp_path / path).read_text(encoding="utf-8")
    assert old in source
    (tmp_path / path).write_text(source.replace(old, new), encoding="utf-8")
    faults = walks.Walker(tmp_path).faults((tree.ROOT / guide.PATH).read_text(encoding="utf-8"))
    assert len(faults) == 1
    assert step in faults[0]


@pytest.mark.no_false_alarm
def test_a_walk_along_the_calls_is_accepted(plant) -> None:
    assert walks.Walker(plant(FILES)).faults(text_of(STEPS), ENDS) == []


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("path", "old", "new", "step", "fault"),
    [
        ("playbooks/seal.yml", "backup.caracal_seal", "backup.caracal_other", 1, "caracal_ops.backup.caracal_seal is not in it"),
        ("roles/caracal_seal/tasks/main.yml", "[dump]", "[load]", 2, "dump is not in it"),
        ("roles/caracal_seal/tasks/main.yml", "include_tasks: '{{ item }}", "debug: '{{ item }}", 3, LOST),
        ("roles/caracal_seal/tasks/dump.yml", "caracal_seal_keys", "caracal_seal_other", 3, "caracal_seal_keys is not in it"),
        ("roles/caracal_seal/tasks/dump.yml", "backup.pg_seal", "backup.pg_other", 4, LOST),
        ("plugins/modules/pg_seal.py", "def main", "def start", 4, "main is not in it"),
        ("plugins/modules/pg_seal.py", "run({}, pg_seal.run)", "print({}, pg_seal.run)", 5, LOST),
        ("plugins/modules/pg_seal.py", "run({}, pg_seal.run)", "run({}, print)", 6, LOST),
        ("plugins/modules/pg_seal.py", "._assets import", "._sets import", 6, LOST),
        (f"{UTILS}/_ansible/boundary.py", "use_case(spec)", "print(spec)", 6, LOST),
        (f"{UTILS}/_assets/pg_seal.py", "[_sealed, given]", "[given]", 7, LOST),
        (f"{UTILS}/_assets/pg_seal.py", "Sealer(local.File())", "p.open()", 7, LOST),
        (f"{UTILS}/_crypto/sealing.py", "class Sealer", "class Locker", 7, "Sealer is not in it"),
        (f"{UTILS}/_crypto/sealing.py", "target=self._seal", "target=print", 8, LOST),
        (f"{UTILS}/_crypto/sealing.py", "encrypt(self._out)", "encrypt(self)", 8, LOST),
        (f"{UTILS}/_crypto/sealing.py", "self._store.put(data)", "print(data)", 8, LOST),
        (f"{UTILS}/_storage/local.py", "File(Store)", "File", 8, LOST),
        (f"{UTILS}/_stream/pipes.py", "def copy", "def move", 9, "copy is not in it"),
        (f"{UTILS}/_assets/pg_seal.py", "    _into(given, Sealer(local.File()))", "    Sealer(local.File())", 9, LOST),
        # A type annotation, not a call: this is not an argument of the boundary.
        (f"{UTILS}/_assets/pg_seal.py", "    p.copy(given, sealer)", "    given: p.copy = sealer", 9, LOST),
        (f"{UTILS}/_stream/pipes.py", "sink.write", "source.read", 10, LOST),
        (f"{UTILS}/_assets/pg_seal.py", "        publish()\n\n\n", "        pass\n\n\n", 12, LOST),
    ],
)
def test_changed_code_is_reported_by_its_step(plant, path: str, old: str, new: str, step: int, fault: str) -> None:
    assert FILES[path].count(old) == 1
    faults = walks.Walker(plant({**FILES, path: FILES[path].replace(old, new)})).faults(text_of(STEPS), ENDS)
    assert len(faults) == 1
    assert f"{TITLE}: step {step}, " in faults[0]
    assert faults[0].endswith(fault)


@pytest.mark.mutation
def test_a_missing_file_is_reported_by_its_step(plant) -> None:
    left = {path: source for path, source in FILES.items() if not path.endswith("pipes.py")}
    assert walks.Walker(plant(left)).faults(text_of(STEPS), ENDS) == [
        f"{guide.PATH}: {TITLE}: step 9, _stream/pipes.py copy: there is no such file"
    ]


@pytest.mark.mutation
@pytest.mark.parametrize("number", range(1, len(STEPS) + 1))
def test_a_step_that_is_left_out_is_found(plant, number: int) -> None:
    assert len(walks.Walker(plant(FILES)).faults(text_of(STEPS[: number - 1] + STEPS[number:]), ENDS)) == 1


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("number", "step", "fault"),
    [
        # The function has returned, so the functions that it calls do not run again.
        (11, "``_storage/local.py`` ``File.put``", LOST),
        (9, "``_stream/pipes.py`` ``Sink.write``", LOST),
        (9, "``_stream/pipes.py``", "names no file and function"),
        (9, "Back in ``_stream/pipes.py`` ``copy``", "names no file and function"),
        (9, "``_stream/pipes.py`` ``move``", "move is not in it"),
        (8, "``_crypto/sealing.py`` ``Sealer._seal``", PRIVATE),
        (8, "``_crypto/sealing.py`` ``_Counting.write``", PRIVATE),
    ],
)
def test_reports_an_unreachable_or_invalid_step(plant, number: int, step: str, fault: str) -> None:
    faults = walks.Walker(plant(FILES)).faults(text_of([*STEPS[: number - 1], step, *STEPS[number:]]), ENDS)
    assert len(faults) == 1
    assert f"{TITLE}: step {number}, " in faults[0]
    assert faults[0].endswith(fault)


@pytest.mark.mutation
def test_finds_a_missing_or_renamed_walk(plant) -> None:
    walker = walks.Walker(plant(FILES))
    for text in ("", text_of([]), text_of(STEPS).replace(TITLE, TITLE.lower())):
        assert len(walker.faults(text, ENDS)) == 1
