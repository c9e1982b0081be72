# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check that the hosts of a play exist.

Ansible skips missing hosts and reports success. A nightly job would then end successfully without a backup.
"""

from __future__ import annotations

import re
import typing as t

from .._errors import OptionError

# Patterns contain one of these characters. So does an IPv6 address, which is not used as the name of a host.
_PATTERN = re.compile(r"[*?\[\]~!&:]")
# The hosts that Ansible uses without an inventory.
_THIS_MACHINE = ("localhost", "127.0.0.1")
_MOST_NAMES = 10
# The pattern of a play that has no hosts intentionally.
NONE = ["all", "!all"]


def check(names: t.Iterable[str], groups: t.Mapping[str, t.Collection[str]]) -> None:
    """Raise OptionError, with the names, for a name that is neither a host nor a group with hosts."""
    known = {*_THIS_MACHINE, "all", *groups.get("all", ()), *(name for name, hosts in groups.items() if hosts)}
    absent = [name for name in names if not _PATTERN.search(name) and name not in known]
    if absent:
        named = ", ".join(name[:80] for name in absent[:_MOST_NAMES])
        raise OptionError(
            f"no host or group with hosts is named {named}, so the play would do nothing there; set your inventory with -i, "
            "or correct the variable *_hosts. If the host runs the play only for itself, leave the variable out"
        )


def check_reached(names: t.Sequence[str], limit: str, reached: t.Collection[str]) -> None:
    """Raise OptionError, with both values, if the pattern and the limit of the run leave no host for a play."""
    if reached or list(names) == NONE:
        return
    hosts = ":".join(names)[:80]
    if limit:
        raise OptionError(
            f"--limit {limit[:80]} leaves no host of {hosts}, so the play would do nothing. Add one of its hosts to the limit "
            "(localhost for a play on this machine), or leave the limit out"
        )
    raise OptionError(
        f"{hosts} matches no host in the inventory, so the play would do nothing; correct the pattern in the variable *_hosts"
    )
