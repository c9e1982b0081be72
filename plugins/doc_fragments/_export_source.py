# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Location of the exports of the audit service."""

    DOCUMENTATION = r"""
options:
  source:
    description:
      - "Location to which Caracal's audit service writes its hourly exports: C(s3://bucket), or a directory with the contents of the
        bucket, including C(audit/)."
      - The source is only read. A login that may list versions and get objects is sufficient.
    type: str
    required: true
  source_s3_endpoint:
    description:
      - Address of the S3 server with the source. The default is AWS.
      - The options C(source_s3_*) do not apply to O(archive) and O(repository).
    type: str
  source_s3_region:
    description:
      - Region of the source's bucket. The default is the region of the profile or the environment.
    type: str
  source_s3_path_style:
    description:
      - Whether to use path-style requests, with the source's bucket in the path instead of the host name.
    type: bool
    default: false
  source_s3_plain_http:
    description:
      - Whether to accept an address of the source that begins with C(http://). This option is not required for an address of this host
        itself.
    type: bool
    default: false
  source_s3_ca_bundle:
    description:
      - Path of a file with CA certificates to trust for the source, instead of the system's certificates.
    type: path
  source_s3_profile:
    description:
      - Profile of the credentials for the source. Without this option, boto3 finds the credentials in its usual order.
    type: str
  source_s3_credentials_file:
    description:
      - Path of a file in the format of AWS's C(credentials) file. The module uses it instead of the file in the home directory.
      - A file that the group or others can read is refused, including the file in the home directory. Run C(chmod 600) on it.
    type: path
  source_s3_role_arn:
    description:
      - ARN of the role to assume with the credentials for the source.
    type: str
"""
