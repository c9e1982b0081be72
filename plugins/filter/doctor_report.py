# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter `doctor_report`."""

from __future__ import annotations

import typing as t

from ..module_utils._report import findings

DOCUMENTATION = r"""
name: doctor_report
author:
  - Caracal Ops (@caracal-ops)
version_added: 0.1.0
short_description: List all problems of the hosts of a deployment
description:
  - Makes one list of the problems that the entry points C(doctor) of the roles found on each host. The playbook C(doctor) ends with it.
  - A task that could not run on a host is a finding. So is a result without the fields that only a success returns.
options:
  _input:
    description:
      - For each host, the list of its results, as in facts such as C(caracal_backup_doctor) and C(caracal_drill_doctor).
    type: dict
    required: true
  hosts:
    description: The hosts to report on. A host without results is a finding.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Print the findings
  ansible.builtin.debug:
    msg: "{{ (results | caracal_ops.backup.doctor_report(ansible_play_hosts_all)).lines }}"
  vars:
    results: "{{ dict(ansible_play_hosts_all | zip(ansible_play_hosts_all | map('extract', hostvars, 'caracal_backup_doctor'))) }}"
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
_value:
  description: The report.
  type: dict
  contains:
    verdict:
      description: V(fail) if there is a finding, else V(pass).
      type: str
      sample: pass
    findings:
      description: The problems, in the order of the hosts.
      type: list
      elements: dict
      contains:
        host:
          description: Name of the host in the inventory.
          type: str
          sample: drill.internal
        parts:
          description: The affected parts, such as V(backup), V(drill), V(retention), V(archive), V(restore) or V(replay).
          type: list
          elements: str
          sample: [drill]
        error:
          description: Class of the error.
          type: str
          sample: MissingDependency
        message:
          description: The problem and its remedy.
          type: str
          sample: "no redis-server 7.0 or later found; install Redis on this host, or set the path of redis-server"
    lines:
      description: The same for the console.
      type: list
      elements: str
      sample: ["1 finding on 1 of 2 hosts", "prod: backup, retention ok"]
"""


def doctor_report(results: t.Mapping[str, t.Sequence[findings.Result]], hosts: t.Sequence[str]) -> findings.Report:
    return findings.report(hosts, results)


class FilterModule:
    """For Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"doctor_report": doctor_report}
