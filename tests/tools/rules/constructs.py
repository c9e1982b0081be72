# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Constructs that are forbidden in plugins, such as assert, import by name, and starting a process outside of one file."""

from __future__ import annotations

import ast
import re
import typing as t
from pathlib import Path

from tools.rules import imports, tree

STARTS_PROCESSES = "plugins/module_utils/_stream/process.py"
# They run without our other code, and are replaced by a program of an image or by bubblewrap.
RUN_ALONE = ("plugins/module_utils/_sandbox/guest.py", "plugins/module_utils/_sandbox/starter.py")
OPENS_SESSIONS = "plugins/module_utils/_drivers/postgres/server.py"
# Variables from which libpq reads an address, a login or options. The tools that plugins start get theirs, and the
# password's, from one file.
LIBPQ_VARIABLE = re.compile(r"PG[A-Z]{3,}")
STARTS_TOOLS = "plugins/module_utils/_drivers/postgres/tools.py"
# It checks whether a library is installed, and does not import it.
LOOKS_FOR_LIBRARIES = "plugins/module_utils/_ansible/environment.py"
PROCESS_MODULES = {"subprocess", "pty", "popen2", "commands"}
OS_CALLS = re.compile(r"os\.(system|popen|posix_spawnp?|forkp?t?y?|spawn\w+|exec\w+)")


def construct_faults(root: Path) -> list[str]:
    """Return every forbidden construct in the plugins."""
    faults = []
    for path in tree.python(root, "plugins"):
        faults += [f"{path}:{line}: {fault}" for line, fault in _import_faults(root, path)]
        faults += [f"{path}:{line}: {fault}" for line, fault in _node_faults(tree.parse(root, path), path)]
    return faults


def _import_faults(root: Path, path: str) -> t.Iterator[tuple[int, str]]:
    for line, name in imports.imported(root, path):
        if name[0] in PROCESS_MODULES and path != STARTS_PROCESSES and name != ("subprocess", "PIPE"):
            yield line, f"only {STARTS_PROCESSES} starts processes ({'.'.join(name)})"
        if name[0] == "importlib" and (path, name[1:]) != (LOOKS_FOR_LIBRARIES, ("util", "find_spec")):
            yield line, "importlib cannot work in a module: what is imported is found by a static scan"


def _node_faults(module: ast.Module, path: str) -> t.Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Assert):
            yield node.lineno, "assert goes away under -O: raise instead"
        elif isinstance(node, ast.Match):
            yield node.lineno, "match is not understood by every Python that sanity tests compile with"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and LIBPQ_VARIABLE.fullmatch(node.value):
            if path not in (OPENS_SESSIONS, STARTS_TOOLS):
                yield node.lineno, f"only {OPENS_SESSIONS} sets how a libpq program connects ({node.value})"
        elif isinstance(node, ast.Call):
            yield from ((node.lineno, fault) for fault in _call_faults(node, path))


def _call_faults(call: ast.Call, path: str) -> t.Iterator[str]:
    for keyword in call.keywords:
        if keyword.arg in ("shell", "use_unsafe_shell") and not (isinstance(keyword.value, ast.Constant) and not keyword.value.value):
            yield f"{keyword.arg}= hands text to a shell: use an argument list"
    name = ast.unparse(call.func)
    if path not in (STARTS_PROCESSES, *RUN_ALONE) and OS_CALLS.fullmatch(name):
        yield f"only {STARTS_PROCESSES} starts processes ({name})"
    if path != OPENS_SESSIONS and re.search(r"psycopg2\b.*\.connect$", name):
        yield f"only {OPENS_SESSIONS} opens sessions ({name}): elsewhere the start-up packet would lack its settings"
    if name == "AnsibleModule" and not _true(call, "supports_check_mode"):
        yield "AnsibleModule without supports_check_mode=True"


def _true(call: ast.Call, name: str) -> bool:
    return any(word.arg == name and isinstance(word.value, ast.Constant) and word.value.value is True for word in call.keywords)
