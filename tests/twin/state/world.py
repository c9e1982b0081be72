# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shared state of all parts of the data: zones with the IDs that other rows refer to, and the rows created so far."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from .. import envelopes
from ..dice import Dice
from ..facts import ZONE_KEK, Release
from ..keys import Keys
from ..shape import Row
from ..spec import Spec


@dataclasses.dataclass(frozen=True)
class Agent:
    """A session of the product: an agent, with the fields that its edges and events need."""

    id: str
    application: str
    authority: str
    live: bool


@dataclasses.dataclass
class Zone:
    """A zone and the IDs in it, filled while the parts are created."""

    id: str
    slug: str
    owner: str
    applications: list[str] = dataclasses.field(default_factory=list)
    providers: list[str] = dataclasses.field(default_factory=list)
    resources: list[str] = dataclasses.field(default_factory=list)
    workloads: list[str] = dataclasses.field(default_factory=list)
    policy_set: str = ""
    policy_set_version: str = ""
    manifest_sha256: str = ""
    authorities: list[str] = dataclasses.field(default_factory=list)
    agents: list[Agent] = dataclasses.field(default_factory=list)


class World:
    """The growing state: `add` a row, `seal` a secret, `ago` for times before now.

    Rows have the names of v1.0.0, and also the columns and tables that only other releases have.
    """

    def __init__(self, spec: Spec, keys: Keys, release: Release) -> None:
        self.spec = spec
        self.keys = keys
        self.release = release
        self.zone_kek = release.family == ZONE_KEK
        self.dice = Dice(spec.seed, "state")
        # A separate generator for data of the other family only, so that it does not change other random values.
        self.kek_dice = Dice(spec.seed, "zone kek")
        self.zones: list[Zone] = []
        self.users: list[str] = []
        self.rows: dict[str, list[Row]] = {}
        self.auth_rows: dict[str, list[Row]] = {}

    def add(self, table: str, **row: t.Any) -> Row:
        """Append a row of `caracal`. All rows of a table have the same columns; other columns have their default."""
        rows = self.rows.setdefault(table, [])
        if rows and rows[0].keys() != row.keys():
            raise ValueError(f"{table}: rows with different columns: {sorted(rows[0].keys() ^ row.keys())}")
        rows.append(row)
        return row

    def ago(self, **delta: float) -> dt.datetime:
        """Return a time before now, with random microseconds."""
        return self.spec.now - dt.timedelta(**delta) - dt.timedelta(microseconds=self.dice.randrange(1_000_000))

    def id(self, at: dt.datetime) -> str:
        return self.dice.uuid7(at)

    def seal(self, location: str, plaintext: str | bytes) -> bytes:
        """Return the encrypted value in one column: an envelope, or under the zone KEK the nonce and then the ciphertext."""
        value = plaintext.encode() if isinstance(plaintext, str) else plaintext
        if self.zone_kek:
            return b"".join(self.detached(value))
        return envelopes.seal(self.keys.secret_store_kek, location, value, self.dice)

    def detached(self, plaintext: bytes) -> tuple[bytes, bytes]:
        """Return nonce and ciphertext under the zone KEK, for the releases that store them in two columns."""
        nonce = self.kek_dice.randbytes(12)
        return nonce, envelopes.seal_bare(self.keys.zone_kek, nonce, plaintext)

    def store(self, zone: Zone, ref: str, plaintext: str, at: dt.datetime, version: int = 1) -> None:
        """Store a secret in `secret_store`."""
        path = f"zones/{zone.id}/{ref}"
        self.add(
            "secret_store",
            ref=path,
            zone_id=zone.id,
            envelope=self.seal(path, plaintext),
            version=version,
            created_at=at,
            updated_at=at + dt.timedelta(days=version - 1),
        )

    @property
    def origin(self) -> dt.datetime:
        """Return the start of the deployment, before its first audit event."""
        return self.spec.month(1 - self.spec.months) - dt.timedelta(days=2)
