#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: key_lists
short_description: Maintain the lists of trusted signers and recipients
version_added: 0.1.0
description:
  - Adds public keys of hosts to the operator's C(allowed_signers) and to lists of recipients. The module runs on the operator's host, which
    has the original lists. Other hosts get copies.
  - The supplied keys are untrusted input. A signer must be one Ed25519 public key without options, comment or second line. It gets the
    principal and the namespaces of its role. A recipient must be one C(age1...) key.
  - Hosts with the same role share one name, and each host has its own key. A new key is added only if the hosts also supplied every key
    that is already listed for this name. Otherwise the new key would replace a listed key, and the module refuses it with the fingerprints
    of both keys.
  - The module also refuses a key that two hosts supplied, and a signer's key that is listed for another principal.
  - To rotate a key, edit the lists as described in the guide on key custody.
  - Existing lines are not changed.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows the owners of the added keys, by name and fingerprint.
    support: full
options:
  deployment:
    description:
      - Name of the Caracal deployment. Signers are named C(<role>@<deployment>).
    required: true
  allowed_signers:
    description:
      - Path of the list of trusted signers, in the format of OpenSSH's C(allowed_signers). Its directory must exist, and no other user may
        have write access to it.
    required: true
  signers:
    description:
      - List of trusted signers, by role.
    elements: dict
    required: true
    suboptions:
      role:
        description:
          - Role of the hosts.
        required: true
        choices: [backup, drill, operator, prune]
      public_keys:
        description:
          - List with the public key of each host. An item may be empty only in check mode, for a key that a run would generate.
        elements: str
        required: true
  recipients:
    description:
      - List of recipients, by list file and name.
    elements: dict
    default: []
    suboptions:
      list:
        description:
          - Path of the list of recipients.
        required: true
      name:
        description:
          - Name of the owner of the recipients. The module writes it as a comment into the line before each recipient.
        required: true
      recipients:
        description:
          - List with the recipient of each host. An item may be empty only in check mode, for an identity that a run would generate.
        elements: str
        required: true
seealso:
  - module: caracal_ops.backup.host_keys
"""

EXAMPLES = r"""
---
- name: Trust signatures of the backup host, and encrypt for the drill host
  caracal_ops.backup.key_lists:
    deployment: prod
    allowed_signers: ~/.config/caracal-ops/prod/allowed_signers
    signers:
      - role: backup
        public_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5nDuTnIOGxrMZI9vGJt0UuqV7wxoBbm1bUYjNfjM8W]
    recipients:
      - list: ~/.config/caracal-ops/prod/database.recipients
        name: drill@prod
        recipients: [age1km038uqgnzqcdfealu7lkr69jdd3sqtlqgajjext60yx77p8gd0q8mmgu6]
"""

RETURN = r"""
added:
  description: The added keys, with their list, owner and fingerprint.
  returned: success
  type: list
  elements: str
  sample: ["allowed_signers: backup@prod SHA256:1v6nmWdvJ6xmjEcFYtYYXtk4uHBYkR2XUZoC4eJNUhA"]
lists:
  description: The content of each list by its file name, to be copied to other hosts.
  returned: success
  type: dict
  sample: {details.recipients: "age1km038uqgnzqcdfealu7lkr69jdd3sqtlqgajjext60yx77p8gd0q8mmgu6"}
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._setup.key_lists import Options
from ..module_utils._setup.key_lists import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
