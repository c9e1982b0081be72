#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: canary_exchange
short_description: Run canary requests against the services of a restored deployment
version_added: 0.1.0
description:
  - Caracal's services report that they are ready even with a wrong KEK or an empty database. This module tests them with real requests.
  - It requests signing keys and a token, sends a protected request through the Gateway, and tries operations that the services must refuse.
    Then it searches the restored audit chain for the audit rows of its own requests.
  - Tokens, client secrets and response bodies never appear in a result, error or log. The module reports only the status, the error code
    and the one-line description of a response.
  - To test a complete token exchange, set O(application) to an application of your own. In the sandbox of a drill, you can set O(self_made)
    instead. Without either option, the module sends only requests that write nothing. In a sandbox, the module also tests whether the
    Gateway refuses a revoked session.
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
      - Only requests that write nothing are sent.
  diff_mode:
    support: N/A
    details:
      - The services add audit events and other rows in response to the requests.
  idempotent:
    support: N/A
    details:
      - Each run sends the requests again. Each exchange and each protected request adds audit events.
options:
  urls:
    description:
      - Addresses of the services. In a sandbox, the default is Caracal's ports on V(127.0.0.1), as seen from inside the sandbox. Without a
        sandbox, this option is required, and a service without an address is not tested.
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
          - Address of the Coordinator. Releases with policy as data (v2026.06.25 and later) require it for a protected request.
        type: str
  database:
    description:
      - Name of the restored database.
    type: str
    default: caracal
  secrets_directory:
    description:
      - Directory with the secrets of the running services, as M(caracal_ops.backup.secrets_restore) writes them. The module reads
        C(caracalAdminToken), C(auditHmacKey) and the KEK.
    type: path
    required: true
  signing_keys:
    description:
      - Value of RV(caracal_ops.backup.envelope_verify#module:signing_keys) from a run before the services started. Without it, the module
        cannot distinguish keys of the backup from keys that the STS has silently created since then.
    type: list
    elements: dict
  application:
    description:
      - An application that you created for this purpose. It needs a resource with an upstream that the module may call. See the guide on
        canaries.
    type: dict
    suboptions:
      zone:
        description:
          - ID of the application's zone.
        type: str
        required: true
      id:
        description:
          - ID of the application.
        type: str
        required: true
      client_secret_file:
        description:
          - File that contains the client secret as its only line.
        type: path
        required: true
      resource:
        description:
          - Identifier of the resource, such as V(resource://canary).
        type: str
        required: true
      scopes:
        description:
          - Scopes of the resource that the application requests.
        type: list
        elements: str
        required: true
      labels:
        description:
          - Labels of the application's session, which are the roles in the grants of the policy. Only for releases with policy as data.
        type: list
        elements: str
        default: []
      path:
        description:
          - Path on the resource that the module requests with C(GET).
        type: str
        default: /
  self_made:
    description:
      - Whether to create a zone, application, resource and policy through the API, and to test that a restored zone refuses a request. This
        adds rows, so it is allowed only in a sandbox. Mutually exclusive with O(application).
    type: bool
    default: false
  require_valid:
    description:
      - Whether to fail unless the verdict is V(pass).
    type: bool
    default: true
notes:
  - The module does not run PostgreSQL programs, so O(pg_bin) has no effect.
seealso:
  - module: caracal_ops.backup.envelope_verify
  - module: caracal_ops.backup.state_verify
"""

EXAMPLES = r"""
---
- name: Test the services in a drill's sandbox
  caracal_ops.backup.canary_exchange:
    sandbox: /var/tmp/drill
    secrets_directory: /var/tmp/drill/secrets
    signing_keys: "{{ envelopes.signing_keys }}"
    self_made: true

- name: Test the services after a restore, with your own canary application
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
  description: Each check with its verdict, in the format of M(caracal_ops.backup.backup_set_verify).
  returned: always
  type: list
  elements: dict
  sample: >-
    [{"id": "canary.jwks", "verdict": "pass", "message": "the STS serves the 3 keys of 3 zones that were backed up", "required": true,
    "details": {}}]
family:
  description: Release family, V(zone_kek) or V(secret_store).
  returned: always
  type: str
  sample: secret_store
release:
  description: Release of the restored deployment. Null if unknown.
  returned: always
  type: str
  sample: v1.0.0
request_ids:
  description: IDs of the requests for which audit rows were searched. Use them to find the requests in the logs of the services.
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
