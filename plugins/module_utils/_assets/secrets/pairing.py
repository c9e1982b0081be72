# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pairing proof of an open set: its secrets against what the dump says its snapshot is sealed with."""

from __future__ import annotations

import typing as t

from ..._caracal import secrets
from ..._caracal.chains import pairing
from ..._caracal.keys import sealed_columns
from ..._caracal.keys.envelopes import Reading
from ..._caracal.keys.kek import Keyring
from ..._caracal.releases import OWN_DATABASE, SECRET_STORE
from ..._caracal.secrets import Keys
from ..._crypto import envelope_ciphers
from ..._deps import require_cryptography
from ..._drivers.postgres.server import Server, Session
from ..._drivers.postgres.snapshot import BEGIN, Snapshot
from ..._errors import OptionError
from ..._evidence import sealed_census
from ..._options.shared import PostgresOptions
from ..databases.dump_database import layout_of


def prove(given: PostgresOptions, part: t.Mapping[str, object], keys: Keys, backend: str, earlier_ids: t.Collection[str]) -> dict[str, str]:
    """`verdict` and `message` for the manifest. `part` is the dump's; `earlier_ids` are the KEKs of the first reading, which are in the
    set too. Raises KeyProblem for secrets that do not open the snapshot."""
    sealed = t.cast("dict[str, sealed_census.SealedCensus]", part["sealed"])
    if not sealed:
        raise OptionError("the set does not contain the database of Caracal, so its secrets cannot be verified; dump database caracal too")
    database, census = next(iter(sealed.items()))
    family = str(part["family"])
    if family == SECRET_STORE:
        opened = pairing.envelopes(census["columns"], {*(key.id for key in keys.keks), *earlier_ids})
    else:
        opened = pairing.trial(_trial(Server.from_options(given), database, census["columns"], family, keys))
    verdict, message = pairing.together(family, backend, opened, pairing.audit(census["rows"], keys.audit))
    return {"verdict": verdict, "message": message}


def beforehand(given: PostgresOptions, family: str, keys: Keys, backend: str) -> dict[str, str]:
    """The same against the database as it is now, before a dump that may take hours. Raises KeyProblem and OptionError."""
    with Snapshot(Server.from_options(given), OWN_DATABASE, alone=False) as held:
        layout = layout_of(held.session, OWN_DATABASE)
        census = sealed_census.read(held.place, layout)
    found = layout.detected.family if layout.detected else None
    refuse_other_family(family, found)
    return prove(given, {"sealed": {OWN_DATABASE: census}, "family": found}, keys, backend, ())


def refuse_other_family(family: str, of_database: str | None) -> None:
    """Secrets of a `family` that the database is not of; None while nobody knows. Raises OptionError."""
    if of_database and of_database != family:
        raise OptionError(
            f"the secrets contain {secrets.CURRENT_KEK[family]}, but the database belongs to the release family that uses "
            f"{secrets.CURRENT_KEK[of_database]}; give the secrets of this deployment"
        )


def _trial(server: Server, database: str, columns: t.Container[str], family: str, keys: Keys) -> list[Reading]:
    """Every value opened and forgotten. Values of this family name no key, and sealed values must not stand in a part, which is not sealed,
    so they are read again: the family has no rotation of its KEK, and what opens now was sealed with the same key at the snapshot."""
    require_cryptography()
    keyring = Keyring(*keys.keks[:2])
    readings = [Reading(one, keyring, envelope_ciphers.decrypt) for one in sealed_columns.COLUMNS[family] if one.name in columns]
    with Session(server, database) as session:
        session.rows(BEGIN)
        for reading in readings:
            session.copy_to(reading.column.copy(), reading)
    return readings
