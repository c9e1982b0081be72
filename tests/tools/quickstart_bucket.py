# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bucket with Object Lock for the quickstart, on a separate server. It shows that a backup stored there cannot be deleted."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

import botocore.exceptions

from scenes import s3_policies, s3_server
from scenes.s3_server import ADMIN, BACKUP, S3Server

PREFIX = "quickstart"
WHO = {BACKUP: "the backup host", ADMIN: "the owner of the account"}


@dataclasses.dataclass(frozen=True)
class Bucket:
    """The bucket `name` on `server`. Each host has the permissions that the guide on buckets gives it."""

    server: S3Server
    name: str

    def settings(self) -> list[str]:
        """Return the variables of the playbook."""
        return [
            f"quickstart_repository=s3://{self.name}/{PREFIX}",
            f"quickstart_s3_endpoint={self.server.endpoint}",
            f"quickstart_s3_credentials={self.server.credentials}",
        ]

    def try_to_delete(self) -> tuple[list[str], bool]:
        """Delete one version of a manifest, as the backup host and as the owner of the account.

        Returns the results in lines, and whether both were refused.
        """
        found = self.server.client.list_object_versions(Bucket=self.name, Prefix=f"{PREFIX}/sets/")
        manifest = next(one for one in found["Versions"] if one["Key"].endswith("/manifest.json"))
        which = {"Bucket": self.name, "Key": manifest["Key"], "VersionId": manifest["VersionId"]}
        held = self.server.client.get_object_retention(**which)["Retention"]
        lines = [f"{'locked':16}{manifest['Key']}, {held['Mode']} until {held['RetainUntilDate']:%Y-%m-%d %H:%M:%S} UTC"]
        for user, who in WHO.items():
            try:
                self.server.client_of(user).delete_object(**which)
                return [*lines, f"  DELETED by {who}"], False
            except botocore.exceptions.ClientError as error:
                lines.append(f"  deletion by {who}: refused ({error.response['Error']['Code']})")
        return lines, True


@contextlib.contextmanager
def bucket() -> t.Iterator[Bucket]:
    """Yield a bucket. The server ends with this process, and the bucket with it."""
    with s3_server.start() as server:
        made = Bucket(server, server.bucket())
        s3_policies.enforce(server, made.name, PREFIX)
        yield made
