#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: envelope_verify
short_description: Verify that a KEK decrypts all encrypted values of a Caracal database
version_added: 0.1.0
description:
  - Decrypts each zone signing key, provider secret, user token, webhook secret and plan secret with the deployment's key-encryption key
    (KEK). Reports whether the KEK is correct, wrong or only one of several KEKs, and which rows are damaged. The result never contains
    plaintexts.
  - Caracal itself does not detect a wrong KEK. All services start and report that they are ready, and fail only at the first token request.
  - Run it on a restored copy before any service starts there, or on the live database. The module only reads the database.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._attributes.read_only
  - caracal_ops.backup._postgres
  - caracal_ops.backup._sandbox
options:
  kek_file:
    description:
      - File with the KEK, which is C(secretStoreKek) or C(zoneKek) of the deployment's runtime secrets. It must contain exactly 32 bytes as
        hexadecimal digits.
      - Spaces and newlines at the end are ignored, as in Caracal. The module refuses the values that Caracal refuses, such as base64 and
        keys with a pattern.
    type: path
  kek:
    description:
      - The KEK itself, as exactly 64 hexadecimal digits. Prefer O(kek_file).
    type: str
  previous_kek_file:
    description:
      - File with the previous KEK, during a rotation. KEK rotation requires v0.1.0 or later.
    type: path
  previous_kek:
    description:
      - The previous KEK itself. Prefer O(previous_kek_file).
    type: str
  database:
    description:
      - Name of the database.
    type: str
    default: caracal
  require_valid:
    description:
      - Whether to fail unless the verdict is V(pass).
    type: bool
    default: true
notes:
  - The module does not run PostgreSQL programs, so O(pg_bin) has no effect.
seealso:
  - module: caracal_ops.backup.state_verify
"""

EXAMPLES = r"""
---
- name: Verify the KEK of a restored database
  caracal_ops.backup.envelope_verify:
    sandbox: /var/tmp/drill
    kek_file: /run/drill-secrets/secretStoreKek

- name: Check whether the KEK rotation is complete and the previous KEK can be removed
  caracal_ops.backup.envelope_verify:
    login_host: db.example.com
    login_user: caracal
    login_password_file: /etc/caracal-ops/db.password
    kek_file: /opt/caracal/secrets/secretStoreKek
    previous_kek_file: /opt/caracal/secrets/secretStoreKekPrevious
    require_valid: false
  register: sealed
"""

RETURN = r"""
verdict:
  description: V(pass), V(fail) or V(unproven).
  returned: always
  type: str
  sample: pass
checks:
  description:
    - Each check with its verdict, in the format of M(caracal_ops.backup.backup_set_verify).
    - The checks are C(envelopes.kek), one check C(envelopes.<table>.<column>) for each encrypted column, C(envelopes.signing_keys),
      C(envelopes.providers) and C(envelopes.coverage).
    - The details of the check of a column contain the number of values that each KEK decrypted, by KEK ID. They also list the first 50 rows
      that could not be decrypted.
  returned: always
  type: list
  elements: dict
  sample: >-
    [{"id": "envelopes.kek", "verdict": "pass", "message": "correct KEK: 4870629f7486c86f decrypts 41 sealed values", "required": true,
    "details": {"given": ["4870629f7486c86f"], "rows": 41, "opened": {"4870629f7486c86f": 41}, "foreign": {}, "damaged": 0}}]
database:
  description: Name of the database.
  returned: always
  type: str
  sample: caracal
family:
  description: Release family, V(zone_kek) or V(secret_store).
  returned: always
  type: str
  sample: secret_store
release:
  description: Release of Caracal. Null if unknown.
  returned: always
  type: str
  sample: v1.0.0
key_ids:
  description: IDs of the given keys, which are the first 8 bytes of their SHA-256. An ID identifies the key and reveals nothing about it.
  returned: always
  type: dict
  sample: {"current": "4870629f7486c86f", "previous": null}
signing_keys:
  description: Public keys of all signing keys that were decrypted, in the order of their IDs.
  returned: always
  type: list
  elements: dict
  sample: [{"kid": "01970000-0000-7000-8000-000000000001", "zone": "01970000-0000-7000-8000-000000000000", "version": 1, "crv": "P-256",
    "x": "R8z7lWRUzlJJ4_0P3WBBmU-uwNdJNAVVo4g3f_hRqoY", "y": "H9Jsf5n2q-Qx8eBW52AIZ1Vkwxg8VMraEkVQAgOPSqQ"}]
seconds:
  description: Duration in seconds.
  returned: always
  type: float
  sample: 0.2
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._checks.envelope_verify import Options
from ..module_utils._checks.envelope_verify import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
