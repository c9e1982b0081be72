# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files are written in `_files` alone: elsewhere a call that finds its file by path could be led away by a link."""

from __future__ import annotations

import ast
import re
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
WRITES = re.compile(r"O_(WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)")
# File -> why it may. Each of them works in a directory that is its own, of mode 0700.
_IMAGES = "unpacks into a directory of the cache that is its own"
_SANDBOX = "works in the sandbox's directory, which is its own"
EXEMPT = {
    **{f"plugins/module_utils/_images/{name}.py": _IMAGES for name in ("cache", "removal", "saved", "tree")},
    **{
        f"plugins/module_utils/_sandbox/{name}.py": _SANDBOX
        for name in ("cluster", "image_clients", "lease", "lifecycle", "marker", "programs", "redis_server", "removal", "server_clients")
    },
    "plugins/module_utils/_sandbox/uids.py": "reserves numbers of users in a directory of root's",
    "plugins/module_utils/_sandbox/users.py": "gives the sandbox's directory to its user, without following links",
    "plugins/module_utils/_sandbox/guest.py": "writes to /proc; a copy of it runs by itself and can import nothing",
    "plugins/module_utils/_sandbox/processes.py": "writes to /proc",
    "plugins/module_utils/_stream/progress.py": "writes to a directory of this user alone, which the controller made",
}


def file_faults(root: Path) -> list[str]:
    """Calls outside of `_files` that write, remove or give away what a path leads to; and exemptions that nothing needs."""
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
    """The name of a call that is not allowed. One that is relative to a directory that is held open is."""
    if any(word.arg in ("dir_fd", "src_dir_fd") for word in call.keywords):
        return ""
    name = ast.unparse(call.func)
    room, _dot, last = name.rpartition(".")
    if name == "open":
        return name if _opens_to_write(call) else ""
    if name == "os.open":
        text = ast.unparse(call)
        return name if WRITES.search(text) and "os.devnull" not in text else ""
    is_forbidden = (room == "os" and last in OF_OS) or (room == "shutil" and last in OF_SHUTIL) or (room and last in OF_PATH)
    return name if is_forbidden else ""


def _opens_to_write(call: ast.Call) -> bool:
    """A descriptor was opened before, by a call of its own."""
    is_descriptor = bool(call.args) and (
        isinstance(call.args[0], ast.Call) or ast.unparse(call.args[0]) in ("descriptor", "fd", "write_end")
    )
    given = [*call.args[1:2], *(word.value for word in call.keywords if word.arg == "mode")]
    return not is_descriptor and any(not isinstance(one, ast.Constant) or set(str(one.value)) & set("wax+") for one in given)
