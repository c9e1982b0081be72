#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: envelope_verify
short_description: Open every sealed value of a Caracal database with the given KEK
version_added: 0.1.0
description:
  - Opens each zone signing key, provider secret, user token, webhook secret and plan secret with the key-encryption key (KEK) of the
    deployment, and says whether the key is right, wrong or one of several, and which rows are damaged. Plaintexts are never shown.
  - Caracal itself does not notice a wrong KEK. All services start and report ready, and fail when the first token is asked for.
  - Run it on a restored copy before any service starts there, or on the live database, which it only reads.
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
      - File with the KEK, C(secretStoreKek) or C(zoneKek) of the deployment's runtime secrets. Exactly 32 bytes as hexadecimal digits.
      - Blanks and newlines at the end are left out, as Caracal does. What Caracal refuses is refused, such as base64 and patterned keys.
    type: path
  kek:
    description:
      - The KEK itself, 64 hexadecimal digits and nothing else. Prefer O(kek_file).
    type: str
  previous_kek_file:
    description:
      - File with the KEK before the current one, while a rotation is under way. Only releases from v0.1.0 on can rotate.
    type: path
  previous_kek:
    description:
      - The same as a value. Prefer O(previous_kek_file).
    type: str
  database:
    description:
      - Name of the database.
    type: str
    default: caracal
  require_valid:
    description:
      - Fail unless the verdict is V(pass).
    type: bool
    default: true
notes:
  - The module runs no program of PostgreSQL, so O(pg_bin) has no effect here.
seealso:
  - module: caracal_ops.backup.state_verify
"""

EXAMPLES = r"""
---
- name: Does this KEK open what was restored?
  caracal_ops.backup.envelope_verify:
    sandbox: /var/tmp/drill
    kek_file: /run/drill-secrets/secretStoreKek

- name: Is the rotation finished, so that the old KEK can be taken out of the services?
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
    - Each check with its verdict, in the form that M(caracal_ops.backup.backup_set_verify) returns.
    - C(envelopes.kek), one for each sealed column as C(envelopes.<table>.<column>), C(envelopes.signing_keys), C(envelopes.providers)
      and C(envelopes.coverage).
    - The details of a column count its values by the id of the KEK that opened them, and list the first 50 rows that did not open.
  returned: always
  type: list
  elements: dict
  sample: [{"id": "envelopes.kek", "verdict": "pass", "message": "right KEK 4870629f7486c86f: it opens 41 sealed values", "required": true,
    "details": {"given": ["4870629f7486c86f"], "rows": 41, "opened": {"4870629f7486c86f": 41}, "foreign": {}, "damaged": 0}}]
database:
  description: Name of the database.
  returned: always
  type: str
  sample: caracal
family:
  description: V(zone_kek) or V(secret_store).
  returned: always
  type: str
  sample: secret_store
release:
  description: The release, or none for one that is not known.
  returned: always
  type: str
  sample: v1.0.0
key_ids:
  description: Ids of the given keys, the first 8 bytes of their SHA-256. They say which key it is and nothing about it.
  returned: always
  type: dict
  sample: {"current": "4870629f7486c86f", "previous": null}
signing_keys:
  description: Public halves of all signing keys that opened, in the order of their ids.
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
