# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.schemes import open_store


@pytest.mark.parametrize("location", ["/srv/backup", "/srv/backup/", "//srv//backup", "file:///srv/backup", "/srv/x/../backup"])
def test_a_directory_is_a_local_store(location: str) -> None:
    assert open_store(location).location == "/srv/backup"


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("s3://bucket/prefix", "s3:// is not yet supported in this version"),
        ("sftp://host/x", "sftp:// is not yet supported"),
        ("backup", "is no absolute path"),
        ("file://host/backup", "is no absolute path"),
        ("", "is no absolute path"),
        ("/srv/a\nb", "is no absolute path"),
    ],
)
def test_what_is_no_place_is_refused(location: str, words: str) -> None:
    with pytest.raises(OptionError, match=words) as caught:
        open_store(location)
    assert "\n" not in caught.value.msg
