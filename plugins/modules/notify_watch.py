#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: notify_watch
short_description: Send a notification if a play dies before it can report its result
version_added: 0.1.0
description:
  - Starts a process on the controller that waits for the end of the C(ansible-playbook) process that runs this task. If that process ends
    before a call with O(state=absent), the watcher runs the playbook C(caracal_ops.backup.notify) with O(settings).
  - You are therefore also notified of a play that was killed or interrupted, or whose host became unreachable.
  - The role C(caracal_notify) uses this module. Delegate the task to C(localhost).
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
      - O(state=present) starts another watcher each time. A second call with O(state=absent) changes nothing.
options:
  state:
    description:
      - Whether to start the watcher (V(present)) or to end it (V(absent)).
    type: str
    choices: [present, absent]
    default: present
  settings:
    description:
      - Variables of the playbook C(notify) - C(channels) as in the role C(caracal_notify), C(job), C(deployment) and C(message). They are
        kept in memory only. Required with O(state=present).
    type: dict
  watcher:
    description:
      - Value of RV(watcher) from the call that started the watcher. Required with O(state=absent).
    type: str
notes:
  - The watcher ends too if all processes of its container or control group are killed. In such an environment, use the notifications of
    the program that starts the play, such as the notifications of AWX or C(OnFailure) in systemd.
"""

EXAMPLES = r"""
---
- name: Send a notification if this play dies
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
  description: ID of the watcher process, for O(state=absent). Empty in check mode and when no watcher is left.
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
