# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: decrypt every sealed value of a database with the KEK."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from .._ansible.boundary import Invocation
from .._caracal import releases
from .._caracal.keys import envelope_verdicts as verdicts
from .._caracal.keys import kek, sealed_columns
from .._caracal.keys.envelope_verdicts import SigningKey
from .._caracal.keys.envelopes import Inspect, Reading, Row
from .._caracal.keys.kek import Kek, Keyring
from .._caracal.keys.sealed_columns import Column, Owners
from .._crypto import envelope_ciphers
from .._deps import require_cryptography
from .._drivers.postgres.server import Session
from .._drivers.postgres.snapshot import BEGIN
from .._errors import KeyProblem, VersionMismatch
from .._evidence import place
from .._files import paths
from .._options import declared
from .._options.declared import Path, Rules, Secret, needed
from .._options.shared import CopyOptions
from .._reasons import MISSING_SECRET
from .._report.check import UNPROVEN, Check, VerdictResult, judged

# Longer than any key. A longer file is not a key file.
_FILE_LIMIT = 4096
_NAMES = "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = 'public'"
_BYTEA = """
    SELECT c.relname || '.' || a.attname FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
       AND a.atttypid = 'pg_catalog.bytea'::regtype"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    RULES = Rules(mutually_exclusive=(("kek_file", "kek"), ("previous_kek_file", "previous_kek")), required_one_of=(("kek_file", "kek"),))

    copy: CopyOptions = dataclasses.field(default_factory=CopyOptions)
    kek_file: Path | None = None
    kek: Secret | None = None
    previous_kek_file: Path | None = None
    previous_kek: Secret | None = None
    database: str = "caracal"
    require_valid: bool = True


class KeyIds(t.TypedDict):
    """IDs of the keys that were tried."""

    current: str
    previous: str | None


class EnvelopeVerifyResult(VerdictResult):
    """The result for the sealed values of a database."""

    database: str
    family: str
    release: str | None
    key_ids: KeyIds
    signing_keys: list[t.Mapping[str, object]]
    seconds: float


def run(invocation: Invocation[Options]) -> EnvelopeVerifyResult:
    """Read the keys, refuse unusable ones, then decrypt all values in one transaction."""
    started = time.monotonic()
    given = invocation.options
    require_cryptography()
    keyring = _keyring(given)
    server, _sandbox = place.server_of(given.copy)
    with Session(server, given.database) as session:
        session.rows(BEGIN)
        census = _Census(session, given.database, keyring)
        checks = census.checks()
    return {
        **judged(checks, given.require_valid),
        "database": given.database,
        "family": census.detected.family,
        "release": census.detected.release,
        "key_ids": {"current": keyring.current.id, "previous": keyring.previous.id if keyring.previous else None},
        "signing_keys": [key.to_result() for key in census.keys],
        "seconds": round(time.monotonic() - started, 3),
    }


def _keyring(given: Options) -> Keyring:
    rotating = given.previous_kek_file is not None or given.previous_kek is not None
    current = _key("kek", given.kek_file, given.kek)
    return Keyring(current, _key("previous_kek", given.previous_kek_file, given.previous_kek) if rotating else None)


def _key(name: str, path: str | None, value: str | None) -> Kek:
    """Return the key from the file or the value of an option."""
    if path is not None:
        return kek.parse_file(_read(path, f"{name}_file"), f"{name}_file {path}")
    return kek.parse(needed(value, name), name)


def _read(path: str, name: str) -> str:
    try:
        with paths.reading(path) as stream:
            return stream.read(_FILE_LIMIT).decode("ascii", "replace")
    except OSError as exc:
        raise KeyProblem(f"cannot read {name} {path}: {exc.strerror}; check path and owner", reason=MISSING_SECRET) from exc


class _Census:
    """The contents of one database. `keys` are the public halves of its signing keys, in the order of their rows."""

    def __init__(self, session: Session, database: str, keyring: Keyring) -> None:
        self._session = session
        self._keyring = keyring
        self._tables = {str(name) for (name,) in session.rows(_NAMES)}
        self.detected = self._detect(database)
        self.keys: list[SigningKey] = []

    def _detect(self, database: str) -> releases.Detected:
        if "schema_migrations" not in self._tables:
            raise VersionMismatch(
                f"database {database} has no schema_migrations, so it is not the database of Caracal; correct the database name"
            )
        migrations = [row[0] for row in self._session.rows("SELECT version FROM public.schema_migrations ORDER BY 1")]
        return releases.detect(self._tables, migrations)

    def checks(self) -> list[Check]:
        family = self.detected.family
        bytea = {str(name) for (name,) in self._session.rows(_BYTEA)}
        readings = [self._read(column) for column in sealed_columns.COLUMNS[family] if column.needs <= bytea]
        other = self._session.value(sealed_columns.OTHER_SECRETS) if "secrets" in self._tables else 0
        return [
            verdicts.judge_kek(readings, self._keyring, family),
            *(verdicts.judge_column(reading, self._keyring, family) for reading in readings),
            self._signing_keys(readings),
            self._providers(readings),
            verdicts.judge_coverage(self.detected, bytea, other),
        ]

    def _read(self, column: Column) -> Reading:
        inspect: Inspect | None = self._inspect if column.table == "secrets" else None
        reading = Reading(column, self._keyring, envelope_ciphers.decrypt, inspect)
        self._session.copy_to(column.copy(), reading)
        return reading

    def _inspect(self, row: Row, plaintext: bytes) -> str | None:
        """Store the public half of a signing key. Returns a fault, or None."""
        point = envelope_ciphers.public_point(plaintext)
        if point is None:
            return "decrypts, but does not contain a P-256 private key"
        self.keys.append(SigningKey(row.id, row.zone, row.version, point.x, point.y))
        return None

    def _signing_keys(self, readings: t.Sequence[Reading]) -> Check:
        found = self._owners(sealed_columns.ZONES[self.detected.family])
        if found is None:
            return Check("envelopes.signing_keys", UNPROVEN, "a table of zones, sessions or secrets is missing")
        rows = sum(reading.rows for reading in readings if reading.column.table == "secrets")
        return verdicts.judge_signing_keys(self.keys, rows, *found)

    def _providers(self, readings: t.Sequence[Reading]) -> Check:
        found = self._owners(sealed_columns.PROVIDERS[self.detected.family])
        if found is None:
            return Check("envelopes.providers", UNPROVEN, "a table of providers or their secrets is missing")
        stored = sum(reading.rows for reading in readings if reading.column.table == "secret_store")
        return verdicts.judge_providers(self.detected.family, *found, stored)

    def _owners(self, owners: Owners) -> tuple[int, int, list[str]] | None:
        """Return the number of owners, the number without a sealed value, and the first of these. Returns None if a table is missing."""
        if not self._tables.issuperset(owners.needs):
            return None
        total, without, first = self._session.rows(owners.query)[0]
        return int(total), int(without), [str(one) for one in first]
