#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guarded
short_description: Run a module of Ansible and accept nothing of its answer but the result
version_added: 0.1.0
description:
  - Runs another module with its action, such as M(ansible.builtin.stat) or M(ansible.builtin.copy), on the host of the task.
  - Any answer of a host may contain facts, which override the inventory and the defaults of roles, and extra variables for the next job
    in a workflow of AWX. This module removes both, so that a host cannot change the settings of the play.
  - Characters of the answer that cannot be printed, such as escape sequences of a terminal, become escapes such as C(\x1b). Line breaks
    stay in the fields that hold files or the output of programs.
  - The task fails if a fact of the host, from a cache or from other tasks, has the name of a setting of this collection.
  - All other modules of this collection answer in the same way. The roles use this one for modules of Ansible.
author:
  - Caracal Ops (@caracal-ops)
attributes:
  action:
    description: Has an action of the same name, which runs on the controller.
    support: full
  check_mode:
    description: Predicts what would be done, without changing anything.
    support: full
    details:
      - As the module that is run.
  diff_mode:
    description: Returns what would be or was changed, in diff mode.
    support: partial
    details:
      - As the module that is run.
  idempotent:
    description: A second run with the same options changes nothing.
    support: partial
    details:
      - As the module that is run.
options:
  module:
    description:
      - The module to run, by its full name.
    type: str
    required: true
  args:
    description:
      - Its options.
    type: dict
    default: {}
seealso:
  - module: ansible.builtin.setup
"""

EXAMPLES = r"""
---
- name: Check whether a file is there, and accept no fact with the answer
  caracal_ops.backup.guarded:
    module: ansible.builtin.stat
    args:
      path: /etc/caracal-ops/settings.yml
  register: settings_file
"""

RETURN = r"""
gathered:
  description: What the module gathered, which becomes a fact of no host.
  returned: when the module gathers facts
  type: dict
  sample: {"ansible_os_family": "Debian"}
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._ansible.guarded import Options
from ..module_utils._ansible.guarded import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
