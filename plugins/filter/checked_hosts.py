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
short_description: The hosts of a play, unless there are none, or hosts of an earlier job could have named them
description:
  - AWX hands what C(set_stats) left on to the next jobs of a workflow, as extra variables, which are stronger than all others. Any host of
    the earlier job can leave such a thing, since the answer to each of its tasks may hold it, and so name connection, programs, hosts and
    settings of the next job.
  - In a job of a workflow, this ends the run when there is an extra variable other than those of AWX, the C(caracal_*_stats) of this
    collection, and those that are named. In all other runs any extra variable may be there.
  - It ends any run in which a host or group is named that has no host in the inventory, or in which a pattern such as C(web*), or the
    C(--limit) of the run, leaves the play no host. Ansible would play nothing there, and call that a success. V(all:!all) means no host on
    purpose. With C(--syntax-check) and C(--list-...) nothing is checked.
  - It belongs into C(hosts) of each play, since that is looked at before any host, and no variable and no limit can take it away.
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
- name: Drill, also in a workflow that hands on which set
  hosts: "{{ caracal_drill_hosts | caracal_ops.backup.checked_hosts('caracal_drill_set_id') }}"
  roles:
    - role: caracal_ops.backup.caracal_drill
"""

RETURN = r"""
_value:
  description: The hosts, as they came.
  type: raw
"""


@pass_context
def checked_hosts(variables: t.Mapping[str, t.Any], hosts: t.Any, *allowed: str) -> t.Any:
    """The hosts, after a look at the extra variables of this run, which Ansible has read by then, and keeps, and at the inventory.

    Raises AnsibleError; of all others some releases say that they are probably a bug.
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
    """The hosts that Ansible would play on. A filter cannot reach Ansible's own inventory manager, and the variables of a play list the
    inventory without the limit."""
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
