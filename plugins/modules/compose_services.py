#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_services
short_description: Start services of a Compose project, each when what it needs is ready
version_added: 0.1.0
description:
  - Starts the containers of a Compose project by the container engine's API, in the order that their C(depends_on) says, and waits until
    each is healthy or, if it runs once, has ended well. Of Caracal's own services that is the moment in which C(/ready) answers.
  - Containers must be there; C(docker compose create) makes them without starting any. Nothing is made, pulled, stopped or removed.
    Only containers that Compose created count, and there may be one of PostgreSQL and one of Redis.
  - The role C(caracal_restore) starts PostgreSQL and Redis with it after the secrets are back, and the rest at its end where
    C(caracal_restore_start_services) is set.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._compose
  - caracal_ops.backup._engine
attributes:
  check_mode:
    support: full
    details:
      - The result tells what would be started.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  services:
    description:
      - Services to start, and with them what they need. Without this option, all.
    type: list
    elements: str
    default: []
  timeout:
    description:
      - How many seconds all of it may take.
    type: int
    default: 180
requirements:
  - docker >= 7.0
notes:
  - A service that runs is left alone, with what it needs. One that runs once, such as Caracal's migration, is started again where a service
    that needs it is started.
seealso:
  - module: caracal_ops.backup.deployment_info
"""

EXAMPLES = r"""
---
- name: Start PostgreSQL and Redis alone
  caracal_ops.backup.compose_services:
    compose_project: caracal
    services:
      - postgres
      - redis
      - replayVolumeInit
  become: true

- name: Start all of it, and wait until each is ready
  caracal_ops.backup.compose_services:
    compose_project: caracal
  become: true
"""

RETURN = r"""
started:
  description: Services that were started, in this order.
  returned: success
  type: list
  elements: str
  sample: [postgres, redis, replayVolumeInit]
urls:
  description:
    - Where this host reaches those services that run and that M(caracal_ops.backup.canary_exchange) asks, as it takes them in C(urls); the
      published address, else the container's own.
  returned: success
  type: dict
  sample: {"sts": "http://127.0.0.1:8080", "gateway": "http://127.0.0.1:8081"}
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._deployment.compose_services import Options
from ..module_utils._deployment.compose_services import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
