# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Protect the passwords of running servers: a restore must not replace a password file while the server keeps the old password."""

from __future__ import annotations

import os
import typing as t

from .._errors import OptionError


def refuse_others(
    secrets: t.Mapping[str, object], used: t.Mapping[str, str | None], others: t.Sequence[str], waiting: t.Collection[str]
) -> None:
    """Raise OptionError if the password file of a running server would be replaced.

    `secrets` are the options for restoring secrets, and `used` are the password files of servers by asset. `others` are
    the names of secrets with a target that differs from the set. The servers of assets in `waiting` do not run yet.
    """
    if not others:
        return
    replaced = {os.path.realpath(os.path.join(str(secrets["directory"]), name.partition("/")[2])) for name in others}
    kept = [path for asset, path in used.items() if asset not in waiting and path and os.path.realpath(path) in replaced]
    if kept:
        raise OptionError(
            f"{' and '.join(kept)} would get the password of the set, but the running server keeps the old one. Stop the server and use a "
            "new volume, or copy the file to another path and set the password file to the copy"
        )
