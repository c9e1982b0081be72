#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: secrets_bundle
short_description: Back up the runtime secrets of Caracal into an open backup set, and prove that they decrypt the set's database
version_added: 0.1.0
description:
  - Reads the secrets of a deployment before and after the dump, and checks them as Caracal does. Encrypts the secrets into one archive, for
    separate recipients. Pass secrets only as paths of files. Secret values stay in memory, and are not in any result, log or argument list.
  - The second pass proves that the keys decrypt the values in the dump's snapshot and signed the audit rows in it. If the secrets of a set
    do not decrypt its database, the set is refused, because a restore would lose every encrypted value.
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
      - Reads and checks every secret, recipient and key. If the set already contains the dump, also proves that the secrets decrypt it.
  diff_mode:
    support: full
    details:
      - Shows the names of the files, but never a value, a length or a digest.
  idempotent:
    support: partial
    details:
      - A set that has this pass already is not changed. A new set gets a new pass.
options:
  directory:
    description:
      - Directory of the secrets, as the installer creates it or as Kubernetes projects it. All files below it are backed up.
      - A symbolic link to a target outside this directory is refused. List such a file in O(files).
    type: path
  files:
    description:
      - Paths of secret files, by the name that Caracal uses for each secret, such as C(secretStoreKek).
      - Use absolute paths. If secrets come from a vault, first write each secret to a file in memory (tmpfs), in a task with C(no_log).
    type: dict
    default: {}
  environment_file:
    description:
      - Path of C(caracal.env) of the installation, which may contain tokens too.
    type: path
  extra_files:
    description:
      - Other files that the installation needs, such as a CA certificate. Each is stored under its file name, so two files must not have
        the same name.
    type: list
    elements: path
    default: []
  retired_audit_keys:
    description:
      - Files with former values of C(AUDIT_HMAC_KEY) that signed rows in the database. Caracal has no setting for a previous audit key.
        Without these files, those rows cannot be verified any more.
    type: list
    elements: path
    default: []
  previous_kek:
    description:
      - File with C(SECRET_STORE_KEK_PREVIOUS), if a rotation of the KEK is in progress and the directory of the secrets does not contain
        this key.
    type: path
  secret_backend:
    description:
      - Value of C(CARACAL_SECRET_BACKEND), if it is not in O(environment_file). The default is V(builtin).
      - With any other value, provider secrets, tokens and signing keys are stored outside of the database. The set then records that they
        are missing, and RV(pairing) is C(unproven).
    type: str
  database_recipients:
    description:
      - Recipients of the database. A recipient of the secrets must not be among them, so that one stolen key never decrypts both.
      - The second pass also compares the recipients of the secrets with the actual recipients of the dump.
    type: list
    elements: str
    default: []
  database_recipients_files:
    description:
      - Files with recipients of the database, one recipient per line.
    type: list
    elements: path
    default: []
  allow_same_recipients:
    description:
      - Whether to accept a recipient that can decrypt both the database and its secrets, such as a break-glass key in a safe.
      - An attacker with that identity and a copy of the repository can then decrypt everything.
    type: bool
    default: false
notes:
  - For databases of the release family C(zone_kek), the second pass needs a database login, because the encrypted values do not name their
    key.
  - The module checks that O(signing_key) is not a recipient, and signs its part of the open set. M(caracal_ops.backup.backup_set) signs the
    whole set at the commit.
  - A newline at the end of a secret file is kept. Caracal removes it when it reads the file.
requirements:
  - pyrage >= 1.3
  - zstandard >= 0.22
  - psycopg2 >= 2.9 and cryptography, for databases of the release family C(zone_kek)
seealso:
  - module: caracal_ops.backup.secrets_restore
  - module: caracal_ops.backup.envelope_verify
"""

EXAMPLES = r"""
---
- name: Back up the secrets before the dump
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

- name: Back up the secrets again after the dump, and prove that they decrypt the database
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
  description: ID of the set.
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
family:
  description: Release family, V(secret_store) or V(zone_kek). The module determines it from the KEK.
  returned: always
  type: str
  sample: secret_store
names:
  description: Names of the files in the bundle. Names in C(folders/) are empty directories of the secrets.
  returned: always
  type: list
  elements: str
  sample: ["environment/caracal.env", "secrets/auditHmacKey", "secrets/secretStoreKek"]
count:
  description: Number of files.
  returned: always
  type: int
  sample: 14
key_ids:
  description:
    - Public IDs of the KEKs and HMAC keys by name, as in the manifest.
    - A name that ends in C(.1) is a key of the first pass that was replaced before the second pass.
  returned: always
  type: dict
  sample: {"kek": "1a2b3c4d5e6f7081", "audit_hmac_key": "90a1b2c3d4e5f607"}
key_set:
  description: Public ID of this state of the secrets. The ID does not help an attacker to guess the secrets.
  returned: always
  type: str
  sample: 5d41402abc4b2a76
path:
  description: Path of the encrypted object.
  returned: always
  type: str
  sample: objects/secrets/5d41402abc4b2a76.20261125T020000Z-k3f9.tar.zst.age
shared:
  description: V(true) if an existing object is reused, from an earlier set or from the first pass.
  returned: always
  type: bool
  sample: false
changed_names:
  description: Files that changed since the first pass.
  returned: always
  type: list
  elements: str
  sample: []
pairing:
  description: The proof that the secrets decrypt the dump, as the manifest will contain it. Null in the first pass.
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
