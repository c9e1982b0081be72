# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import importlib
import inspect
import re
import typing as t

import pytest

from tools.rules import documented, tree

PLUGINS = "ansible_collections.caracal_ops.backup.plugins"
MODULES = documented.modules(tree.ROOT)


def spec_of(module: str) -> documented.Options:
    found: documented.Options = importlib.import_module(f"{PLUGINS}.modules.{module}").Options.spec()
    return found


def fragments_of_specs() -> dict[str, documented.Options]:
    """Return, by fragment, the options of the class that names the fragment in its docstring."""
    shared = importlib.import_module(f"{PLUGINS}.module_utils._options.shared")
    found = {}
    for _name, options in inspect.getmembers(shared, inspect.isclass):
        named = re.match(r"Fragment `(\w+)`", options.__doc__ or "")
        if named:
            found[named.group(1)] = options.spec()
    return found


def test_there_are_modules_and_shared_options() -> None:
    assert MODULES
    assert fragments_of_specs()


@pytest.mark.parametrize("module", MODULES)
def test_each_option_is_documented_and_real(module: str) -> None:
    options = documented.documentation(tree.ROOT, module).get("options") or {}
    assert documented.option_faults(options, spec_of(module)) == []


@pytest.mark.parametrize("name", sorted(fragments_of_specs()))
def test_each_fragment_equals_its_options(name: str) -> None:
    options = documented.fragment(tree.ROOT, name).get("options") or {}
    assert documented.option_faults(options, fragments_of_specs()[name]) == []


@pytest.mark.parametrize("module", MODULES)
def test_each_module_is_fully_documented_with_check_mode(module: str) -> None:
    assert documented.document_faults(tree.ROOT, module) == []


@pytest.mark.parametrize("module", MODULES)
def test_shared_options_are_described_once(module: str) -> None:
    assert documented.described_twice(tree.ROOT, module) == []


def test_the_action_group_lists_the_modules() -> None:
    assert documented.group_faults(tree.ROOT) == []


DOCUMENTED = {
    "a": {"description": "A.", "type": "int", "default": 1},
    "b": {"description": "B.", "suboptions": {"c": {"description": "C."}}},
}
REAL: documented.Options = {"a": {"type": "int", "default": 1}, "b": {"options": {"c": {}}}}


@pytest.mark.no_false_alarm
def test_equal_options_are_accepted() -> None:
    assert documented.option_faults(DOCUMENTED, REAL) == []


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"d": {}}, "d is real but not documented"),
        ({"a": {"type": "str", "default": 1}}, "a: type is documented as 'int' and is 'str'"),
        ({"a": {"type": "int", "default": 2}}, "a: default is documented as 1 and is 2"),
        ({"a": {"type": "int", "required": True, "default": 1}}, "a: required is documented as False and is True"),
        ({"b": {"options": {"c": {}, "e": {}}}}, "b.e is real but not documented"),
        ({"b": {"options": {}}}, "b.c is documented but not real"),
    ],
)
def test_a_difference_of_options_is_found(change: dict[str, dict[str, t.Any]], fault: str) -> None:
    assert documented.option_faults(DOCUMENTED, {**REAL, **change}) == [fault]


GOOD = '''
DOCUMENTATION = r"""
extends_documentation_fragment: [caracal_ops.backup._attributes]
attributes:
  check_mode:
    support: full
"""
EXAMPLES = r"""
- caracal_ops.backup.x:
"""
RETURN = r"""
a: {description: A., returned: always, type: str}
"""
from a import Options
def main(): ...
'''
FRAGMENT = 'class ModuleDocFragment:\n    DOCUMENTATION = r"""\nattributes:\n  check_mode:\n    description: Yes.\n"""\n'


def planted(plant, source: str):
    return plant({"plugins/modules/x.py": source, "plugins/doc_fragments/_attributes.py": FRAGMENT})


@pytest.mark.mutation
def test_finds_an_option_described_as_in_a_fragment(plant) -> None:
    option = "options:\n  {}:\n    description: Its address.\n"
    files = {
        **{f"plugins/modules/{name}.py": f'DOCUMENTATION = r"""\n{option.format(name)}"""\n' for name in ("a", "b")},
        "plugins/doc_fragments/_a.py": f'class ModuleDocFragment:\n    DOCUMENTATION = r"""\n{option.format("a")}"""\n',
    }
    root = plant(files)
    assert documented.described_twice(root, "a") == ["a: a is described as in the fragment _a"]
    assert documented.described_twice(root, "b") == []


@pytest.mark.no_false_alarm
def test_a_complete_module_is_accepted(plant) -> None:
    assert documented.document_faults(planted(plant, GOOD), "x") == []


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("support: full", "support: none", "x: the attribute check_mode does not have support: full"),
        ("backup.x:", "backup.y:", "x: EXAMPLES do not use caracal_ops.backup.x"),
        (", type: str", "", "x: RETURN a lacks type"),
        ("a: {description: A., returned: always, type: str}", "", "x: RETURN is empty"),
        ("import Options", "import Spec", "x: has no Options"),
    ],
)
def test_finds_missing_documentation_of_a_module(plant, old: str, new: str, fault: str) -> None:
    assert documented.document_faults(planted(plant, GOOD.replace(old, new)), "x") == [fault]


ACTION = "  action:\n    description: Shows it.\n    support: full\n"
SHOWN = "from ..module_utils._sets.x import run as use_case\n"


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("documented_too", "acts", "tells", "faults"),
    [
        (True, True, True, []),
        (False, True, False, ["x: the attribute action and plugins/action do not agree"]),
        (True, False, False, ["x: the attribute action and plugins/action do not agree"]),
        (False, False, True, ["x: reports progress, but no action plugin shows it"]),
    ],
)
def test_finds_progress_that_is_not_shown_or_not_documented(
    plant, documented_too: bool, acts: bool, tells: bool, faults: list[str]
) -> None:
    source = GOOD.replace("attributes:\n", f"attributes:\n{ACTION}", 1) if documented_too else GOOD
    root = planted(plant, source + SHOWN)
    plant({"plugins/module_utils/_sets/x.py": "with progress.shown() as display: ...\n" if tells else ""})
    if acts:
        plant({"plugins/action/x.py": ""})
    assert documented.document_faults(root, "x") == faults


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("listed", "faults"),
    [
        ("[a]", ["action group all lacks b"]),
        ("[a, b, c]", ["action group all names c, which is not a module"]),
        ("[b, a]", ["action group all is not sorted"]),
    ],
)
def test_a_wrong_action_group_is_found(plant, listed: str, faults: list[str]) -> None:
    root = plant({"meta/runtime.yml": f"action_groups:\n  all: {listed}\n", "plugins/modules/a.py": "", "plugins/modules/b.py": ""})
    assert documented.group_faults(root) == faults
