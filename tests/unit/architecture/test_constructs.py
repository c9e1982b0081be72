# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from tools.rules import constructs, tree

PATH = "plugins/module_utils/_drivers/x.py"


def test_plugins_have_no_forbidden_constructs() -> None:
    assert tree.python(tree.ROOT, "plugins")
    assert constructs.construct_faults(tree.ROOT) == []


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("import subprocess", "starts processes"),
        ("from subprocess import Popen", "starts processes"),
        ("import os\nos.system('true')", "starts processes"),
        ("import os\nos.execv('/bin/true', [])", "starts processes"),
        ("def f():\n    import importlib", "importlib"),
        ("from importlib.util import find_spec", "importlib"),
        ("def f(x):\n    assert x", "assert"),
        ("match 1:\n    case _:\n        pass", "match"),
        ("run('x', shell=True)", "argument list"),
        ("run('x', use_unsafe_shell=flag)", "argument list"),
        ("import psycopg2\npsycopg2.connect(dbname='x')", "opens sessions"),
        ("require_psycopg2().connect('dbname=x')", "opens sessions"),
        ("run(argv, env={'PGDATABASE': 'x'})", "how a libpq program connects"),
        ("AnsibleModule(argument_spec={})", "supports_check_mode"),
        ("AnsibleModule(argument_spec={}, supports_check_mode=False)", "supports_check_mode"),
    ],
)
def test_a_forbidden_construct_is_found(plant, source: str, fault: str) -> None:
    faults = constructs.construct_faults(plant({PATH: source}))
    assert len(faults) == 1
    assert PATH in faults[0]
    assert fault in faults[0]


@pytest.mark.no_false_alarm
def test_allowed_constructs_are_accepted(plant) -> None:
    root = plant(
        {
            constructs.OPENS_SESSIONS: "psycopg2 = require_psycopg2()\npsycopg2.connect(options='')\n{'PGOPTIONS': ''}",
            constructs.STARTS_TOOLS: "env['PGPASSFILE'] = '/proc/self/fd/3'",
            constructs.STARTS_PROCESSES: "import subprocess\nsubprocess.run(['true'], shell=False)",
            constructs.LOOKS_FOR_LIBRARIES: "from importlib.util import find_spec",
            PATH: "from subprocess import PIPE\nimport os\nos.path.exists('x')\nAnsibleModule(supports_check_mode=True, **spec)",
        }
    )
    assert constructs.construct_faults(root) == []
