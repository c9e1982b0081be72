# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An operator repairs a repository with a journal entry of 2099, and revokes entries signed with stolen keys."""

from __future__ import annotations

import datetime
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import KeyProblem, ObjectMissing, OptionError, TamperedData
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import decisions
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.fields import timestamp
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.findings import FindingEntry, Recorded
from scenes.old_repository import OldRepository
from scenes.scene import tree

FAR = datetime.datetime(2099, 1, 1, tzinfo=datetime.timezone.utc)


def correct(old: OldRepository, *names: str, **own: t.Any) -> t.Any:
    return old.call("journal_correct", "operator", **{"entries": list(names), "reason": "a wrong clock", **own})


def far_ahead(old: OldRepository) -> None:
    """Append an entry of a drill host whose clock is in 2099."""
    now, old.clock.now = old.clock.now, FAR
    body = decisions.Verification(1, 1, 0, ()).to_body()
    old.append(entries.VERIFICATION, "drill", body=body, time={"host": timestamp(FAR), "database": None, "store": None})
    old.clock.now = now


@pytest.mark.mutation
def test_an_entry_of_2099_stops_readers_until_the_operator_corrects_it(old: OldRepository) -> None:
    far_ahead(old)
    with pytest.raises(TamperedData, match="is dated 2099") as raised:
        old.see("drill")
    found = re.search(r"journal_correct \(entries: ([0-9]+-[0-9a-f]{16})", raised.value.msg)
    assert found
    before = tree(Path(old.store.location))
    assert correct(old, found[1], check_mode=True)["changed"] and tree(Path(old.store.location)) == before
    done = correct(old, found[1])
    assert done["changed"] and done["entries"] == [found[1]]
    assert old.journal().of_kind(entries.CORRECTION)[0].body == {"what": "time", "reason": "a wrong clock"}
    assert not correct(old, found[1])["changed"]
    assert old.call("backup_set_info", "drill")["sets"][-1]["set_id"] == old.made[-1]
    assert old.call("repository_verify", "drill", signing_key=None)["verdict"] == "pass"


def test_impossible_correction_is_refused(old: OldRepository) -> None:
    old.see("operator")
    first, last = old.journal().entries[0], old.journal().entries[-1]

    def refused(kind: t.Any, words: str, *names: str, **own: t.Any) -> None:
        old.refused(kind, words, call=lambda check_mode: correct(old, *names, check_mode=check_mode, **own))

    refused(OptionError, "the first entry or a correction", f"1-{first.sha256}")
    refused(ObjectMissing, "contains no entry", f"{last.sequence}-{first.sha256}")
    refused(ObjectMissing, "contains no entry", f"999-{first.sha256}")
    for names in ((), ("5",), ("0-0000000000000000",), ("5-00",)):
        refused(OptionError, "entries must be", *names)
    refused(OptionError, "reason is empty", f"{last.sequence}-{last.sha256}", reason=" ")
    refused(KeyProblem, "prune", f"{last.sequence}-{last.sha256}", signing_key=str(old.keys / "prune"))


def found(old: OldRepository, *digests: str) -> None:
    recorded = tuple(Recorded("blocks.journal", digest, f"difference {digest[-1]}") for digest in digests)
    old.append(entries.FINDING, "backup", body=FindingEntry(old.made[-1], recorded).to_body())


def acknowledge(old: OldRepository, *digits: str, **own: t.Any) -> t.Any:
    day = f"{access.now() + datetime.timedelta(days=30):%Y-%m-%d}"
    return old.call("journal_correct", "operator", **{"findings": list(digits), "expires": day, "reason": "known", **own})


@pytest.mark.mutation
def test_a_finding_that_cannot_be_acknowledged_is_refused(old: OldRepository) -> None:
    found(old, "a" * 63 + "1", "a" * 63 + "2")
    old.see("operator")

    def refused(kind: t.Any, words: str, *digits: str, **own: t.Any) -> None:
        old.refused(kind, words, call=lambda check_mode: acknowledge(old, *digits, check_mode=check_mode, **own))

    refused(OptionError, "matches 2 digests", "a" * 16)
    refused(ObjectMissing, "contains no finding", "b" * 16)
    for digits in ((), ("a",), ("A" * 16,)):
        refused(OptionError, "findings must be", *digits)
    for day in ("tomorrow", "2020-01-01", f"{access.now() + datetime.timedelta(days=402):%Y-%m-%d}"):
        refused(OptionError, "expires", "a" * 63 + "1", expires=day)
    refused(KeyProblem, "prune", "a" * 63 + "1", signing_key=str(old.keys / "prune"))
    assert [one["digest"][-1] for one in acknowledge(old, "a" * 63 + "1")["findings"]] == ["1"]


@pytest.mark.mutation
@pytest.mark.parametrize("message", ["two\nlines", "x" * 1001])
def test_finding_with_invalid_message_is_refused(old: OldRepository, message: str) -> None:
    body = FindingEntry(old.made[-1], (Recorded("blocks.journal", "a" * 64, message),)).to_body()
    old.append(entries.FINDING, "backup", body=body)
    old.see("operator")
    with pytest.raises(TamperedData, match="has an invalid message"):
        acknowledge(old, "a" * 64)
