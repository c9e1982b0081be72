# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A file that says whom or what this host believes proves something only while not everybody may write it."""

from __future__ import annotations

import os
import stat

from .._errors import KeyProblem


def refuse_public(descriptor: int, path: str) -> None:
    """Raises KeyProblem when every user of the host may write the file, or exchange it in its folder."""
    if os.fstat(descriptor).st_mode & stat.S_IWOTH:
        raise KeyProblem(f"{path} can be written by every user of this host, so it proves nothing; look at it, then chmod o-w {path}")
    folder = os.path.dirname(os.path.abspath(path))
    mode = os.stat(folder).st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise KeyProblem(f"every user of this host can exchange {path}, so it proves nothing; look at it, then chmod o-w {folder}")
