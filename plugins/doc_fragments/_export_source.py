# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Where the audit service writes its exports."""

    DOCUMENTATION = r"""
options:
  source:
    description:
      - Where Caracal's audit service writes its hourly exports, as C(s3://bucket), or a directory that has the bucket's C(audit/).
      - It is only read. A login that may list versions and get objects is enough.
    type: str
    required: true
  source_s3_endpoint:
    description:
      - Address of the server that has the source. Without it, AWS. The options C(source_s3_*) say nothing of O(archive) and O(repository).
    type: str
  source_s3_region:
    description:
      - Region of the source's bucket. Without it, the profile's or the environment's.
    type: str
  source_s3_path_style:
    description:
      - Put the source's bucket into the path of requests and not into the name of the host.
    type: bool
    default: false
  source_s3_plain_http:
    description:
      - Accept an address of the source that begins with C(http://). An address of this host itself needs no such word.
    type: bool
    default: false
  source_s3_ca_bundle:
    description:
      - File with the certificates of authorities to trust for the source, instead of the system's.
    type: path
  source_s3_profile:
    description:
      - Profile of the credentials for the source. Without it, credentials come from where boto3 looks.
    type: str
  source_s3_credentials_file:
    description:
      - File in the format of AWS's C(credentials), instead of the one in the home directory.
      - One that group or others can read is refused, the one in the home directory too. C(chmod 600) it.
    type: path
  source_s3_role_arn:
    description:
      - Role to assume for the source with the credentials that were found.
    type: str
"""
