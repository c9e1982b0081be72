# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Renewal of the locks on secrets. These locks are short, so that secrets which a leaked identity decrypts can be deleted soon.

A prune renews the locks while a remaining set needs the secrets.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._repository import artifact as artifacts
from .._repository.manifest import Manifest
from .._storage.archived import Locked
from .._storage.base import Store


def keys(manifests: t.Mapping[str, Manifest], ends: t.Collection[str] = ()) -> list[str]:
    """Return the secrets of all sets except those that end."""
    stay = [manifest for set_id, manifest in manifests.items() if set_id not in ends]
    return sorted({one.path for manifest in stay for one in manifest.artifacts if one.kind == artifacts.SECRETS})


def due(store: Store, wanted: t.Iterable[str], now: datetime.datetime) -> list[str]:
    """Return the keys with less than half of their lock time left, so that not every run changes every lock.

    Missing objects cannot be renewed.
    """
    found = []
    for key in wanted:
        half = _half(store.lock_wanted(key, now), now)
        if half is not None and store.stat(key) is not None and (store.locked_until(key) or now) < half:
            found.append(key)
    return found


def least(store: Store, key: str, asked: Locked, now: datetime.datetime) -> Locked:
    """Return the lock that a timely renewed object must still have: any remaining time, or `asked` if that ends later."""
    if store.lock_wanted(key, now).until is None or (asked.until is not None and asked.until > now):
        return asked
    return dataclasses.replace(asked, until=now + datetime.timedelta(hours=1))


def _half(whole: Locked, now: datetime.datetime) -> datetime.datetime | None:
    return now + (whole.until - now) / 2 if whole.until is not None else None
