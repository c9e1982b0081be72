#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: doctor_report
short_description: Say in one list what is wrong on all hosts of a deployment
version_added: 0.1.0
description:
  - Takes what the tasks C(doctor) of the roles have found on each host, and makes one list of it. The playbook C(doctor) ends with it.
  - A task that could not be run on a host, or whose answer is not that of a success, is a finding as any other.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._attributes.read_only
options:
  hosts:
    description:
      - The hosts that were to be looked at.
    type: list
    elements: str
    required: true
  looks:
    description:
      - By host, a list of what was looked at, as the facts C(caracal_backup_doctor), C(caracal_drill_doctor) and the like have it.
    type: dict
    required: true
  require_valid:
    description:
      - Fail where there is a finding.
    type: bool
    default: true
seealso:
  - module: caracal_ops.backup.backup_preflight
  - module: caracal_ops.backup.restore_drill
  - module: caracal_ops.backup.restore_preflight
"""

EXAMPLES = r"""
---
- name: Say what was found
  caracal_ops.backup.doctor_report:
    hosts: "{{ ansible_play_hosts_all }}"
    looks: "{{ dict(ansible_play_hosts_all | zip(ansible_play_hosts_all | map('extract', hostvars, 'caracal_backup_doctor'))) }}"
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
verdict:
  description: V(fail) where there is a finding, else V(pass).
  returned: always
  type: str
  sample: pass
findings:
  description: What is wrong, by host.
  returned: always
  type: list
  elements: dict
  contains:
    host:
      description: Name of the host in the inventory.
      type: str
      sample: drill.internal
    parts:
      description: Which parts need it, such as V(backup), V(drill), V(retention), V(archive), V(restore) or V(replay).
      type: list
      elements: str
      sample: [drill]
    error:
      description: Class of the error.
      type: str
      sample: MissingDependency
    message:
      description: What is wrong and what to do about it.
      type: str
      sample: "no redis-server of at least 7.0 was found; install Redis on this host, or name the program"
lines:
  description: The same for the console.
  returned: always
  type: list
  elements: str
  sample: ["1 finding on 1 of 2 hosts", "prod: backup, retention ok"]
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._sets.doctor_report import Options
from ..module_utils._sets.doctor_report import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
