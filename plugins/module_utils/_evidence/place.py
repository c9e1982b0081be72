# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a copy lives: in a sandbox of ours, or on a server that the operator named."""

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
    """The server of the copy; the sandbox too if it is one."""
    if not given.sandbox:
        return Server.from_options(given.postgres), None
    from .._sandbox import lifecycle

    info = lifecycle.attach(given.sandbox)
    return Server(host=info.socket_dir, port=info.port, user=info.superuser, ssl_mode="disable"), info


def confirmed(opened: Opened, given: TargetOptions) -> tuple[Server, str]:
    """The server of a restored database that is about to be changed, and its system identifier. Raises TargetRefused for a cluster
    that is backed up, unless `confirm` names the target; the database is no empty one, so only the cluster counts."""
    server, _sandbox = server_of(given.copy)
    found = target.examine(server, given.database)
    wanted = {given.database: dataclasses.replace(found, objects=())}
    target.confirm(wanted, opened.journal.system_identifiers(), given.confirm, str(server))
    return server, found.system_identifier
