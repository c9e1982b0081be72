#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: notify_watch
short_description: Send word of a play that dies before it can say how it ended
version_added: 0.1.0
description:
  - Starts a process on the controller that waits for the end of the C(ansible-playbook) which plays this task. If that ends without having
    called the module with O(state=absent), the process plays C(caracal_ops.backup.notify) with O(settings).
  - So a play is told of that was killed, was interrupted, or whose host became unreachable.
  - The role C(caracal_notify) uses it. Delegate it to C(localhost).
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - O(state=present) starts another watcher each time. O(state=absent) changes nothing the second time.
options:
  state:
    description:
      - V(present) begins to watch, V(absent) ends it.
    type: str
    choices: [present, absent]
    default: present
  settings:
    description:
      - What the playbook C(notify) sends - C(channels) as the role C(caracal_notify) has them, C(job), C(deployment) and C(message). It is
        kept in memory only. Required with O(state=present).
    type: dict
  watcher:
    description:
      - RV(watcher) of the call that began to watch. Required with O(state=absent).
    type: str
notes:
  - What is killed with all processes of its container or its control group takes the watcher with it. There, whoever has started it has
    to tell, as AWX does by its notifications, and systemd by C(OnFailure).
"""

EXAMPLES = r"""
---
- name: Send word if this play dies
  caracal_ops.backup.notify_watch:
    settings:
      job: backup
      deployment: prod
      message: the nightly play died
      channels:
        - kind: ping
          url: https://hc-ping.com/your-key/caracal-{job}
  delegate_to: localhost
  become: false
"""

RETURN = r"""
watcher:
  description: The process that watches, for O(state=absent). Empty in check mode and when none is left.
  returned: success
  type: str
  sample: 41237-9931233
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._notify.notify_watch import Options
from ..module_utils._notify.notify_watch import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
