#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment_info
short_description: Discover the databases, secrets and services of a Compose deployment
version_added: 0.1.0
description:
  - Queries the container engine for the containers of a Compose project. Returns the locations of its databases, Redis, secrets, replay
    directories and settings, as options of the modules that back them up.
  - The module only sends read requests to the engine.
  - The module considers only containers that Compose created. It ignores labels that a container has from its image.
  - The module finds replay directories by the mounts of the STS and Gateway containers, and by the project's volumes. Volumes still exist
    after a container is removed.
  - If a service has no replay directory that outlives its container, RV(deployment.replay) lists the service and the module warns.
  - If C(caracal_ops_compose_project) is set, the role C(caracal_backup) begins with this module.
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
      - Items that you configure yourself, so that the module does not have to find them. If the module cannot find an item that is not
        listed here, it fails and reports all such items. A project without an environment file causes only a warning.
    type: list
    elements: str
    choices: [database, redis, secrets, environment_file, replay]
    default: []
  accept_stopped:
    description:
      - Whether to accept that PostgreSQL and Redis are stopped, as before a restore. RV(deployment.stopped) then lists the services that
        must be started. The host and port of a stopped service may be unknown.
    type: bool
    default: false
requirements:
  - docker >= 7.0
notes:
  - The module returns the locations of secrets, but not their values. From a container's environment, it returns only the variables for
    retention periods.
  - Run the module on the host of the project, as a user with access to the socket of the engine.
seealso:
  - module: caracal_ops.backup.backup_preflight
"""

EXAMPLES = r"""
---
- name: Discover the deployment
  caracal_ops.backup.deployment_info:
    compose_project: caracal
  become: true
  register: found

- name: Show the deployment
  ansible.builtin.debug:
    var: found.deployment
"""

RETURN = r"""
summary:
  description: Summary of the deployment in one line.
  returned: success
  type: str
  sample: "Compose project caracal: PostgreSQL at 127.0.0.1:5432 as caracal, Redis at 127.0.0.1:6379, secrets in /srv/caracal/secrets,
    settings in /srv/caracal/caracal.env, replay directories of sts-1, gateway-1"
deployment:
  description:
    - Locations and settings of the deployment. Values that the project does not provide are empty.
  returned: success
  type: dict
  contains:
    directory:
      description: Directory of the project.
      type: str
      sample: /srv/caracal
    database:
      description: Connection options for PostgreSQL, with the published port or else the container's own address. They include the ID of
        the container's image, for M(caracal_ops.backup.postgres_programs). Null if not found.
      type: dict
      sample: {"login_host": "127.0.0.1", "login_port": 5432, "login_user": "caracal",
        "login_password_file": "/srv/caracal/secrets/postgresPassword", "image": "sha256:9f86d081884c7d65"}
    redis:
      description: Connection options for Redis. Null if not found.
      type: dict
      sample: {"redis_host": "127.0.0.1", "redis_port": 6379, "redis_password_file": "/srv/caracal/secrets/redisPassword"}
    secrets_directory:
      description: Directory of the runtime secrets.
      type: str
      sample: /srv/caracal/secrets
    environment_file:
      description: File with the settings with which the project was started.
      type: str
      sample: /srv/caracal/caracal.env
    extra_files:
      description: Other files that the services require, such as certificates.
      type: list
      elements: str
      sample: ["/srv/caracal/ca/extra-ca.pem"]
    extra_directories:
      description: >-
        Directory of each such file, by file name, even if the file does not exist, for
        O(caracal_ops.backup.secrets_restore#module:extra_directories).
      type: dict
      sample: {"extra-ca.pem": "/srv/caracal/ca", "enabled": "/srv/caracal/control"}
    replay:
      description: >-
        C(volumes) lists the directories of unsent audit events. C(not_durable) lists the services without a directory that outlives their
        container.
      type: dict
      sample: {"volumes": [{"service": "sts", "replica": "1", "path": "/var/lib/docker/volumes/caracal_stsReplay/_data/audit-replay"}],
        "not_durable": []}
    settings:
      description:
        - Variables for retention periods, as set in the running services, for
          O(caracal_ops.backup.retention_verify#module:effective_environment). Null if one of these services does not run, or if its
          replicas differ.
      type: dict
      sample: {"SESSION_RETENTION_DAYS": "90"}
    services:
      description:
        - Image and command of each service, for O(caracal_ops.backup.backup_set#module:services).
        - C(digest) is the digest of the image in a registry. C(image_id) is the digest of the image's configuration.
        - C(command) is empty if it contains anything other than absolute paths, because that might be a secret.
      type: list
      elements: dict
      sample: [{"service": "sts", "replica": "1", "image": "caracal-go:v1.0.0", "digest": "sha256:9f86d081884c7d65",
        "image_id": "sha256:60303ae22b998861", "command": ["/usr/local/bin/sts"], "working_directory": "/"}]
    running:
      description: Names of the running services.
      type: list
      elements: str
      sample: [postgres, redis]
    stopped:
      description:
        - With O(accept_stopped), stopped services that must run before a restore, for
          O(caracal_ops.backup.compose_services#module:services) and O(caracal_ops.backup.restore_preflight#module:stopped). Services for
          items in O(named) are not listed.
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
