# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The value of a setting may be a secret, so messages contain only the setting's name."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.inventory import inventory
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import timestamp_authority
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import canary_place
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.redis import connection
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import BucketOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._report import text
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import probe
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage import schemes

CANARY = "s3cr3t-canary"
URLS = [f"https://user:{CANARY}@host:1/x", f"http://:{CANARY}@host", f"http://[{CANARY}", f"redis://:{CANARY}@host:6379/0", f"{CANARY}"]
# A path, which is not a secret, and an address that only fails when it is connected to.
HARMLESS = [("repository", CANARY), ("s3_endpoint", f"http://[{CANARY}")]
PLACES: dict[str, t.Callable[[str], object]] = {
    "repository": schemes.open_store,
    "repository in a bucket": lambda url: schemes.open_store(f"s3://{url.partition('://')[2]}/a b"),
    "s3_endpoint": lambda url: schemes.open_store("s3://bucket/x", BucketOptions(s3_endpoint=url)),
    "production": probe.parse,
    "urls": lambda url: canary_place.of({"sts": url}, None, "secret_store"),
    "timestamp_url": timestamp_authority.check_url,
}


@pytest.mark.mutation
@pytest.mark.parametrize(("place", "url"), [(place, url) for place in PLACES for url in URLS if (place, url) not in HARMLESS])
def test_a_wrong_address_is_not_repeated(place: str, url: str) -> None:
    with pytest.raises(BackupError) as raised:
        PLACES[place](url)
    assert CANARY not in raised.value.msg and CANARY not in str(raised.value.details)


@pytest.mark.mutation
@pytest.mark.parametrize("where", ["set", "role_sets"])
def test_settings_of_a_database_are_named_by_parameter(where: str) -> None:
    facts = {name: "x" for name in ("encoding", "owner", "connection_limit", "provider", "locale", "collate", "ctype")}
    values: list[dict[str, t.Any]] = [
        {**facts, "set": [f"app.key={one}"], "role_sets": {}}
        if where == "set"
        else {**facts, "set": None, "role_sets": {"r": [f"app.key={one}"]}}
        for one in (CANARY, f"{CANARY}-2")
    ]
    check = inventory._settings("x", *values)
    assert check.verdict == FAIL and "app.key" in check.message
    assert CANARY not in check.message + str(check.details)


@pytest.mark.mutation
def test_settings_of_a_role_are_named_by_parameter() -> None:
    assert text.parameters([f"app.key={CANARY}"], None) == "app.key"


@pytest.mark.mutation
def test_redis_errors_are_reported_without_command_arguments() -> None:
    error = Exception(f"unknown command 'AUTH', with args beginning with: 'user' '{CANARY}' ")
    assert CANARY not in connection._first_line(error)
