# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The census compares the catalog with the content of artifacts, one relation at a time."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.contents import Contents
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.relations import Relation
from ansible_collections.caracal_ops.backup.plugins.module_utils._reading import completeness
from ansible_collections.caracal_ops.backup.plugins.module_utils._reading.completeness import Account, Held, Seen
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, PASS, UNPROVEN

PLAIN = Relation(
    number=20000, schema="public", name="t", kind="r", unlogged=False, populated=True, extension=None, kept=False, partly=False
)


def relation(**own: t.Any) -> Relation:
    return dataclasses.replace(PLAIN, **own)


def judged(one: Relation, held: Held, *, standby: bool = False, large_objects: int = 0) -> Account:
    return completeness.judge(Seen("db", standby, (one,), large_objects), held)


def held(*rows: int, values: tuple[int, ...] = (), large_objects: bool = False, **own: t.Any) -> Held:
    return Held(Contents(rows, values, large_objects), **own)


NOTHING = held()
LEAF = held(leaves=("public.t",))


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(
    ("one", "holds"),
    [
        (relation(), held(20000)),
        (relation(), LEAF),
        (relation(kind="S"), held(values=(20000,))),
        (relation(unlogged=True), held(20000)),
        (relation(schema="other"), held(20000)),
        (relation(extension="x", kept=True), held(20000)),
        (relation(kind="?"), held(20000)),
    ],
    ids=["table", "leaf", "sequence", "unlogged", "schema", "kept", "a kind to come"],
)
def test_relation_in_one_artifact_passes(one: Relation, holds: Held) -> None:
    account = judged(one, holds)
    assert (account.wrong, account.left_out, account.counted) == ({}, {}, 1)
    assert completeness.check([account]).verdict == PASS


@pytest.mark.parametrize(
    ("one", "holds", "standby"),
    [
        (relation(kind="f"), NOTHING, False),
        (relation(kind="m"), NOTHING, False),
        (relation(kind="m", populated=False), NOTHING, False),
        (relation(extension="x"), NOTHING, False),
        (relation(kind="S", extension="x"), NOTHING, False),
        (relation(extension="x", kept=True, partly=True), held(20000), False),
        (relation(unlogged=True), NOTHING, True),
        (relation(kind="S", unlogged=True), NOTHING, True),
        (relation(), held(gone=frozenset({"public.t"})), False),
        (relation(kind="S"), held(sequences=frozenset({"public.t"})), False),
    ],
    ids=["foreign", "computed", "not computed", "extension", "its sequence", "partly", "standby", "its own", "dropped", "inventory"],
)
def test_permitted_omission_is_listed_with_reason(one: Relation, holds: Held, standby: bool) -> None:
    account = judged(one, holds, standby=standby)
    assert not account.wrong and len(account.left_out) == 1
    ((name, reason),) = account.left_out.items()
    assert name.endswith("public.t of database db") and reason and "\n" not in reason
    check = completeness.check([account])
    assert check.verdict == PASS and check.details["left_out"] == [name]


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("one", "holds", "standby"),
    [
        (relation(name="zones", extension="x"), NOTHING, False),
        (relation(name="user", extension="x", kept=True, partly=True), held(20000), False),
        (relation(name="sessions", kind="f"), NOTHING, False),
        (relation(name="policies", kind="m"), NOTHING, False),
        (relation(name="zones", unlogged=True), NOTHING, True),
    ],
    ids=["extension", "partly", "foreign", "computed", "standby"],
)
def test_no_reason_excuses_left_out_caracal_table(one: Relation, holds: Held, standby: bool) -> None:
    account = judged(one, holds, standby=standby)
    assert not account.left_out and len(account.wrong) == 1
    assert judged(dataclasses.replace(one, schema="other"), holds, standby=standby).left_out


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("one", "holds"),
    [
        (relation(), NOTHING),
        (relation(), held(20001, values=(20002,), leaves=("public.u",), sequences=frozenset({"public.t"}))),
        (relation(schema="information_schema"), NOTHING),
        (relation(kind="S"), NOTHING),
        (relation(unlogged=True), NOTHING),
        (relation(extension="x", kept=True), NOTHING),
        (relation(extension="x", kept=True, partly=True), NOTHING),
        (relation(kind="?"), NOTHING),
        (relation(), held(20000, 20000)),
        (relation(), held(20000, leaves=("public.t",))),
        (relation(), held(leaves=("public.t", "public.t"))),
        (relation(extension="x", kept=True, partly=True), held(20000, leaves=("public.t",))),
    ],
    ids=[
        *("nowhere", "others", "schema", "sequence", "unlogged", "kept", "partly", "a kind to come"),
        *("twice", "archive and leaf", "two leaves", "partly twice"),
    ],
)
def test_relation_in_none_or_several_artifacts_fails(one: Relation, holds: Held) -> None:
    account = judged(one, holds)
    assert not account.left_out and len(account.wrong) == 1
    check = completeness.check([Account("other", 7), account])
    assert (check.id, check.verdict, check.required) == ("source.complete", FAIL, True)
    assert check.details["relations"] == list(account.wrong) and "\n" not in check.message


@pytest.mark.mutation
def test_large_objects_that_the_archive_has_not() -> None:
    assert judged(PLAIN, held(20000), large_objects=1).wrong
    assert not judged(PLAIN, held(20000, large_objects=True), large_objects=1).wrong
    assert not judged(PLAIN, held(20000)).wrong


def test_the_list_of_relations_is_bounded() -> None:
    many = Account("db", wrong={f"table t{number}": "x" for number in range(1000)})
    check = completeness.check([many])
    assert len(check.details["relations"]) == completeness.SHOWN and len(check.message) < 200


@pytest.mark.parametrize("accounts", [[], [Account("db", 3), Account("other", problem="no answer")]])
def test_missing_or_incomplete_accounts_are_unproven(accounts: list[Account]) -> None:
    assert completeness.check(accounts).verdict == UNPROVEN


@pytest.mark.mutation
def test_faulty_relation_outweighs_database_that_was_not_counted() -> None:
    accounts = [Account("other", problem="no answer"), Account("db", wrong={"table t": "x"})]
    assert completeness.check(accounts).verdict == FAIL
