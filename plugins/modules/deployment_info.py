#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment_info
short_description: Find where everything of a Caracal deployment is
version_added: 0.1.0
description:
  - Asks the container engine for the containers of a Compose project, and says where its databases, Redis, secrets, replay directories and
    settings are, in the words of the options of the modules that back them up.
  - The engine is asked, and never told to do anything.
  - Only containers that Compose created count. Labels that a container has from its image do not make it one of them.
  - Replay directories are found by what the containers of STS and Gateway mount, and by the project's volumes, which outlive them. A
    service with neither is in RV(deployment.replay), and a warning says so.
  - The role C(caracal_backup) begins with it where C(caracal_ops_compose_project) is set.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._attributes.read_only
  - caracal_ops.backup._compose
  - caracal_ops.backup._engine
options:
  named:
    description:
      - What you name yourself, so that the project need not tell it. What is neither found nor named is an error, which says all of it.
    type: list
    elements: str
    choices: [database, redis, secrets, environment_file, replay]
    default: []
  accept_stopped:
    description:
      - Whether PostgreSQL and Redis may be stopped, as before a restore. RV(deployment.stopped) then says what must be started; of what
        does not run, host and port may be unknown.
    type: bool
    default: false
requirements:
  - docker >= 7.0
notes:
  - It tells no secret, but where they lie. Of a container's environment only the variables are told that say how long what is kept.
  - Run it where the project runs, as a user who may use the engine's socket.
seealso:
  - module: caracal_ops.backup.backup_preflight
"""

EXAMPLES = r"""
---
- name: Where is everything of the deployment?
  caracal_ops.backup.deployment_info:
    compose_project: caracal
  become: true
  register: found

- name: Show it
  ansible.builtin.debug:
    var: found.deployment
"""

RETURN = r"""
summary:
  description: The same in one line.
  returned: success
  type: str
  sample: "Compose project caracal: PostgreSQL at 127.0.0.1:5432 as caracal, Redis at 127.0.0.1:6379, secrets in /srv/caracal/secrets,
    settings in /srv/caracal/caracal.env, replay directories of sts-1, gateway-1"
deployment:
  description:
    - Where everything is. What the project does not tell is empty.
  returned: success
  type: dict
  contains:
    directory:
      description: Directory of the project.
      type: str
      sample: /srv/caracal
    database:
      description: How PostgreSQL is reached, by the published port or else the container's own address, in options; and the
        id of the image that it runs from, for M(caracal_ops.backup.postgres_programs). Null if not found.
      type: dict
      sample: {"login_host": "127.0.0.1", "login_port": 5432, "login_user": "caracal",
        "login_password_file": "/srv/caracal/secrets/postgresPassword", "image": "sha256:9f86d081884c7d65"}
    redis:
      description: The same for Redis.
      type: dict
      sample: {"redis_host": "127.0.0.1", "redis_port": 6379, "redis_password_file": "/srv/caracal/secrets/redisPassword"}
    secrets_directory:
      description: Directory of the runtime secrets.
      type: str
      sample: /srv/caracal/secrets
    environment_file:
      description: File with the settings of the project, as it was started with.
      type: str
      sample: /srv/caracal/caracal.env
    extra_files:
      description: Other files that the services cannot do without, such as certificates.
      type: list
      elements: str
      sample: ["/srv/caracal/ca/extra-ca.pem"]
    extra_directories:
      description: Where such files belong, by their name, for O(caracal_ops.backup.secrets_restore#module:extra_directories).
      type: dict
      sample: {"extra-ca.pem": "/srv/caracal/ca", "enabled": "/srv/caracal/control"}
    replay:
      description: Directories of unsent audit events, and services that have none that outlives their container.
      type: dict
      sample: {"volumes": [{"service": "sts", "replica": "1", "path": "/var/lib/docker/volumes/caracal_stsReplay/_data/audit-replay"}],
        "not_durable": []}
    settings:
      description:
        - Variables that say how long what is kept, as the running services have them, for
          O(caracal_ops.backup.retention_verify#module:effective_environment). Null if one of them does not run, or its replicas differ.
      type: dict
      sample: {"SESSION_RETENTION_DAYS": "90"}
    services:
      description:
        - What each service is made from, for O(caracal_ops.backup.backup_set#module:services). C(digest) is that of its image in a
          registry, C(image_id) that of the image's configuration. C(command) is empty where it holds more than absolute
          paths, which might be a secret.
      type: list
      elements: dict
      sample: [{"service": "sts", "replica": "1", "image": "caracal-go:v1.0.0", "digest": "sha256:9f86d081884c7d65",
        "image_id": "sha256:60303ae22b998861", "command": ["/usr/local/bin/sts"], "working_directory": "/"}]
    running:
      description: Names of the services that run now.
      type: list
      elements: str
      sample: [postgres, redis]
    stopped:
      description:
        - With O(accept_stopped), what must run before anything is restored and does not, for
          O(caracal_ops.backup.compose_services#module:services) and O(caracal_ops.backup.restore_preflight#module:stopped). Without what
          O(named) names.
      type: list
      elements: str
      sample: [postgres, redis, replayVolumeInit]
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._deployment.deployment_info import Options
from ..module_utils._deployment.deployment_info import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
