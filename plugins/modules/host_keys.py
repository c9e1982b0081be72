#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_keys
short_description: Create the signing key and age identities of a host
version_added: 0.1.0
description:
  - Creates an Ed25519 signing key and age identities. The module stores each private key in a separate file with mode 0600, and creates the
    file atomically. Existing files are kept.
  - Private keys remain in these files. The result contains only public keys.
  - The role C(caracal_setup) runs this module on the backup host, the drill host and the operator's machine.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
attributes:
  check_mode:
    support: full
    details:
      - RV(public_key) and RV(recipients[].recipient) are null for keys that a run would create.
  diff_mode:
    support: full
    details:
      - Shows the paths of the files that are created.
  idempotent:
    support: full
options:
  signing_key:
    description:
      - Path of the signing key, in OpenSSH's format and without a passphrase. The public key is stored next to it, in a file of the same
        name with the suffix C(.pub).
      - The directory must exist, and no other user may have write access to it.
      - An existing key may have a passphrase. The path may also be the C(.pub) file of a key in an SSH agent.
    type: path
  principal:
    description:
      - Principal of the signing key, such as C(backup@prod). It becomes the comment of the key. Required together with O(signing_key).
    type: str
  identity_files:
    description:
      - Paths of age identities. Each file contains one identity.
    type: list
    elements: path
    default: []
requirements:
  - cryptography
  - ssh-keygen, for a signing key
seealso:
  - module: caracal_ops.backup.key_lists
"""

EXAMPLES = r"""
---
- name: Create the keys of the drill host
  caracal_ops.backup.host_keys:
    signing_key: /etc/caracal-ops/drill_signing_key
    principal: drill@prod
    identity_files:
      - /etc/caracal-ops/identities/drill.identity
      - /etc/caracal-ops/identities/secrets.identity
  become: true
  register: keys
"""

RETURN = r"""
made:
  description: Paths of the files that were created.
  returned: success
  type: list
  elements: str
  sample: [/etc/caracal-ops/drill_signing_key]
public_key:
  description: The public key of the signing key, without a comment.
  returned: success
  type: str
  sample: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5nDuTnIOGxrMZI9vGJt0UuqV7wxoBbm1bUYjNfjM8W
fingerprint:
  description: Fingerprint of the signing key, as C(ssh-keygen) prints it.
  returned: success
  type: str
  sample: SHA256:1v6nmWdvJ6xmjEcFYtYYXtk4uHBYkR2XUZoC4eJNUhA
recipients:
  description: Public keys of the identities, in the order of O(identity_files).
  returned: success
  type: list
  elements: dict
  contains:
    file:
      description: Path of the identity.
      type: str
      sample: /etc/caracal-ops/identities/drill.identity
    recipient:
      description: Public key of the identity.
      type: str
      sample: age1km038uqgnzqcdfealu7lkr69jdd3sqtlqgajjext60yx77p8gd0q8mmgu6
    fingerprint:
      description: Fingerprint of the recipient, as in manifests.
      type: str
      sample: SHA256:K2L1vXwR4kZ3gG0b5oQb7m5nT1yH7iJ8pQ9sW2xE4rU
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._setup.host_keys import Options
from ..module_utils._setup.host_keys import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
