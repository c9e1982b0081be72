# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check whether this host's clock can be trusted, before anything is signed or deleted according to it."""

from __future__ import annotations

import datetime

from .._errors import VerificationFailed
from .._report.text import duration
from .._repository.journal import Journal
from .._repository.judging import SKEW
from .._storage.base import Store

# Longer than the usual interval of nightly or weekly backups.
SILENCE = datetime.timedelta(days=8)


def check_store(store: Store, now: datetime.datetime) -> None:
    """Raise VerificationFailed if the store's clock differs."""
    there = store.clock()
    if there is not None and abs(there - now) > SKEW:
        raise VerificationFailed(
            f"the clock of this host shows {now:%Y-%m-%dT%H:%M:%SZ}, the clock of {store.location} {there:%Y-%m-%dT%H:%M:%SZ}; "
            "synchronize the wrong clock by NTP, and try again"
        )


def silence(journal: Journal, now: datetime.datetime) -> str | None:
    """Return why nothing may be deleted when the clock is so far after the newest entry, or None."""
    newest = journal.entries[-1].judged
    if now - newest <= SILENCE:
        return None
    return (
        f"this host's clock shows {now:%Y-%m-%dT%H:%M:%SZ}, {duration((now - newest).total_seconds())} after the newest entry of the "
        "journal; correct the clock. If it is correct, run a backup or a signed repository_verify first"
    )
