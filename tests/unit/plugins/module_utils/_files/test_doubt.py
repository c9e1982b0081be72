# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A group may have write access to a trusted file if it has no other members."""

from __future__ import annotations

import grp
import os
import pwd
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._files import doubt

ME, OTHER, ROOT = (
    pwd.struct_passwd((name, "x", uid, gid, "", "/", "/bin/sh"))
    for name, uid, gid in (("me", 900, 900), ("other", 901, 901), ("root", 0, 0))
)


@pytest.fixture
def is_own(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[t.Callable[..., bool]]:
    """Return whether a group belongs only to this user, among these users."""

    def ask(gid: int, name: str, members: t.Sequence[str], *users: pwd.struct_passwd) -> bool:
        known = {one.pw_uid: one for one in (ME, ROOT, *users)}
        monkeypatch.setattr(os, "geteuid", lambda: ME.pw_uid)
        monkeypatch.setattr(grp, "getgrgid", lambda _gid: grp.struct_group((name, "x", gid, list(members))))
        monkeypatch.setattr(pwd, "getpwuid", known.__getitem__)
        monkeypatch.setattr(pwd, "getpwall", lambda: list(known.values()))
        doubt._is_own_group.cache_clear()
        return doubt._is_own_group(gid)

    yield ask
    doubt._is_own_group.cache_clear()


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("gid", "name", "members", "user"),
    [
        (900, "me", ["other"], OTHER),
        (900, "me", [], pwd.struct_passwd((*OTHER[:3], 900, *OTHER[4:]))),
        (900, "staff", [], OTHER),
        (0, "root", ["other"], OTHER),
        (0, "root", [], pwd.struct_passwd((*OTHER[:2], 1000, 0, *OTHER[4:]))),
    ],
    ids=["a member", "a group that two users have as their own", "another name", "a member of root's group", "root's as their own"],
)
def test_group_with_other_users_is_not_own_group(
    is_own: t.Callable[..., bool], gid: int, name: str, members: list[str], user: pwd.struct_passwd
) -> None:
    assert not is_own(gid, name, members, user)


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(("gid", "name", "members"), [(900, "me", []), (900, "me", ["me"]), (0, "root", []), (0, "root", ["root"])])
def test_group_without_other_users_is_own_group(is_own: t.Callable[..., bool], gid: int, name: str, members: list[str]) -> None:
    assert is_own(gid, name, members, OTHER)


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(
    ("user", "first"), [(OTHER, 1000), (ME, 900)], ids=["a program of the system", "the calling user, as in a container"]
)
def test_root_group_is_own_if_only_system_users_or_caller_share_it(
    is_own: t.Callable[..., bool], monkeypatch: pytest.MonkeyPatch, user: pwd.struct_passwd, first: int
) -> None:
    monkeypatch.setattr(doubt, "_FIRST_USER", first)
    assert is_own(0, "root", [], pwd.struct_passwd((*user[:3], 0, *user[4:])))
