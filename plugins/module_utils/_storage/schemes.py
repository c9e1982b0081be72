# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Which store an address means: a static table, so that a search finds what runs."""

from __future__ import annotations

import os
import re
import typing as t

from .._errors import OptionError
from .base import Store
from .local import LocalStore


def open_store(location: str) -> Store:
    """The store at `/absolute/path` or `file:///absolute/path`. Raises OptionError."""
    scheme, separator, rest = location.partition("://")
    if not separator:
        return _local(location)
    if scheme not in _SCHEMES:
        raise OptionError(f"repository {location!r}: {scheme}:// is not yet supported in this version; give an absolute path")
    return _SCHEMES[scheme](rest)


def _local(path: str) -> Store:
    if not path.startswith("/") or re.search(r"[\x00-\x1f\x7f]", path):
        raise OptionError(f"repository {path!r} is no absolute path; give one such as /srv/backup/caracal")
    return LocalStore(os.path.normpath("/" + path.lstrip("/")))


_SCHEMES: dict[str, t.Callable[[str], Store]] = {"file": _local}
