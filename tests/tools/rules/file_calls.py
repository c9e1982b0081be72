# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files are opened and written only in `_files`. In other places, a call that finds its file by path could follow a planted link."""

from __future__ import annotations

import ast
import typing as t
from pathlib import Path

from tools.rules import tree

ROOM = "plugins/module_utils/_files/"
PLACES = ("plugins/module_utils", "plugins/modules")
OF_OS = {
    *("chmod", "chown", "lchown", "link", "makedirs", "mkdir", "mkfifo", "mknod", "remove", "removedirs", "rename", "renames"),
    *("replace", "rmdir", "symlink", "truncate", "unlink"),
}
OF_SHUTIL = {"chown", "copy", "copy2", "copyfile", "copymode", "copystat", "copytree", "move", "rmtree"}
OF_PATH = {"hardlink_to", "symlink_to", "touch", "write_bytes", "write_text"}
# Paths that users cannot replace.
KERNEL = ("/proc/", "/sys/")
OPENERS = ("os.open", "os.dup", "memory.file")
DESCRIPTORS = ("descriptor", "fd", "read_end", "self._read_end", "write_end")
# File -> why it is exempt. Each works below a directory that no other user can replace: see trusted.workplace.
_IMAGES = "unpacks into a directory of the cache, which trusted.workplace made"
_SANDBOX = "works in the sandbox's directory, which trusted.workplace made"
EXEMPT = {
    **{f"plugins/module_utils/_images/{name}.py": _IMAGES for name in ("cache", "layers", "removal", "saved", "sources", "tree")},
    **{
        f"plugins/module_utils/_sandbox/{name}.py": _SANDBOX
        for name in ("cluster", "image_clients", "lease", "lifecycle", "marker", "programs", "redis_server", "removal", "server_clients")
    },
    "plugins/module_utils/_sandbox/uids.py": "reserves numbers of users in a directory of root's",
    "plugins/module_utils/_sandbox/users.py": "gives the sandbox's directory to its user, without following links",
    "plugins/module_utils/_sandbox/guest.py": "writes to /proc; a copy of it runs by itself and can import nothing",
    "plugins/module_utils/_sandbox/processes.py": "writes to /proc",
    "plugins/module_utils/_sandbox/bundle.py": "opens namespaces in /proc",
    "plugins/module_utils/_sandbox/isolation.py": "reads a setting in /proc",
    "plugins/module_utils/_sandbox/space.py": "measures directories that others fill, without following links",
}


def file_faults(root: Path) -> list[str]:
    """Return calls outside of `_files` that open, write or remove a path or change its owner, and exemptions that are not needed."""
    faults, needed = [], set()
    for path in (path for place in PLACES for path in tree.python(root, place)):
        found = [f"{path}:{line}: {fault}" for line, fault in _faults(tree.parse(root, path))]
        if found:
            needed.add(path)
        if not path.startswith(ROOM) and path not in EXEMPT:
            faults += found
    unneeded = [path for path in EXEMPT if path not in needed and (root / path).exists()]
    return faults + [f"{path}: calls nothing that needs its exemption" for path in unneeded]


def _faults(module: ast.Module) -> t.Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and (name := _forbidden(node)):
            yield node.lineno, f"{name} finds a file by its path: use _files"


def _forbidden(call: ast.Call) -> str:
    """Return the name of a forbidden call, or an empty string. A call relative to an open directory is allowed."""
    if any(word.arg in ("dir_fd", "src_dir_fd") for word in call.keywords):
        return ""
    name = ast.unparse(call.func)
    room, _dot, last = name.rpartition(".")
    if name in ("open", "os.open"):
        return name if _opens_a_path(call) else ""
    is_forbidden = (room == "os" and last in OF_OS) or (room == "shutil" and last in OF_SHUTIL) or (room and last in OF_PATH)
    return name if is_forbidden else ""


def _opens_a_path(call: ast.Call) -> bool:
    """Return whether the call opens a path. The result of an earlier opening call is a descriptor."""
    first = call.args[0]
    start = first.values[0] if isinstance(first, ast.JoinedStr) else first
    if isinstance(start, ast.Constant):
        return not str(start.value).startswith(KERNEL)
    made = ast.unparse(first.func) if isinstance(first, ast.Call) else ""
    is_descriptor = made in OPENERS or ast.unparse(first) in DESCRIPTORS
    return not is_descriptor and ast.unparse(first) != "os.devnull"
