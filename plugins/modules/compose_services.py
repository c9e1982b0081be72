#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_services
short_description: Start services of a Compose project in dependency order
version_added: 0.1.0
description:
  - Starts the containers of a Compose project through the container engine's API, in the order of their C(depends_on). It waits until each
    container is healthy. A container without a health check must only run, and a one-time container must have ended successfully.
  - For Caracal's services, healthy means that C(/ready) returns 200.
  - The containers must exist. Run C(docker compose create) to create them without starting them. The module does not create, pull, stop or
    remove anything.
  - The module considers only containers that Compose created. There may be at most one PostgreSQL container and one Redis container.
  - The role C(caracal_restore) uses this module to start PostgreSQL and Redis after the secrets are restored. If
    C(caracal_restore_start_services) is set, the role starts the other services in its last step.
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
      - The result lists the services that would be started.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  services:
    description:
      - Services to start, together with their dependencies. Without this option, all services are started.
    type: list
    elements: str
    default: []
  timeout:
    description:
      - Time limit in seconds for the start of all services together.
    type: int
    default: 180
requirements:
  - docker >= 7.0
notes:
  - A running service and its dependencies are not changed.
  - A service that runs only once, such as Caracal's migration, is started again if a service that depends on it is started.
seealso:
  - module: caracal_ops.backup.deployment_info
"""

EXAMPLES = r"""
---
- name: Start only PostgreSQL and Redis
  caracal_ops.backup.compose_services:
    compose_project: caracal
    services:
      - postgres
      - redis
      - replayVolumeInit
  become: true

- name: Start all services and wait until they are ready
  caracal_ops.backup.compose_services:
    compose_project: caracal
  become: true
"""

RETURN = r"""
started:
  description: Services that were started, in the order of the start.
  returned: success
  type: list
  elements: str
  sample: [postgres, redis, replayVolumeInit]
urls:
  description:
    - Addresses at which this host reaches the running services that M(caracal_ops.backup.canary_exchange) tests, in the format of
      O(caracal_ops.backup.canary_exchange#module:urls). If a port is not published, the address is the address of the container.
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
