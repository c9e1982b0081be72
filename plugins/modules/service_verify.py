#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_verify
short_description: Verify what restored services did since they started
version_added: 0.1.0
description:
  - Looks at a sandbox in which M(caracal_ops.backup.service_sandbox) started the services, and waits until they have settled.
  - The audit service has swept the whole restored chain by itself and found nothing. The services have read and acknowledged what waits
    in the streams. No dead letter has come. Replay files are sent and removed and their events are in the database. New events go on
    from the heads of the restored chains, linked, whole and signed with the restored key.
  - Groups that nothing of Caracal reads, and those of Gateways that are gone, do not count.
extends_documentation_fragment:
  - caracal_ops.backup._attributes
attributes:
  check_mode:
    support: full
    details:
      - The module never changes anything.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  sandbox:
    description:
      - Directory of the sandbox.
    type: path
    required: true
  secrets_directory:
    description:
      - Folder with the restored secrets, as the services were started with.
    type: path
    required: true
  replay_directory:
    description:
      - Folder with the restored replay files, as the services were started with.
    type: path
  earlier_key_rows:
    description:
      - How many audit rows have an HMAC of a key before today's, as M(caracal_ops.backup.audit_chain_verify) found. The product's own
        sweep knows today's key alone and counts each of them as a failure. More than these are a failure.
    type: int
    default: 0
  timeout:
    description:
      - How many seconds to wait for what gets better by waiting.
    type: int
    default: 90
  require_valid:
    description:
      - Fail when the verdict is not C(pass). Set it to V(false) to go on and report.
    type: bool
    default: true
author:
  - Caracal Ops (@caracal-ops)
"""

EXAMPLES = r"""
---
- name: Wait until the restored services have settled
  caracal_ops.backup.service_verify:
    sandbox: /var/tmp/caracal-drill
    secrets_directory: /var/tmp/caracal-drill/secrets
    replay_directory: /var/tmp/caracal-drill/replay
"""

RETURN = r"""
verdict:
  description: Verdict of the required checks.
  returned: always
  type: str
  sample: pass
checks:
  description:
    - C(settled.tamper_sweep), C(settled.consumer_lag), C(settled.dead_letters), C(settled.replay_drained) and
      C(settled.chain_continues).
  returned: always
  type: list
  elements: dict
  sample:
    - id: settled.consumer_lag
      verdict: pass
      message: 5 consumer groups have read and acknowledged everything
      required: true
      details: {}
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 3.1
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._drill.service_verify import argument_spec
from ..module_utils._drill.service_verify import run as use_case


def main() -> None:
    run(argument_spec(), use_case)


if __name__ == "__main__":
    main()
