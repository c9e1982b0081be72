# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The location of a copy: in a sandbox, or on a server that the operator configures."""

from __future__ import annotations

import dataclasses
import typing as t

from .._drivers.postgres import target
from .._drivers.postgres.server import Server
from .._options import declared
from .._options.declared import Rules
from .._options.shared import CopyOptions, RepositoryOptions

if t.TYPE_CHECKING:
    from .._sandbox.info import SandboxInfo
    from .access import Opened


@dataclasses.dataclass(frozen=True, kw_only=True)
class TargetOptions(declared.Options):
    """A restored database that a module changes. A sandbox needs no confirmation, since it never contains a source."""

    RULES = Rules(mutually_exclusive=(("sandbox", "confirm"),))

    copy: CopyOptions = dataclasses.field(default_factory=CopyOptions)
    access: RepositoryOptions
    database: str = "caracal"
    confirm: tuple[str, ...] = ()


def server_of(given: CopyOptions) -> tuple[Server, SandboxInfo | None]:
    """Return the server of the copy, and its sandbox if it has one."""
    if not given.sandbox:
        return Server.from_options(given.postgres), None
    from .._sandbox import lifecycle

    info = lifecycle.attach(given.sandbox)
    return Server(host=info.socket_dir, port=info.port, user=info.superuser, ssl_mode="disable"), info


def confirmed(opened: Opened, given: TargetOptions) -> tuple[Server, str]:
    """Return the server of a restored database that is about to be changed, and its system identifier.

    Raises TargetRefused for a cluster that is backed up, unless `confirm` names the target. The database is never empty, so its
    content does not need a confirmation.
    """
    server, _sandbox = server_of(given.copy)
    found = target.examine(server, given.database)
    wanted = {given.database: dataclasses.replace(found, objects=())}
    target.confirm(wanted, opened.journal.system_identifiers(), given.confirm, str(server))
    return server, found.system_identifier
