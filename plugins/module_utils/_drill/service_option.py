# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The option that names the services of a drill, for who starts them and for the drill itself."""

from __future__ import annotations

import typing as t

from .._caracal.services import NAMES


def option() -> dict[str, t.Any]:
    service = {
        "name": {"type": "str", "required": True, "choices": list(NAMES)},
        "image": {"type": "str", "default": ""},
        "reference": {"type": "str", "default": ""},
        "command": {"type": "list", "elements": "str", "default": []},
        "directory": {"type": "str", "default": ""},
        "environment": {"type": "dict", "default": {}},
        "readable": {"type": "list", "elements": "path", "default": []},
    }
    return {"type": "list", "elements": "dict", "default": [], "options": service}
