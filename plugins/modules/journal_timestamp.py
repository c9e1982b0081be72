#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: journal_timestamp
short_description: Timestamp the newest journal entry with an RFC 3161 timestamp authority
version_added: 0.1.0
description:
  - Requests an RFC 3161 timestamp of the journal's newest entry, verifies it and stores it next to that entry.
  - Each entry contains the digest of the entry before it. The timestamp therefore proves that the whole journal and every set in it existed
    at that time. No key of the deployment can forge this proof.
  - The authority receives only a SHA-256 digest.
  - The timestamp has its own signature, so the module does not require a signing key. Any user with write access to the journal's directory
    can store a timestamp.
  - M(caracal_ops.backup.repository_verify) verifies all timestamps.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._repository
attributes:
  check_mode:
    support: full
    details:
      - The authority is not contacted, so RV(time) and RV(authority) are null if a timestamp would be created.
  diff_mode:
    support: full
    details:
      - Shows the path of the timestamp.
  idempotent:
    support: full
    details:
      - An entry is timestamped only once. An existing timestamp that is not valid is an error and is not replaced.
options:
  timestamp_url:
    description:
      - Address of the authority, with C(http) or C(https), without a user name or password. The module does not follow redirects, and uses
        the proxy settings of the environment.
    type: str
    required: true
  timestamp_roots:
    description:
      - Path of a file outside the repository with the authority's root certificate in PEM. If the responses of the authority do not include
        its intermediate certificates, add these certificates to the file.
      - The file may contain several authorities. Keep the root certificate of an earlier authority as long as its timestamps exist.
    type: path
    required: true
  require_valid:
    description:
      - Whether to fail if no timestamp could be created. With V(false), RV(verdict) and RV(message) report the failure.
    type: bool
    default: true
requirements:
  - rfc3161-client >= 1.0.6
notes:
  - The module gives up after 30 seconds. If it fails, nothing is stored, and the sets are not affected.
  - If the clock of this host is more than 5 minutes ahead of the authority's clock, the module reports this and stores nothing.
seealso:
  - module: caracal_ops.backup.repository_verify
"""

EXAMPLES = r"""
---
- name: Timestamp the journal after a backup
  caracal_ops.backup.journal_timestamp:
    timestamp_url: https://tsa.example.org/tsr
    timestamp_roots: /etc/caracal-ops/timestamp_roots.pem
    repository: /srv/backup/caracal
    deployment: prod
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
"""

RETURN = r"""
verdict:
  description: V(pass), or V(unproven) if there is no timestamp.
  returned: always
  type: str
  sample: pass
message:
  description: The authority, the entry and the time of the timestamp, or the reason why there is no timestamp.
  returned: always
  type: str
  sample: CN=Example Timestamping 2026,O=Example,C=NL timestamped entry 42 at 2026-11-25T02:11:07.000000Z
sequence:
  description: Number of the entry.
  returned: success
  type: int
  sample: 42
sha256:
  description: SHA-256 digest of the entry, for which the authority issued the timestamp.
  returned: success
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
time:
  description: Time of the timestamp, by the authority's clock. Null in check mode if the timestamp does not exist yet.
  returned: success
  type: str
  sample: "2026-11-25T02:11:07.000000Z"
authority:
  description: Subject of the certificate that signed the timestamp. Null like RV(time).
  returned: success
  type: str
  sample: CN=Example Timestamping 2026,O=Example,C=NL
key:
  description: Path of the timestamp in the repository.
  returned: success
  type: str
  sample: journal/0000000042-9f86d081884c7d65.tsr
journal_head:
  description: Number and first 16 hex digits of the digest of the newest journal entry.
  returned: success
  type: str
  sample: 42-9f86d081884c7d65
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._sets.journal_timestamp import Options
from ..module_utils._sets.journal_timestamp import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
