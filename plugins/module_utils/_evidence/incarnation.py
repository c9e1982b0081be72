# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A restore cuts the audit chains. The journal records their ends before and after it."""

from __future__ import annotations

import typing as t

from .._caracal.chains import block_history
from .._drivers.postgres.server import Server, Session
from .._errors import BackupError
from .._reading import database_layout, newest_rows
from .._repository import records
from . import baseline
from .access import Opened


def heads_before(opened: Opened, server: Server, existing: t.Collection[str]) -> records.Heads:
    """Return the heads of the chains that a restore replaces.

    They are from the journal, or from one of the `existing` databases if that has a higher one.
    """
    heads = block_history.heads(baseline.load(opened).blocks)
    for database in existing:
        for zone, head in _heads_of(server, database).items():
            heads[zone] = max(heads.get(zone, 0), head)
    return heads


def _heads_of(server: Server, database: str) -> records.Heads:
    """Return the heads in a database that is about to be replaced. Its content is unknown, so the result is empty if it cannot be read."""
    found: records.Heads = {}
    try:
        with Session(server, database) as session:
            for chain, table in newest_rows.chains(database_layout.read(session)):
                for span in newest_rows.spans(session, table):
                    zone = chain.name, span.zone
                    found[zone] = max(found.get(zone, 0), span.high)
    except BackupError:
        return {}
    return {zone: head for zone, head in found.items() if head}
