# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The policies of the guide, unchanged, applied to a bucket of a test."""

from __future__ import annotations

import json
import re
import textwrap
import typing as t
from pathlib import Path

from scenes.s3_server import BACKUP, DRILL, OPERATOR, PRUNE, S3Server

GUIDE = Path(__file__).parents[2] / "docs" / "docsite" / "rst" / "guide_s3.rst"
CAPTIONS = {
    BACKUP: "Policy of the backup host",
    DRILL: "Policy of the drill host",
    PRUNE: "Policy of the prune host",
    OPERATOR: "Policy of the operator",
}


def policy(user: str, bucket: str, prefix: str) -> dict[str, t.Any]:
    """Return the policy that the guide gives to a host."""
    found = re.search(rf"   :caption: {CAPTIONS[user]}\n\n((?:   .*\n)+)", GUIDE.read_text(encoding="utf-8"))
    assert found, f"the guide has no '{CAPTIONS[user]}'"
    text = textwrap.dedent(found[1]).replace("BUCKET", bucket).replace("PREFIX", prefix)
    made: dict[str, t.Any] = json.loads(text)
    return made


def enforce(server: S3Server, bucket: str, prefix: str) -> None:
    """Give each host exactly the permissions of the guide. A bucket policy names its users; a user policy does not."""
    statements = [
        {**statement, "Sid": f"{user}{statement['Sid']}", "Principal": {"AWS": f"arn:aws:iam::000000000000:user/{user}"}}
        for user in CAPTIONS
        for statement in policy(user, bucket, prefix)["Statement"]
    ]
    server.client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
