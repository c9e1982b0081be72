# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The option with the services of a drill."""

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
    """How to start one service: with a program of this host, or from an image.

    `reference` is the image's reference in a registry. `command` and `directory` default to the image's own. `environment` and
    `readable` are added to the defaults of every service.
    """

    name: t.Annotated[str, Is(choices=list(NAMES))]
    image: str = ""
    reference: str = ""
    command: tuple[str, ...] = ()
    directory: str = ""
    environment: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    readable: tuple[Path, ...] = ()


def refuse_empty(one: ServiceStart) -> None:
    """Raise OptionError for a service without a program."""
    if not (one.command or one.image):
        raise OptionError(f"service {one.name} has neither command nor image; set one of them")


def check(one: ServiceStart) -> None:
    """Raise OptionError for a service that cannot start, or whose environment replaces a value of the set."""
    refuse_empty(one)
    own = _from_the_set(one.name)
    if taken := sorted(variable for variable in one.environment if variable.removesuffix("_FILE") in own):
        raise OptionError(
            f"the environment of service {one.name} sets {', '.join(taken)}, but the drill uses the values of the set; remove them"
        )


def _from_the_set(name: str) -> set[str]:
    """Return the variables whose values come from the set and its sandbox, in any family."""
    found = {REDIS_VARIABLE, REPLAY_VARIABLE, DEAD_ROWS_VARIABLE}
    for one in (*services.services(ZONE_KEK), *services.services(SECRET_STORE)):
        if one.name == name:
            found |= {one.database_variable, *one.secrets}
    return found
