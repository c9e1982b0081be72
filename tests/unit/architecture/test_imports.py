# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from tools.rules import imports, tree

UTILS = "plugins/module_utils"
ANSIBLE = "ansible"
PARTS = tuple(imports.ALLOWED)
# Every pair that the rule covers: a part and the part that it imports.
DIRECTIONS = [(part, target) for part in PARTS for target in (*PARTS, ANSIBLE) if target != part]


def is_allowed(part: str, target: str) -> bool:
    return target in imports.ALLOWED[part] or (target == ANSIBLE and part in {*imports.MAY_KNOW_ANSIBLE, "doc_fragments"})


def folder_of(part: str) -> str:
    return f"{UTILS}/{part}" if part.startswith("_") else f"plugins/{part}"


def source(part: str, target: str) -> str:
    """Return the import in two forms, inside a function: absolute, and relative as our code writes it."""
    if target == ANSIBLE:
        return "import ansible.module_utils.basic\n\n\ndef f():\n    from ansible.module_utils import basic"
    absolute = ".".join((*imports.COLLECTION, *folder_of(target).split("/")))
    shared = part.startswith("_") and target.startswith("_")
    up = "." * (3 if part.startswith("_") and not shared else 2)
    relative = up + (target if shared else folder_of(target).removeprefix("plugins/").replace("/", "."))
    return f"from {absolute} import x\n\n\ndef f():\n    from {relative} import x"


def test_the_plugins_import_one_way() -> None:
    assert tree.python(tree.ROOT, "plugins")
    assert imports.direction_faults(tree.ROOT) == []


def test_the_rule_goes_one_way() -> None:
    """At most one of two parts may import the other, and the table lists rooms after the rooms that they may import."""
    for number, part in enumerate(PARTS):
        assert all(part not in imports.ALLOWED[target] for target in imports.ALLOWED[part])
        assert imports.ALLOWED[part] <= {*PARTS[:number]}


@pytest.mark.mutation
def test_an_import_in_each_forbidden_direction_is_found(plant) -> None:
    forbidden = {f"{folder_of(part)}/to_{target}.py": (part, target) for part, target in DIRECTIONS if not is_allowed(part, target)}
    assert len(forbidden) > 200
    faults = imports.direction_faults(plant({path: source(*direction) for path, direction in forbidden.items()}))
    listed = [(path, int(line), fault.strip().partition(" (")[0]) for path, line, fault in (one.split(":", 2) for one in faults)]
    assert sorted(listed) == sorted(
        (path, line, f"{part} may not {'know Ansible' if target == ANSIBLE else f'import {target}'}")
        for path, (part, target) in forbidden.items()
        for line in (1, 5)
    )


@pytest.mark.no_false_alarm
def test_an_import_in_each_allowed_direction_is_accepted(plant) -> None:
    allowed = {f"{folder_of(part)}/to_{target}.py": (part, target) for part, target in DIRECTIONS if is_allowed(part, target)}
    assert len(allowed) > 100
    assert imports.direction_faults(plant({path: source(*direction) for path, direction in allowed.items()})) == []


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("path", "source", "fault"),
    [
        (f"{UTILS}/_errors.py", "from ._report.check import Check", "_errors may not import _report"),
        (f"{UTILS}/_stream/x.py", "from .._crypto.sealing import Sealer", "_stream may not import _crypto"),
        (f"{UTILS}/_crypto/x.py", "from .._storage.base import Store", "_crypto may not import _storage"),
        (f"{UTILS}/_storage/x.py", "from .. import _crypto", "_storage may not import _crypto"),
        (f"{UTILS}/_repository/x.py", "def f():\n    from .._sandbox import lifecycle", "_repository may not import _sandbox"),
        (f"{UTILS}/_caracal/x.py", "from .._stream.process import run", "_caracal may not import _stream"),
        (f"{UTILS}/_caracal/x.py", "from .._deps import require_psycopg2", "_caracal may not import _deps"),
        (f"{UTILS}/_drivers/a/x.py", "from ..._ansible.boundary import run", "_drivers may not import _ansible"),
        (f"{UTILS}/_assets/a/x.py", "from ..._sets import backup_set", "_assets may not import _sets"),
        (f"{UTILS}/_checks/x.py", "from .._drill import drill_report", "_checks may not import _drill"),
        (
            f"{UTILS}/_drivers/x.py",
            "from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import releases",
            "_drivers may not import _caracal",
        ),
        (f"{UTILS}/_crypto/x.py", "from ansible.module_utils.basic import AnsibleModule", "_crypto may not know Ansible"),
        ("plugins/modules/x.py", "from ..module_utils._errors import BackupError", "modules may not import _errors"),
        ("plugins/modules/x.py", "import ansible.module_utils.basic", "modules may not know Ansible"),
        ("plugins/modules/x.py", "from ...tests.twin import load", "is not a part of the plugins"),
        (f"{UTILS}/_helpers/x.py", "import os", "_helpers is not a part of the design"),
    ],
)
def test_an_import_against_the_layers_is_found(plant, path: str, source: str, fault: str) -> None:
    faults = imports.direction_faults(plant({path: source}))
    assert len(faults) == 1
    assert path in faults[0]
    assert fault in faults[0]


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(
    ("path", "source"),
    [
        (f"{UTILS}/_ansible/x.py", "from ansible.module_utils.basic import AnsibleModule\nfrom .._errors import BackupError"),
        (f"{UTILS}/_drivers/a/x.py", "from ..b import find\nfrom ..._repository.journal import Journal\nimport os.path"),
        (f"{UTILS}/_crypto/x.py", "from .sealing import Sealer\nfrom .._deps import require_pyrage"),
        ("plugins/modules/x.py", "from ..module_utils._ansible.argspec import postgres\nfrom ..module_utils._sets import backup_set"),
    ],
)
def test_an_import_along_the_layers_is_accepted(plant, path: str, source: str) -> None:
    assert imports.direction_faults(plant({path: source})) == []
