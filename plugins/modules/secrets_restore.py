#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: secrets_restore
short_description: Restore the runtime secrets of a backup set into files
version_added: 0.1.0
description:
  - Run the module before any service starts for the first time. Caracal silently generates a new secret for each file that is missing or
    empty. If it generates a new KEK, existing encrypted values cannot be decrypted any more.
  - The signature of the set, the digest of the object and the fingerprint of each file are verified before the first byte is written.
  - Each file is written under another name and then renamed. At any time, it is either the complete old file or the complete new file.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._stored_set
  - caracal_ops.backup._repository
  - caracal_ops.backup._identities
  - caracal_ops.backup._recorded
attributes:
  check_mode:
    support: full
    details:
      - Verifies and decrypts the secrets, and returns what would be written.
  diff_mode:
    support: full
    details:
      - Shows only the names of the files.
  idempotent:
    support: full
options:
  key_set:
    description:
      - Public ID of the state of the secrets to restore. If secrets changed during the backup, the set contains two states. The default is
        the later state.
    type: str
  directory:
    description:
      - Directory of the secrets. It is created if it is missing. Its parent must exist.
      - Files in it that are not in the set are not changed.
    type: path
    required: true
  environment_file:
    description:
      - Path to which C(caracal.env) is restored, with mode C(0600). Without this option, that file is not restored.
    type: path
  extra_directory:
    description:
      - Directory for other files of the installation, which keep their original modes. Without this option, they are not restored.
    type: path
  extra_directories:
    description:
      - Directories for individual files of the installation, by file name, as in
        RV(caracal_ops.backup.deployment_info#module:deployment.extra_directories).
    type: dict
    default: {}
  retired_directory:
    description:
      - Directory for former audit keys, which are needed only to verify the audit chain. Without this option, they are not restored.
    type: path
  owner:
    description:
      - Owner of the written files, as a user name or number.
    type: str
  group:
    description:
      - Group of the written files, as a name or number.
    type: str
  replace:
    description:
      - Whether to replace files that have other content. Without this option, the module refuses to replace them.
      - All these files are copied to C(<directory>.replaced-<time>) before the first one is replaced.
    type: bool
    default: false
requirements:
  - pyrage >= 1.3
  - zstandard >= 0.22
seealso:
  - module: caracal_ops.backup.secrets_bundle
  - module: caracal_ops.backup.envelope_verify
"""

EXAMPLES = r"""
---
- name: Restore the secrets of the newest set
  caracal_ops.backup.secrets_restore:
    directory: /opt/caracal/secrets
    environment_file: /opt/caracal/caracal.env
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: /srv/restore/operator_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
    identity_files:
      - /srv/restore/secrets.identity
"""

RETURN = r"""
set_id:
  description: ID of the set.
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
key_set:
  description: Public ID of the restored state of the secrets.
  returned: always
  type: str
  sample: 5d41402abc4b2a76
family:
  description: Release family, V(secret_store) or V(zone_kek).
  returned: always
  type: str
  sample: secret_store
key_ids:
  description: Public IDs of the keys by name. If they differ from the IDs in the signed manifest, the module fails.
  returned: always
  type: dict
  sample: {"kek": "1a2b3c4d5e6f7081", "audit_hmac_key": "90a1b2c3d4e5f607"}
written:
  description: Files of the bundle that did not exist. Names in C(folders/) are empty directories.
  returned: always
  type: list
  elements: str
  sample: ["secrets/secretStoreKek"]
replaced:
  description: Files that had other content.
  returned: always
  type: list
  elements: str
  sample: []
adjusted:
  description: Files whose mode or owner was wrong.
  returned: always
  type: list
  elements: str
  sample: []
unchanged:
  description: Files that already existed with the right content, mode and owner.
  returned: always
  type: list
  elements: str
  sample: []
not_restored:
  description: Files of the bundle for which no option gives a target.
  returned: always
  type: list
  elements: str
  sample: ["extra/ca.pem"]
foreign:
  description: Files in O(directory) that are not in the set. They are not changed.
  returned: always
  type: list
  elements: str
  sample: []
safety_copy:
  description: Directory with copies of the replaced files, or null.
  returned: always
  type: str
  sample: /opt/caracal/secrets.replaced-20261125T030000Z
journal_head:
  description: Number and first 16 hex digits of the newest journal entry.
  returned: always
  type: str
  sample: 43-2c26b46b68ffc68f
seconds:
  description: Duration in seconds.
  returned: always
  type: float
  sample: 0.3
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._assets.secrets.secrets_restore import Options
from ..module_utils._assets.secrets.secrets_restore import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
