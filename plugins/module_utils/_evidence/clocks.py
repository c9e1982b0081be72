# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether this host's clock can be believed, before anything is signed or deleted by it."""

from __future__ import annotations

import datetime

from .._errors import VerificationFailed
from .._report.text import duration
from .._repository.journal import Journal
from .._repository.judging import SKEW
from .._storage.base import Store

# Longer than nightly or weekly backups pause.
SILENCE = datetime.timedelta(days=8)


def check_store(store: Store, now: datetime.datetime) -> None:
    """Raises VerificationFailed when the store's clock says another time."""
    there = store.clock()
    if there is not None and abs(there - now) > SKEW:
        raise VerificationFailed(
            f"the clock of this host shows {now:%Y-%m-%dT%H:%M:%SZ}, the clock of {store.location} {there:%Y-%m-%dT%H:%M:%SZ}; "
            "synchronize the wrong clock by NTP, and try again"
        )


def silence(journal: Journal, now: datetime.datetime) -> str | None:
    """Why nothing may be deleted by a clock that is so far after the newest entry; None where it is not."""
    newest = journal.entries[-1].judged
    if now - newest <= SILENCE:
        return None
    return (
        f"this host's clock shows {now:%Y-%m-%dT%H:%M:%SZ}, {duration((now - newest).total_seconds())} after the newest entry of the "
        "journal; correct the clock. If it is correct, run a backup or a signed repository_verify first"
    )
