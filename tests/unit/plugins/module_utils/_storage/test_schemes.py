# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import BucketOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.schemes import open_store


@pytest.mark.parametrize("location", ["/srv/backup", "/srv/backup/", "//srv//backup", "file:///srv/backup", "/srv/x/../backup"])
def test_a_directory_is_a_local_store(location: str) -> None:
    assert open_store(location).location == "/srv/backup"


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("s3://", "is not a bucket with a prefix"),
        ("s3://bucket/a b", "is not a bucket with a prefix"),
        ("s3://bucket/../other", "is not a bucket with a prefix"),
        ("s3://bucket//x", "is not a bucket with a prefix"),
        ("s3://user:secret@host/x", "is not a bucket with a prefix"),
        ("sftp://host/x", "the unknown scheme sftp://"),
        ("backup", "is not an absolute path"),
        ("file://host/backup", "is not an absolute path"),
        ("", "no repository is set"),
        ("/srv/a\nb", "is not an absolute path"),
    ],
)
def test_invalid_location_is_refused(location: str, words: str) -> None:
    with pytest.raises(OptionError, match=words) as caught:
        open_store(location)
    assert "\n" not in caught.value.msg


@pytest.mark.parametrize(
    "location", ["s3://caracal-backup/prod", "s3://caracal-backup/prod/", "s3://b_1/A/b.c/d-e", "s3://bucket", "s3://bucket/"]
)
def test_a_bucket_with_or_without_a_prefix_is_a_store(location: str) -> None:
    assert open_store(location, BucketOptions(lock_mode="GOVERNANCE")).location == location.rstrip("/")
