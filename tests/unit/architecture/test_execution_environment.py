# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The execution environment installs the libraries and programs that modules look for, from the same packages as `setup`."""

from __future__ import annotations

import ast
import re
import typing as t
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import programs
from tools.rules import tree

META = tree.ROOT / "meta"
DEPS = tree.ROOT / "plugins/module_utils/_deps.py"
SETUP = yaml.safe_load((tree.ROOT / "roles/caracal_setup/vars/main.yml").read_text(encoding="utf-8"))["__caracal_setup_families"]
DEFINITION = yaml.safe_load((tree.ROOT / "execution_environment/execution-environment.yml").read_text(encoding="utf-8"))
PINS = ("roles/caracal_setup/files/requirements.txt", "execution_environment/requirements.txt")
FAMILIES = {"dpkg": "Debian", "rpm": "RedHat"}
# The packages that contain a program, on Debian and on Red Hat.
PACKAGES = {
    "bwrap": ("bubblewrap", "bubblewrap"),
    "pg_config": ("postgresql", "postgresql"),
    "pg_dump": ("postgresql-client", "postgresql"),
    "postgres": ("postgresql", "postgresql-server"),
    "prlimit": ("util-linux", "util-linux"),
    "psql": ("postgresql-client", "postgresql"),
    "redis-server": ("redis-server", "redis"),
    "setpriv": ("util-linux", "util-linux"),
    "setsid": ("util-linux", "util-linux"),
    "skopeo": ("skopeo", "skopeo"),
    "ssh-keygen": ("openssh-client", "openssh-clients"),
}
# The environment has its own Python. It must list packages that a host has by default.
OF_SETUP_ALONE = r"python3(\.\d+|-venv)?"
OF_ENVIRONMENT_ALONE = {"age", "skopeo", "util-linux", "zstd"}


def read(path: str | Path) -> str:
    return (tree.ROOT / path).read_text(encoding="utf-8")


def listed(text: str) -> dict[str, set[str]]:
    """Return the packages of a bindep list, by kind of package."""
    found: dict[str, set[str]] = {kind: set() for kind in FAMILIES}
    for name, where in re.findall(r"^([a-z0-9.-]+)(?: \[platform:(\w+)\])?$", text, re.MULTILINE):
        for kind in [where] if where else FAMILIES:
            found[kind].add(name)
    return found


def of_setup(family: dict[str, t.Any]) -> set[str]:
    """Return the packages that `setup` installs on a family of distributions if no PostgreSQL release is configured."""
    names = {re.sub(r"\{\{.*?\}\}", "", name) for name in (*family["base"], family["clients"], *family["servers"])}
    return {name for name in names if not re.fullmatch(OF_SETUP_ALONE, name)}


def named(code: ast.AST) -> set[str]:
    """Return the programs that the code finds or starts by name."""
    found: set[str] = set()
    for node in ast.walk(code):
        if isinstance(node, ast.Call) and node.args:
            called, first = ast.unparse(node.func).rpartition(".")[2], node.args[0]
            found |= _texts([first]) if called == "which" else set()
            found |= _texts(first.elts[:1]) if called in {"run", "Child"} and isinstance(first, ast.List) else set()
        elif isinstance(node, ast.For) and isinstance(node.iter, ast.Tuple) and "which(" in ast.unparse(node):
            found |= _texts(node.iter.elts)
    return found


def _texts(nodes: t.Iterable[ast.AST]) -> set[str]:
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def asked(code: ast.AST) -> set[str]:
    """Return the requirements that `_deps.py` reports to operators."""
    texts = {node.value for node in ast.walk(code) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in texts if re.fullmatch(r"[a-z0-9-]+>=[\d.]+", text)}


def unpinned(requirements: t.Iterable[str], pins: str) -> list[str]:
    """Return the requirements that no pin satisfies."""
    versions = dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", pins, re.MULTILINE))
    wanted = [Requirement(text) for text in requirements]
    return sorted(one.name for one in wanted if not one.specifier.contains(versions.get(one.name, "0")))


BINDEP = listed(read("meta/ee-bindep.txt"))
LIBRARIES = read("meta/ee-requirements.txt").split()
PROGRAMS = {one for path in tree.python(tree.ROOT, "plugins") for one in named(tree.parse(tree.ROOT, path))} | {*programs.AROUND}


def test_contains_the_libraries_that_modules_require() -> None:
    assert sorted(LIBRARIES) == sorted(asked(tree.parse(tree.ROOT, DEPS.relative_to(tree.ROOT).as_posix())))
    assert unpinned(LIBRARIES, "".join(map(read, PINS))) == []


@pytest.mark.mutation
def test_finds_an_unpinned_library() -> None:
    assert asked(ast.parse('need("redis>=5.0"); say("redis is old")')) == {"redis>=5.0"}
    assert unpinned(["redis>=5.0", "boto3>=1.36"], "redis==4.9 \\\n    --hash=sha256:00\n") == ["boto3", "redis"]


def test_contains_the_programs_that_modules_use() -> None:
    assert {*PACKAGES} == PROGRAMS
    for place, kind in enumerate(FAMILIES):
        assert {packages[place] for packages in PACKAGES.values()} <= BINDEP[kind]


@pytest.mark.mutation
@pytest.mark.parametrize(
    "code", ["shutil.which('new')", "process.run(['new', '-x'], timeout=1)", "for one in ('new',):\n    where = shutil.which(one)"]
)
def test_a_new_program_is_found(code: str) -> None:
    assert named(ast.parse(code)) == {"new"}


@pytest.mark.parametrize("kind", FAMILIES)
def test_packages_match_setup(kind: str) -> None:
    assert BINDEP[kind] - OF_ENVIRONMENT_ALONE == of_setup(SETUP[FAMILIES[kind]])


@pytest.mark.mutation
def test_reads_package_names_of_each_platform() -> None:
    found = listed("# Why.\nbubblewrap\nredis [platform:rpm]\n")
    assert found == {"dpkg": {"bubblewrap"}, "rpm": {"bubblewrap", "redis"}}
    assert of_setup({"base": ["python3", "bubblewrap"], "clients": "pg{{ x }}", "servers": ["valkey"]}) == {"bubblewrap", "pg", "valkey"}


def test_definition_uses_the_tested_ansible_core() -> None:
    assert DEFINITION["dependencies"]["ansible_core"]["package_pip"] in read("requirements/dev.txt").split()
    assert {one["src"] for one in DEFINITION["additional_build_files"]} == {f"../{PINS[0]}", Path(PINS[1]).name}
