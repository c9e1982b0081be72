# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pairing proof of an open set: compare its secrets with the dump's record of the keys that encrypt its snapshot."""

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
    """Return `verdict` and `message` for the manifest.

    `part` is the part of the dump. `earlier_ids` are the KEKs of the first reading, which are also in the set. Raises
    KeyProblem for secrets that do not decrypt the snapshot.
    """
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
    """Prove the pairing with the current database, before a dump that may take hours. Raises KeyProblem and OptionError."""
    with Snapshot(Server.from_options(given), OWN_DATABASE, alone=False) as held:
        layout = layout_of(held.session, OWN_DATABASE)
        census = sealed_census.read(held.place, layout)
    found = layout.detected.family if layout.detected else None
    refuse_other_family(family, found)
    return prove(given, {"sealed": {OWN_DATABASE: census}, "family": found}, keys, backend, ())


def refuse_other_family(family: str, of_database: str | None) -> None:
    """Raise OptionError if the secrets are of another family than the database. An unknown family of the database is accepted."""
    if of_database and of_database != family:
        raise OptionError(
            f"the secrets contain {secrets.CURRENT_KEK[family]}, but the database belongs to the release family that uses "
            f"{secrets.CURRENT_KEK[of_database]}; give the secrets of this deployment"
        )


def _trial(server: Server, database: str, columns: t.Container[str], family: str, keys: Keys) -> list[Reading]:
    """Decrypt every value without keeping it.

    Values of this family do not name their key. A part is not encrypted, so encrypted values must not be in it and are read
    again here. The family has no KEK rotation, so a value that can be decrypted now had the same key in the snapshot.
    """
    require_cryptography()
    keyring = Keyring(*keys.keks[:2])
    readings = [Reading(one, keyring, envelope_ciphers.decrypt) for one in sealed_columns.COLUMNS[family] if one.name in columns]
    with Session(server, database) as session:
        session.rows(BEGIN)
        for reading in readings:
            session.copy_to(reading.column.copy(), reading)
    return readings
