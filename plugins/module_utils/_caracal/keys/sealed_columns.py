# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The columns with sealed values, their layouts and bindings, and the rows that must have a sealed value. One table per
family.

There are three layouts. `css1` is an envelope with its own data key. It names its KEK and is bound to its location.
`detached` is the ciphertext directly under the KEK, with the nonce in another column. `packed` is the same with the
nonce in front. The last two name no key and are not bound to a location.
"""

from __future__ import annotations

import dataclasses

from ..releases import SECRET_STORE, ZONE_KEK

CSS1 = "css1"
DETACHED = "detached"
PACKED = "packed"


@dataclasses.dataclass(frozen=True)
class Column:
    """One sealed column.

    `location` is the text to which its envelopes are bound. If it is empty, they are bound to the row's own ID.
    `row_id` is an expression that identifies the row. `spared` is a condition for rows that a KEK rotation skips.
    """

    table: str
    column: str
    layout: str = CSS1
    location: str = ""
    nonce: str = ""
    row_id: str = "id"
    where: str = ""
    version: str = "0"
    spared: str = "false"

    @property
    def name(self) -> str:
        return f"{self.table}.{self.column}"

    @property
    def needs(self) -> set[str]:
        """The `table.column` of every bytea column that is read."""
        return {self.name, f"{self.table}.{self.nonce}"} if self.nonce else {self.name}

    def copy(self) -> str:
        """Return a COPY statement for every sealed value: id, zone, version, spared, nonce, value. Fields are hex, so no
        line needs unescaping.
        """
        fields = (f"convert_to({text}, 'UTF8')" for text in (self.row_id, "zone_id", f"({self.version})::text", f"({self.spared})::text"))
        sealed = [f"coalesce({name}, ''::bytea)" if name else "''::bytea" for name in (self.nonce, self.column)]
        given = " OR ".join(f"{name} IS NOT NULL" for name in (self.column, self.nonce) if name)
        where = f"({given}) AND {self.where}" if self.where else given
        columns = ", ".join(f"pg_catalog.encode({field}, 'hex')" for field in (*fields, *sealed))
        return f"COPY (SELECT {columns} FROM public.{self.table} WHERE {where} ORDER BY 1) TO STDOUT"


SIGNING_KEY_ROWS = "name = 'zone_signing_key'"

COLUMNS: dict[str, tuple[Column, ...]] = {
    SECRET_STORE: (
        Column("secrets", "envelope", location="caracal/secrets/zoneSigningKey", where=SIGNING_KEY_ROWS, version="version"),
        Column("secret_store", "envelope", row_id="ref"),
        Column("provider_connections", "access_token_ct", location="caracal/providerConnections/accessToken"),
        Column("provider_connections", "refresh_token_ct", location="caracal/providerConnections/refreshToken"),
        Column("notification_sinks", "secret_ct", location="caracal/notificationSinks/secret"),
        Column(
            "operator_plan_secrets",
            "envelope",
            location="caracal/operatorPlanSecrets/values",
            row_id="conversation_id || '/' || plan_seq::text || '/' || step_id",
            spared="expires_at < now()",
        ),
    ),
    ZONE_KEK: (
        Column("secrets", "ciphertext", DETACHED, nonce="nonce", where=SIGNING_KEY_ROWS, version="version"),
        Column("providers", "secret_config_ct", DETACHED, nonce="secret_config_nonce"),
        Column("provider_grants", "access_token_ct", PACKED),
        Column("provider_grants", "refresh_token_ct", PACKED),
    ),
}

# The other bytea columns of all releases: digests, and 32 random bytes per zone that are never decrypted.
NOT_SEALED = frozenset(
    {
        "admin_tokens.token_sha256",
        "coordinator_idempotency_receipts.key_digest",
        "coordinator_idempotency_receipts.request_digest",
        "step_up_challenges.challenge_secret_hash",
        "step_up_challenges.resource_set_hash",
        "zones.dek_ciphertext",
    }
)
OTHER_SECRETS = f"SELECT count(*) FROM public.secrets WHERE NOT ({SIGNING_KEY_ROWS})"


@dataclasses.dataclass(frozen=True)
class Owners:
    """The rows that must have a sealed value. `rows` is a query for their ID and whether they have a value (`held`)."""

    needs: tuple[str, ...]
    rows: str

    @property
    def query(self) -> str:
        """The query. It returns one row: total count, count without a value, and the IDs of the first 50 without a value."""
        return f"""SELECT count(*), count(*) FILTER (WHERE NOT held),
                          (coalesce(array_agg(id ORDER BY id) FILTER (WHERE NOT held), '{{}}'))[:50] FROM ({self.rows}) owners"""


def _zones(sessions: str) -> Owners:
    """Return the zones with a session, for which the product must have created a signing key."""
    return Owners(
        ("zones", "secrets", sessions),
        f"""SELECT z.id, EXISTS (SELECT FROM public.secrets k WHERE k.zone_id = z.id AND k.{SIGNING_KEY_ROWS}) AS held
              FROM public.zones z WHERE z.archived_at IS NULL AND EXISTS (SELECT FROM public.{sessions} s WHERE s.zone_id = z.id)""",
    )


def _providers(held: str, *needs: str) -> Owners:
    """Return the providers that declare secret values."""
    return Owners(
        ("providers", *needs),
        f"SELECT p.id, {held} AS held FROM public.providers p WHERE p.archived_at IS NULL AND p.secret_config_keys <> '{{}}'",
    )


ZONES = {SECRET_STORE: _zones("authority_records"), ZONE_KEK: _zones("sessions")}
PROVIDERS = {
    SECRET_STORE: _providers(
        """EXISTS (SELECT FROM public.secret_store s
                    WHERE s.ref = 'zones/' || p.zone_id || '/providers/' || p.id || '/secretConfig')""",
        "secret_store",
    ),
    ZONE_KEK: _providers("p.secret_config_ct IS NOT NULL"),
}
