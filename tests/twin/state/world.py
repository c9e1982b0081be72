# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the parts of the data share: zones with the ids that other rows point at, and the rows made so far."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from .. import envelopes
from ..dice import Dice
from ..keys import Keys
from ..spec import Spec

Row = dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Agent:
    """A session of the product: an agent, with what its edges and events need to know."""

    id: str
    application: str
    authority: str
    live: bool


@dataclasses.dataclass
class Zone:
    """A zone and the ids in it, filled in as the parts are made."""

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
    """The growing state: `add` a row, `seal` a secret, `ago` for times before now."""

    def __init__(self, spec: Spec, keys: Keys) -> None:
        self.spec = spec
        self.keys = keys
        self.dice = Dice(spec.seed, "state")
        self.zones: list[Zone] = []
        self.users: list[str] = []
        self.rows: dict[str, list[Row]] = {}
        self.auth_rows: dict[str, list[Row]] = {}

    def add(self, table: str, **row: t.Any) -> Row:
        """Append a row of `caracal`; rows of a table have the same columns, the rest takes its default."""
        rows = self.rows.setdefault(table, [])
        if rows and rows[0].keys() != row.keys():
            raise ValueError(f"{table}: rows with different columns: {sorted(rows[0].keys() ^ row.keys())}")
        rows.append(row)
        return row

    def ago(self, **delta: float) -> dt.datetime:
        """A moment before now, with microseconds of its own."""
        return self.spec.now - dt.timedelta(**delta) - dt.timedelta(microseconds=self.dice.randrange(1_000_000))

    def id(self, at: dt.datetime) -> str:
        return self.dice.uuid7(at)

    def seal(self, location: str, plaintext: str | bytes) -> bytes:
        """An envelope under the KEK of this twin."""
        value = plaintext.encode() if isinstance(plaintext, str) else plaintext
        return envelopes.seal(self.keys.secret_store_kek, location, value, self.dice)

    def store(self, zone: Zone, ref: str, plaintext: str, at: dt.datetime, version: int = 1) -> None:
        """Custody of a secret in `secret_store`."""
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
        """When the deployment began: before its first audit event."""
        return self.spec.month(1 - self.spec.months) - dt.timedelta(days=2)
