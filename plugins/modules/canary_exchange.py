#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: canary_exchange
short_description: Ask the services of a restored copy for what only a working copy can give
version_added: 0.1.0
description:
  - All services of Caracal say that they are ready with a wrong KEK and with an empty database. This module asks them for signing keys,
    for a token, for a protected request through the Gateway, and for what they must refuse, and looks for the audit rows of its own
    requests on the restored chain.
  - Tokens, client secrets and answers are in no result, error or log. What is told of an answer is its status, its error code and
    its one-line description.
  - Give O(application) for a whole exchange with an application of your own, or O(self_made) in the sandbox of a drill. Without both,
    only what writes nothing is asked, and in a sandbox whether a revoked session is refused.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._postgres
  - caracal_ops.backup._sandbox
attributes:
  check_mode:
    support: full
    details:
      - What writes nothing is asked, the rest is not.
  diff_mode:
    support: N/A
    details:
      - Audit events are added by the services, not by this module.
  idempotent:
    support: N/A
    details:
      - Each run asks anew, and each exchange and each protected request leaves audit events.
options:
  urls:
    description:
      - Addresses of the services. In a sandbox the ports of the product on V(127.0.0.1) are the default, seen from inside; without one
        what has no address is not asked.
    type: dict
    suboptions:
      sts:
        description:
          - Address of the STS.
        type: str
      gateway:
        description:
          - Address of the Gateway.
        type: str
      api:
        description:
          - Address of the API.
        type: str
      coordinator:
        description:
          - Address of the Coordinator. Releases with policy as data need it for a protected request.
        type: str
  database:
    description:
      - Name of the database of the copy.
    type: str
    default: caracal
  secrets_directory:
    description:
      - Directory with the secrets that the services run with, as M(caracal_ops.backup.secrets_restore) writes it. C(caracalAdminToken),
        C(auditHmacKey) and the KEK are read from it.
    type: path
    required: true
  signing_keys:
    description:
      - RV(caracal_ops.backup.envelope_verify#module:signing_keys) of a run before the services started. Without it a key that the STS has
        made in silence since cannot be told from one of the backup.
    type: list
    elements: dict
  application:
    description:
      - An application of your own, made for this purpose, with a resource whose upstream may be called. See the guide on canaries.
    type: dict
    suboptions:
      zone:
        description:
          - ID of its zone.
        type: str
        required: true
      id:
        description:
          - ID of the application.
        type: str
        required: true
      client_secret_file:
        description:
          - File whose only line is its client secret.
        type: path
        required: true
      resource:
        description:
          - Identifier of the resource, such as V(resource://canary).
        type: str
        required: true
      scopes:
        description:
          - Scopes of the resource that it asks for.
        type: list
        elements: str
        required: true
      labels:
        description:
          - Labels of its session, which are the roles in the policy's grants. Only for releases with policy as data.
        type: list
        elements: str
        default: []
      path:
        description:
          - Path that is asked of the resource, with C(GET).
        type: str
        default: /
  self_made:
    description:
      - Make zone, application, resource and policy through the API, and have a restored zone refuse a request. Adds rows, so only in
        a sandbox.
    type: bool
    default: false
  require_valid:
    description:
      - Fail unless the verdict is V(pass).
    type: bool
    default: true
notes:
  - The module runs no program of PostgreSQL, so O(pg_bin) has no effect here.
seealso:
  - module: caracal_ops.backup.envelope_verify
  - module: caracal_ops.backup.state_verify
"""

EXAMPLES = r"""
---
- name: Do the services of the drill's copy work?
  caracal_ops.backup.canary_exchange:
    sandbox: /var/tmp/drill
    secrets_directory: /var/tmp/drill/secrets
    signing_keys: "{{ envelopes.signing_keys }}"
    self_made: true

- name: After a real restore, with the application that was made for this
  caracal_ops.backup.canary_exchange:
    login_host: db.example.com
    login_password_file: /etc/caracal-ops/db.password
    secrets_directory: /opt/caracal/secrets
    urls:
      sts: https://sts.caracal.example.com
      gateway: https://gateway.caracal.example.com
      api: https://api.caracal.example.com
      coordinator: https://coordinator.caracal.example.com
    application:
      zone: 019e90a5-0000-7000-8000-000000000001
      id: 019e90a5-0000-7000-8000-000000000002
      client_secret_file: /etc/caracal-ops/canary.secret
      resource: resource://canary
      scopes:
        - canary:read
      labels:
        - canary
"""

RETURN = r"""
verdict:
  description: V(pass), V(fail) or V(unproven).
  returned: always
  type: str
  sample: pass
checks:
  description: Each check with its verdict, in the form that M(caracal_ops.backup.backup_set_verify) returns.
  returned: always
  type: list
  elements: dict
  sample: [{"id": "canary.jwks", "verdict": "pass", "message": "the STS serves 3 keys of 3 zones", "required": true, "details": {}}]
family:
  description: V(zone_kek) or V(secret_store).
  returned: always
  type: str
  sample: secret_store
release:
  description: Release of the copy; none if it is unknown.
  returned: always
  type: str
  sample: v1.0.0
request_ids:
  description: IDs of the requests whose audit rows were looked for, to find them in the services' logs too.
  returned: always
  type: list
  elements: str
  sample: ["caracal-ops-5f0c1a2b3c4d5e6f"]
seconds:
  description: Duration in seconds.
  returned: always
  type: float
  sample: 2.4
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._drill.canary_exchange import Options
from ..module_utils._drill.canary_exchange import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
