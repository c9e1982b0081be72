# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The option that names the services of a drill, for who starts them and for the drill itself."""

from __future__ import annotations

import typing as t

from .._caracal import services
from .._caracal.releases import SECRET_STORE, ZONE_KEK
from .._caracal.services import NAMES
from .._errors import OptionError

REDIS_VARIABLE = "REDIS_URL"
REPLAY_VARIABLE = "AUDIT_REPLAY_DIR"
DEAD_ROWS_VARIABLE = "API_READY_OUTBOX_DEAD_MAX"


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


def refuse_empty(one: t.Mapping[str, t.Any]) -> None:
    """Raises OptionError for a service without a program."""
    if not (one["command"] or one["image"]):
        raise OptionError(f"service {one['name']} has neither command nor image; name one of them")


def check(one: t.Mapping[str, t.Any]) -> None:
    """Raises OptionError for a service that cannot be started, or that would run with something else than the set has."""
    refuse_empty(one)
    name = one["name"]
    own = _from_the_set(name)
    if taken := sorted(variable for variable in one["environment"] if variable.removesuffix("_FILE") in own):
        raise OptionError(f"environment of service {name} sets {', '.join(taken)}, which the drill takes from the set; remove it")


def _from_the_set(name: str) -> set[str]:
    """Variables whose values a drill takes from the set and its sandbox, whatever the family."""
    found = {REDIS_VARIABLE, REPLAY_VARIABLE, DEAD_ROWS_VARIABLE}
    for one in (*services.services(ZONE_KEK), *services.services(SECRET_STORE)):
        if one.name == name:
            found |= {one.database_variable, *one.secrets}
    return found
