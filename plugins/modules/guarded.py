#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guarded
short_description: Run an Ansible module and remove facts from its result
version_added: 0.1.0
description:
  - Runs another module, such as M(ansible.builtin.stat) or M(ansible.builtin.copy), on the host of the task. If the module has an action
    plugin, that plugin runs too.
  - Any result of a host may contain facts, which override the inventory and role defaults. It may also contain extra variables for the next
    job in an AWX workflow. This module removes both, so that a host cannot change the settings of the play.
  - Unprintable characters in the result, such as terminal escape sequences, are replaced by escapes such as C(\x1b). Line breaks are kept
    in fields that contain files or the output of programs.
  - The task fails if a fact of the host has the name of a setting of this collection. This includes facts from a cache and from other
    tasks.
  - All other modules of this collection filter their results in the same way. The roles use this module to run Ansible's own modules.
author:
  - Caracal Ops (@caracal-ops)
attributes:
  action:
    description: An action plugin of the same name runs on the controller.
    support: full
  check_mode:
    description: Predicts the changes without making them.
    support: full
    details:
      - Depends on the module that is run.
  diff_mode:
    description: Returns the changes that would be or were made, in diff mode.
    support: partial
    details:
      - Depends on the module that is run.
  idempotent:
    description: A second run with the same options changes nothing.
    support: partial
    details:
      - Depends on the module that is run.
options:
  module:
    description:
      - Fully qualified name of the module to run.
    type: str
    required: true
  args:
    description:
      - Options of the module.
    type: dict
    default: {}
seealso:
  - module: ansible.builtin.setup
"""

EXAMPLES = r"""
---
- name: Check whether a file exists, without accepting facts from the host
  caracal_ops.backup.guarded:
    module: ansible.builtin.stat
    args:
      path: /etc/caracal-ops/settings.yml
  register: settings_file
"""

RETURN = r"""
gathered:
  description: Facts that the other module gathered. They do not become facts of any host.
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
