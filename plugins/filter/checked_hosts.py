# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter `checked_hosts`."""

from __future__ import annotations

import typing as t

from ansible import context
from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager, split_host_pattern
from ansible.parsing.dataloader import DataLoader
from ansible.utils.vars import load_extra_vars
from jinja2 import pass_context

from ..module_utils._ansible import artifacts, host_names
from ..module_utils._errors import BackupError

DOCUMENTATION = r"""
name: checked_hosts
author:
  - Caracal Ops (@caracal-ops)
version_added: 0.1.0
short_description: Verify the hosts of a play and the extra variables of a workflow
description:
  - AWX passes values from C(set_stats) to the next jobs of a workflow as extra variables, which override all other variables. Any host of
    the earlier job can set such values in the result of any task. So it can change the connection, programs, hosts and settings of the
    next job.
  - In a workflow job, this filter stops the run if there is an unexpected extra variable. The filter accepts variables of AWX, the
    C(caracal_*_stats) of this collection, and the names in its argument. All other runs accept any extra variable.
  - The filter stops any run in which a named host or group has no host in the inventory. It also stops a run if a pattern such as C(web*),
    or C(--limit), leaves the play without hosts. Ansible would do nothing there and report success.
  - V(all:!all) means that the play has no hosts on purpose. With C(--syntax-check) and C(--list-...), the filter checks nothing.
  - Use it in C(hosts) of each play. Ansible evaluates C(hosts) before it contacts any host, and no variable or limit can skip it.
positional: _allowed
options:
  _input:
    description: The hosts.
    type: raw
    required: true
  _allowed:
    description: Extra variables that the job template, its survey or the workflow sets, and that an earlier job may set as well.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Drill the set that an earlier job of a workflow chose
  hosts: "{{ caracal_drill_hosts | caracal_ops.backup.checked_hosts('caracal_drill_set_id') }}"
  roles:
    - role: caracal_ops.backup.caracal_drill
"""

RETURN = r"""
_value:
  description: The hosts, unchanged.
  type: raw
"""


@pass_context
def checked_hosts(variables: t.Mapping[str, t.Any], hosts: t.Any, *allowed: str) -> t.Any:
    """Return the hosts, after checks of the inventory and of this run's extra variables, which Ansible has already read
    and cached.

    Raises AnsibleError, because some releases report any other exception as a probable bug.
    """
    try:
        artifacts.check([str(name) for name in load_extra_vars(DataLoader())], allowed)
        if not any(context.CLIARGS.get(only) for only in ("syntax", "listhosts", "listtasks", "listtags")):
            names, limit = [str(name) for name in split_host_pattern(hosts)], str(context.CLIARGS.get("subset") or "")
            host_names.check(names, variables["groups"])
            host_names.check_reached(names, limit, _reached(hosts, limit, variables["groups"]))
    except BackupError as exc:
        raise AnsibleError(exc.msg) from exc
    return hosts


def _reached(hosts: t.Any, limit: str, groups: t.Mapping[str, t.Iterable[str]]) -> list[str]:
    """Return the hosts on which Ansible would run the play.

    A filter cannot access Ansible's own inventory manager, and the variables of a play list the inventory without the
    limit.
    """
    inventory = InventoryManager(DataLoader(), parse=False)
    for group, members in groups.items():
        inventory.add_group(group)
        for name in members:
            inventory.add_host(name, group=group)
    inventory.subset(limit or None)
    return [str(host) for host in inventory.get_hosts(hosts)]


class FilterModule:
    """For Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"checked_hosts": checked_hosts}
