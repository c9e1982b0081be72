# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read variables of a running service from a file with its environment.

Another platform gets its own function, which also returns variables by name.
"""

from __future__ import annotations

import re
import typing as t

from ..._errors import OptionError
from ..._files import paths

LIMIT = 1 << 20
_LINE = re.compile(rb"([A-Za-z_][A-Za-z0-9_]*)=(.*)\Z", re.DOTALL)


def of_file(path: str, names: t.Collection[str]) -> dict[str, str]:
    """Return the variables of the file that are in `names`, in the format of `/proc/<pid>/environ` or of `env`.

    If a variable is set twice, the last value counts. Other variables, which may be secrets, are not kept. Raises OptionError
    if the file is not an environment.
    """
    try:
        with paths.reading(path) as stream:
            data = stream.read(LIMIT + 1)
    except OSError as exc:
        raise OptionError(f"cannot read effective_environment_file {path}: {exc.strerror}; check path and owner") from exc
    if len(data) > LIMIT:
        raise OptionError(f"effective_environment_file {path} has more than {LIMIT} bytes, so it is not an environment; use another file")
    lines = [line.rstrip(b"\r") for line in data.split(b"\0" if b"\0" in data else b"\n") if line.strip()]
    found = [_LINE.match(line) for line in lines]
    if not any(found):
        raise OptionError(f"effective_environment_file {path} contains no variable; write the environment of the running services to it")
    pairs = ((one[1].decode(), one[2].decode("utf-8", "replace")) for one in found if one)
    return {name: value for name, value in pairs if name in names}
