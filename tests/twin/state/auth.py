# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The second database: the console's accounts, sessions and tokens. Everything in it is plaintext."""

from __future__ import annotations

import datetime as dt
import typing as t

from ..dice import AWKWARD
from .world import World

USERS = ("Ada Löwe", 'Bob "the\\op" O\'Neill', "Jürgen\tČapek", "Dora")


def build(world: World) -> None:
    """Create the second database. Accounts come first because zones belong to them."""
    for number, name in enumerate(USERS):
        at = world.origin - dt.timedelta(days=1) + dt.timedelta(minutes=number)
        user = world.dice.hex(16)
        world.users.append(user)
        _add(
            world,
            "user",
            id=user,
            name=name,
            email=f"user{number}@example.org",
            emailVerified=number != 3,
            image=None if number else "https://img.example/a?b=c&d=\\e",
            createdAt=at,
            updatedAt=at,
            guides=AWKWARD[number],
        )
        _account(world, user, number, at)
        if number < 3:
            _session(world, user, number)
    at = world.ago(minutes=30)
    _add(
        world,
        "verification",
        id=world.dice.hex(16),
        identifier="reset-password:user3@example.org",
        value=world.dice.hex(16),
        expiresAt=at + dt.timedelta(hours=1),
        createdAt=at,
        updatedAt=at,
    )
    for number in range(3):
        key = f"2001:db8::{number}|/sign-in/email"
        _add(world, "rateLimit", id=world.dice.hex(16), key=key, count=number, lastRequest=int(at.timestamp()) * 1000)


def _add(world: World, table: str, **row: t.Any) -> None:
    world.auth_rows.setdefault(table, []).append(row)


def _account(world: World, user: str, number: int, at: dt.datetime) -> None:
    oauth = number == 1
    _add(
        world,
        "account",
        id=world.dice.hex(16),
        accountId=f"sub-{number}",
        providerId="google" if oauth else "credential",
        userId=user,
        accessToken=world.dice.hex(30) if oauth else None,
        refreshToken=world.dice.hex(30) if oauth else None,
        idToken=None,
        accessTokenExpiresAt=at + dt.timedelta(hours=1) if oauth else None,
        refreshTokenExpiresAt=None,
        scope="openid email" if oauth else None,
        password=None if oauth else f"{world.dice.hex(16)}:{world.dice.hex(64)}",
        createdAt=at,
        updatedAt=at,
    )


def _session(world: World, user: str, number: int) -> None:
    at = world.ago(hours=20, minutes=number)
    _add(
        world,
        "session",
        id=world.dice.hex(16),
        expiresAt=at + dt.timedelta(days=7),
        token=world.dice.hex(16),
        createdAt=at,
        updatedAt=at,
        ipAddress="192.0.2.7" if number else None,
        userAgent='Mozilla/5.0 (X11; "\\x86")\t' + USERS[number],
        userId=user,
    )
