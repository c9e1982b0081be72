#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: key_lists
short_description: Add the public keys of hosts to the signer and recipient lists
version_added: 0.1.0
description:
  - Adds the public keys of hosts to the operator's C(allowed_signers) and recipient lists.
  - Run the module on the operator's machine, which has the original lists. All other hosts get copies.
  - Keys from a host are untrusted input. The key of a signer must be one Ed25519 public key on a single line, without options and comment.
    The module adds the principal and the namespaces of the role.
  - A recipient must be a single C(age1...) key.
  - Hosts with the same role share a name, but each host has its own key. The module adds a new key only if the hosts also supplied all keys
    that are already listed for this name.
  - Otherwise, the new key would replace a listed key. The module then fails and prints the fingerprints of both keys.
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
      - Shows the added keys by name and fingerprint.
  idempotent:
    support: full
options:
  deployment:
    description:
      - Name of the Caracal deployment. Signers are named C(<role>@<deployment>).
    type: str
    required: true
  allowed_signers:
    description:
      - Path of the list of signers, in the format of OpenSSH's C(allowed_signers). Its directory must exist, and no other user may have
        write access to it.
    type: path
    required: true
  signers:
    description:
      - Signers to add.
    type: list
    elements: dict
    required: true
    suboptions:
      role:
        description:
          - Role of the hosts.
        type: str
        required: true
        choices: [backup, drill, operator, prune]
      public_keys:
        description:
          - Public key of each host. In check mode, a key may be empty if the host has not created it yet.
        type: list
        elements: str
        required: true
  recipients:
    description:
      - Recipients to add.
    type: list
    elements: dict
    default: []
    suboptions:
      list:
        description:
          - Path of the list.
        type: path
        required: true
      name:
        description:
          - Name of the hosts with these recipients. The module writes this name as a comment into the line before each recipient.
        type: str
        required: true
      recipients:
        description:
          - Recipient of each host. In check mode, a recipient may be empty if the host has not created its identity yet.
        type: list
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
  description: Keys that were added to each list, by name and fingerprint.
  returned: success
  type: list
  elements: str
  sample: ["allowed_signers: backup@prod SHA256:1v6nmWdvJ6xmjEcFYtYYXtk4uHBYkR2XUZoC4eJNUhA"]
lists:
  description: Text of each list by file name, for copying to other hosts.
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
