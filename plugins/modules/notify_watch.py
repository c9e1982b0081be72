#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: notify_watch
short_description: Send a notification if a play ends before it can report its result
version_added: 0.1.0
description:
  - Starts a watcher process on the controller, which waits for the end of the C(ansible-playbook) process that runs this task. If
    C(ansible-playbook) ends before a call with O(state=absent), the watcher runs the playbook C(caracal_ops.backup.notify) with
    O(settings).
  - You therefore also get a notification if the play was killed or interrupted, or if a host became unreachable.
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
      - Variables of the playbook C(caracal_ops.backup.notify), which are C(channels) as in the role C(caracal_notify), C(job),
        C(deployment) and C(message). The watcher keeps them in memory only. Required with O(state=present).
    type: dict
  watcher:
    description:
      - Value of RV(watcher) from the call that started the watcher. Required with O(state=absent).
    type: str
notes:
  - If all processes of the container or control group are killed, the watcher is killed too and sends no notification. In such an
    environment, use the notifications of the program that starts the play, such as AWX notifications or C(OnFailure) in systemd.
"""

EXAMPLES = r"""
---
- name: Send a notification if this play ends unexpectedly
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
  description: ID of the watcher process, for O(state=absent). Empty in check mode, and if no watcher is running.
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
