#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: secrets_bundle
short_description: Seal the runtime secrets of Caracal into an open backup set, and prove that they open its database
version_added: 0.1.0
description:
  - Reads the secrets of a deployment before and after the dump, checks them as the product will check them, and seals them into one
    archive for recipients of their own. Values enter by path only, stay in memory, and are in no result, log or argument list.
  - The second reading proves that the keys open what the dump's snapshot is sealed with and that they signed its audit rows.
    A set whose own secrets do not open it is refused, since restoring it would lose every sealed value.
  - Secrets that did not change since the last set are not stored again.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._open_set
  - caracal_ops.backup._reading
  - caracal_ops.backup._repository
  - caracal_ops.backup._signing
  - caracal_ops.backup._recipients
  - caracal_ops.backup._postgres
attributes:
  check_mode:
    support: full
    details:
      - Reads and checks every secret, recipient and key, and proves the pairing where the set has its database already.
  diff_mode:
    support: full
    details:
      - Shows the names of the files. Never a value, a length or a digest.
  idempotent:
    support: partial
    details:
      - A set that has this reading already is left as it is; a new set gets a new one.
options:
  directory:
    description:
      - The directory of the secrets, as the installer makes it, or as Kubernetes projects them. All files below it are kept.
      - A link that leads out of it is refused; name such a file in O(files).
    type: path
  files:
    description:
      - Secret files by the name that the product knows them by, for example C(secretStoreKek).
      - The paths are absolute. For secrets that come from a vault, write each to a file in memory (tmpfs) with C(no_log) first.
    type: dict
    default: {}
  environment_file:
    description:
      - The C(caracal.env) of the installation, which may hold tokens too.
    type: path
  extra_files:
    description:
      - Other files that the installation needs, such as a CA. Each is kept under its own name, so two must not have the same.
    type: list
    elements: path
    default: []
  retired_audit_keys:
    description:
      - Former C(AUDIT_HMAC_KEY)s, whose rows are still in the database. The product has no previous audit key, so without them nobody
        can verify those rows again.
    type: list
    elements: path
    default: []
  previous_kek:
    description:
      - The C(SECRET_STORE_KEK_PREVIOUS), while a rotation of the KEK is under way and the secrets do not hold it themselves.
    type: path
  secret_backend:
    description:
      - What C(CARACAL_SECRET_BACKEND) says, if it is not in O(environment_file). Without both, V(builtin).
      - With any other, provider secrets and tokens lie outside of the database. The set then says that they were left out, and its
        pairing is C(unproven).
    type: str
  database_recipients:
    description:
      - Whom the database is sealed to. No recipient of the secrets may be among them, so that one stolen key never opens both.
      - The second reading compares with what the dump was really sealed to as well.
    type: list
    elements: str
    default: []
  database_recipients_files:
    description:
      - The same as files, with one recipient a line.
    type: list
    elements: path
    default: []
  allow_same_recipients:
    description:
      - Let a recipient open the database and its secrets, for example a break-glass key that lies in a safe.
      - Whoever has its identity and a copy of the repository then has everything.
    type: bool
    default: false
notes:
  - The second reading proves the pairing. For databases of the C(ZONE_KEK) releases that needs a login, since their sealed values do not
    name their key.
  - O(signing_key) is only compared with the recipients here; the commit signs.
  - A newline at the end of a secret file is kept; the product takes it off.
requirements:
  - pyrage >= 1.3
  - zstandard >= 0.22
  - psycopg2 >= 2.9 and cryptography, for the pairing of the C(ZONE_KEK) releases
seealso:
  - module: caracal_ops.backup.secrets_restore
  - module: caracal_ops.backup.envelope_verify
"""

EXAMPLES = r"""
---
- name: Read the secrets before the dump
  caracal_ops.backup.secrets_bundle:
    set_id: "{{ opened.set_id }}"
    reading: 1
    directory: /opt/caracal/secrets
    environment_file: /opt/caracal/caracal.env
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: /etc/caracal-ops/backup_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
    recipients_files:
      - /etc/caracal-ops/secrets.recipients
    database_recipients_files:
      - /etc/caracal-ops/database.recipients

- name: Read them again after the dump, and prove that they open it
  caracal_ops.backup.secrets_bundle:
    set_id: "{{ opened.set_id }}"
    reading: 2
    directory: /opt/caracal/secrets
    environment_file: /opt/caracal/caracal.env
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: /etc/caracal-ops/backup_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
    recipients_files:
      - /etc/caracal-ops/secrets.recipients
    login_host: db.internal
    login_user: backup
    login_password_file: /etc/caracal-ops/db_password
"""

RETURN = r"""
set_id:
  description: Id of the set.
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
family:
  description: V(secret_store) or V(zone_kek), by the KEK that was found.
  returned: always
  type: str
  sample: secret_store
names:
  description: Names of the files in the bundle. Those in C(folders/) are directories of the secrets that held no file.
  returned: always
  type: list
  elements: str
  sample: ["environment/caracal.env", "secrets/auditHmacKey", "secrets/secretStoreKek"]
count:
  description: How many files there are.
  returned: always
  type: int
  sample: 14
key_ids:
  description:
    - Public ids of the KEKs and HMAC keys by name, which stand in the manifest.
    - A name with C(.1) is a key of the first reading that is no longer in use.
  returned: always
  type: dict
  sample: {"kek": "1a2b3c4d5e6f7081", "audit_hmac_key": "90a1b2c3d4e5f607"}
key_set:
  description: Public id of this state of the secrets. It does not help to guess them.
  returned: always
  type: str
  sample: 5d41402abc4b2a76
path:
  description: The sealed object.
  returned: always
  type: str
  sample: objects/secrets/5d41402abc4b2a76.20261125T020000Z-k3f9.tar.zst.age
shared:
  description: Whether an object serves that was there already, of an earlier set or of the first reading.
  returned: always
  type: bool
  sample: false
changed_names:
  description: Files that the first reading saw otherwise.
  returned: always
  type: list
  elements: str
  sample: []
pairing:
  description: The proof that the secrets open the dump, as the manifest will hold it; null on the first reading.
  returned: always
  type: dict
  sample: {"verdict": "pass", "message": "every envelope of secrets.envelope names KEK 1a2b3c4d5e6f7081"}
seconds:
  description: Duration in seconds.
  returned: always
  type: float
  sample: 0.4
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._assets.secrets.secrets_bundle import Options
from ..module_utils._assets.secrets.secrets_bundle import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
