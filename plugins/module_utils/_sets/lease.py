# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock of secrets is short, so that what a leaked identity opens can soon be deleted. While a set that stays needs them, a prune
renews it."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._repository import artifact as artifacts
from .._repository.manifest import Manifest
from .._storage.archived import Locked
from .._storage.base import Store


def keys(manifests: t.Mapping[str, Manifest], ends: t.Collection[str] = ()) -> list[str]:
    """Secrets that sets refer to, but for those that end."""
    stay = [manifest for set_id, manifest in manifests.items() if set_id not in ends]
    return sorted({one.path for manifest in stay for one in manifest.artifacts if one.kind == artifacts.SECRETS})


def due(store: Store, wanted: t.Iterable[str], now: datetime.datetime) -> list[str]:
    """Those of which less than half of a whole lock is left, so that not each run moves each date. What is missing cannot be renewed."""
    found = []
    for key in wanted:
        half = _half(store.lock_wanted(key, now), now)
        if half is not None and store.stat(key) is not None and (store.locked_until(key) or now) < half:
            found.append(key)
    return found


def least(store: Store, key: str, asked: Locked, now: datetime.datetime) -> Locked:
    """What must be left of a lock that is renewed in time: more than nothing, or what was `asked` for where that is longer."""
    if store.lock_wanted(key, now).until is None or (asked.until is not None and asked.until > now):
        return asked
    return dataclasses.replace(asked, until=now + datetime.timedelta(hours=1))


def _half(whole: Locked, now: datetime.datetime) -> datetime.datetime | None:
    return now + (whole.until - now) / 2 if whole.until is not None else None
