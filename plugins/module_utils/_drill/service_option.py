# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the services of a drill are started: the option that says so, and what it becomes."""

from __future__ import annotations

import dataclasses
import typing as t

from .._caracal import services
from .._caracal.releases import SECRET_STORE, ZONE_KEK
from .._caracal.services import NAMES
from .._errors import OptionError
from .._options.declared import Is, Path, Suboptions

REDIS_VARIABLE = "REDIS_URL"
REPLAY_VARIABLE = "AUDIT_REPLAY_DIR"
DEAD_ROWS_VARIABLE = "API_READY_OUTBOX_DEAD_MAX"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServiceStart(Suboptions):
    """How one service is started: by a program of this host, or from an image. `reference` is where a registry has the image. Without
    `command` and `directory`, they are those of the image. `environment` and `readable` come on top of what every service gets."""

    name: t.Annotated[str, Is(choices=list(NAMES))]
    image: str = ""
    reference: str = ""
    command: tuple[str, ...] = ()
    directory: str = ""
    environment: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    readable: tuple[Path, ...] = ()


def refuse_empty(one: ServiceStart) -> None:
    """Raises OptionError for a service without a program."""
    if not (one.command or one.image):
        raise OptionError(f"service {one.name} has neither command nor image; set one of them")


def check(one: ServiceStart) -> None:
    """Raises OptionError for a service that cannot be started, or that would run with something else than the set has."""
    refuse_empty(one)
    own = _from_the_set(one.name)
    if taken := sorted(variable for variable in one.environment if variable.removesuffix("_FILE") in own):
        raise OptionError(
            f"the environment of service {one.name} sets {', '.join(taken)}, but the drill uses the values of the set; remove it"
        )


def _from_the_set(name: str) -> set[str]:
    """Variables whose values a drill takes from the set and its sandbox, whatever the family."""
    found = {REDIS_VARIABLE, REPLAY_VARIABLE, DEAD_ROWS_VARIABLE}
    for one in (*services.services(ZONE_KEK), *services.services(SECRET_STORE)):
        if one.name == name:
            found |= {one.database_variable, *one.secrets}
    return found
