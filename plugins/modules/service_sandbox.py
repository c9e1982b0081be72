#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_sandbox
short_description: Start Caracal's services beside a restored copy, shut in
version_added: 0.1.0
description:
  - Starts the services of Caracal in the sandbox of a drill, in the order audit, STS, API, Coordinator, Gateway and web, and waits until
    each is ready.
  - Before that it proves that the sandbox is isolated. What this host reaches, its own listening ports and sockets and what is recorded as
    production, is tried from inside and must not be reached. If none of it is reached from this host either, that proves nothing.
    Without the proof no service is started.
  - Then it takes from the copy what could act on the world. Notification sinks are switched off, pending deliveries abandoned, the
    addresses of providers replaced, and the limit of the audit retention raised. Run it after every comparison with the inventory.
  - A backup with dead rows in an outbox is normal. The API's limit is set to those that the copy has, and a Coordinator that is not ready
    because of them is a C(warn).
  - Each service gets its database login, its secrets and its addresses in files that only it is shown; its environment holds no secret.
    The exports to S3 are off and the audit retention is a hundred years.
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._images
attributes:
  check_mode:
    support: full
    details:
      - The sandbox is probed, nothing is changed and nothing started, so the verdict says nothing about services.
  diff_mode:
    support: none
  idempotent:
    support: full
    details:
      - A service that runs is left alone and asked whether it is ready.
options:
  sandbox:
    description:
      - Directory of the sandbox, with a restored copy in its PostgreSQL and a Redis of M(caracal_ops.backup.redis_sandbox).
    type: path
    required: true
  state:
    description:
      - V(started) makes sure that the services run. V(stopped) ends them gracefully, so that they write their unsent audit events first.
    type: str
    choices: [started, stopped]
    default: started
  services:
    description:
      - How to start each service. One of audit, STS, API, Coordinator and Gateway that is missing makes the drill C(unproven).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Which service.
        type: str
        required: true
        choices: [audit, sts, api, coordinator, gateway, web]
      image:
        description:
          - Id of an image, C(sha256:) and 64 hex digits, which it is started from. Empty for a program of this host.
        type: str
        default: ""
      reference:
        description:
          - Where a registry has the image, as C(name@sha256:...). Asked by C(skopeo), if that is installed,
            when nothing on this host has the image. The image is still the one of O(services[].image), or it is refused.
        type: str
        default: ""
      command:
        description: The program, with an absolute path, and its arguments. No shell is involved. Without it, what the image starts.
        type: list
        elements: str
        default: []
      directory:
        description: Directory of the image that it starts in. Without it, the one that the image says.
        type: str
        default: ""
      environment:
        description:
          - More variables. They replace those that the module sets, except variables whose values come from the set (its keys, logins,
            database, Redis and replay directory), which are refused.
          - Give no secrets here, since the user of the sandbox can read them.
        type: dict
        default: {}
      readable:
        description: Files and folders that the service may see, beside its program and the system's libraries.
        type: list
        elements: path
        default: []
  secrets_directory:
    description:
      - Folder with the restored secrets, readable for the user of the sandbox. Required to start.
    type: path
  replay_directory:
    description:
      - Folder with the restored replay files, in C(sts/audit-replay) and C(gateway/audit-replay), which belong to the user of the
        sandbox.
    type: path
  production:
    description:
      - Addresses of the production database, Redis, export bucket and services, as C(host:port) or as absolute path of a Unix socket.
        None may be reached from inside.
    type: list
    elements: str
    default: []
  ready_timeout:
    description:
      - How many seconds each service may take to be ready.
      - A service that never listens, or that is not ready in less than 10 seconds, is C(unproven), not C(fail).
    type: int
    default: 90
  unisolated_reason:
    description:
      - Why services may start in a sandbox without isolation. It is printed in the report.
    type: str
    default: ""
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
- name: Start the restored services
  caracal_ops.backup.service_sandbox:
    sandbox: /var/tmp/caracal-drill
    secrets_directory: /var/tmp/caracal-drill/secrets
    replay_directory: /var/tmp/caracal-drill/replay
    production:
      - db.prod.example:5432
      - redis.prod.example:6379
      - caracal-audit.s3.eu-central-1.amazonaws.com:443
    services:
      - name: audit
        command: [/opt/caracal/bin/audit]
      - name: sts
        command: [/opt/caracal/bin/sts]
      - name: api
        command: [/usr/bin/node, /opt/caracal/api/dist/main.js]
        readable: [/opt/caracal/api]
      - name: coordinator
        command: [/usr/bin/node, /opt/caracal/coordinator/dist/main.js]
        readable: [/opt/caracal/coordinator]
      - name: gateway
        command: [/opt/caracal/bin/gateway]

- name: Stop them
  caracal_ops.backup.service_sandbox:
    sandbox: /var/tmp/caracal-drill
    state: stopped
"""

RETURN = r"""
verdict:
  description: Verdict of the required checks.
  returned: when O(state=started)
  type: str
  sample: pass
checks:
  description:
    - C(sandbox.isolated), C(replay.events), C(secrets.streams_key), C(redis.forged_frames), C(sandbox.disarmed), and
      C(services.<name>.ready) with the seconds that it took, or with the reason that the service gives and the last lines of its log.
  returned: when O(state=started)
  type: list
  elements: dict
  sample:
    - id: services.sts.ready
      verdict: pass
      message: ready after 0.8 s
      required: true
      details: {service: sts, seconds: 0.8}
running:
  description: Which services run now, ready or not.
  returned: when O(state=started)
  type: list
  elements: str
  sample: [audit, sts, api, coordinator, gateway]
urls:
  description: Addresses of the services inside the sandbox.
  returned: when O(state=started)
  type: dict
  sample: {sts: "http://127.0.0.1:8080"}
stopped:
  description: Which services ran.
  returned: when O(state=stopped)
  type: list
  elements: str
  sample: [gateway, sts, audit]
seconds:
  description: How long it took.
  returned: when O(state=started)
  type: float
  sample: 12.4
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._drill.service_sandbox import argument_spec
from ..module_utils._drill.service_sandbox import run as use_case


def main() -> None:
    run(argument_spec(), use_case)


if __name__ == "__main__":
    main()
