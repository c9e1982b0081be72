# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An operator gets a repository back whose journal has an entry of 2099, and takes back what stolen keys have signed."""

from __future__ import annotations

import datetime
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import KeyProblem, ObjectMissing, OptionError, TamperedData
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import decisions
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.fields import timestamp
from scenes.old_repository import OldRepository
from scenes.scene import tree

FAR = datetime.datetime(2099, 1, 1, tzinfo=datetime.timezone.utc)


def correct(old: OldRepository, *names: str, **own: t.Any) -> t.Any:
    return old.call("journal_correct", "operator", **{"entries": list(names), "reason": "a wrong clock", **own})


def far_ahead(old: OldRepository) -> None:
    """A drill host writes one entry with its clock in 2099."""
    now, old.clock.now = old.clock.now, FAR
    body = decisions.Verification(1, 1, 0, ()).to_body()
    old.append(entries.VERIFICATION, "drill", body=body, time={"host": timestamp(FAR), "database": None, "store": None})
    old.clock.now = now


@pytest.mark.mutation
def test_an_entry_of_2099_stops_readers_until_the_operator_corrects_it(old: OldRepository) -> None:
    far_ahead(old)
    with pytest.raises(TamperedData, match="is dated 2099") as raised:
        old.see("drill")
    found = re.search(r"journal_correct names ([0-9]+-[0-9a-f]{16})", raised.value.msg)
    assert found
    before = tree(Path(old.store.location))
    assert correct(old, found[1], check_mode=True)["changed"] and tree(Path(old.store.location)) == before
    done = correct(old, found[1])
    assert done["changed"] and done["entries"] == [found[1]]
    assert old.journal().of_kind(entries.CORRECTION)[0].body == {"what": "time", "reason": "a wrong clock"}
    assert not correct(old, found[1])["changed"]
    assert old.call("backup_set_info", "drill")["sets"][-1]["set_id"] == old.made[-1]
    assert old.call("repository_verify", "drill", signing_key=None)["verdict"] == "pass"


def test_what_cannot_be_corrected_is_told(old: OldRepository) -> None:
    old.see("operator")
    first, last = old.journal().entries[0], old.journal().entries[-1]

    def refused(kind: t.Any, words: str, *names: str, **own: t.Any) -> None:
        old.refused(kind, words, call=lambda check_mode: correct(old, *names, check_mode=check_mode, **own))

    refused(OptionError, "the first entry or a correction", f"1-{first.sha256}")
    refused(ObjectMissing, "has no entry", f"{last.sequence}-{first.sha256}")
    refused(ObjectMissing, "has no entry", f"999-{first.sha256}")
    for names in ((), ("5",), ("0-0000000000000000",), ("5-00",)):
        refused(OptionError, "entries must name", *names)
    refused(OptionError, "reason is empty", f"{last.sequence}-{last.sha256}", reason=" ")
    refused(KeyProblem, "prune", f"{last.sequence}-{last.sha256}", signing_key=str(old.keys / "prune"))
