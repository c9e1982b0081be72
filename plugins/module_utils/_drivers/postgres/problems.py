# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Convert PostgreSQL's errors to errors of this collection: one line, without any content of a row."""

from __future__ import annotations

import typing as t

from ..._errors import BackupError, NoRoom, PermissionMissing, StageFailed, StorageError, Unreachable


def translate(exc: t.Any, database: str) -> BackupError:
    """Return the error for one of psycopg2, with the primary message only, since the details may contain rows."""
    diagnosis = getattr(exc, "diag", None)
    message = (getattr(diagnosis, "message_primary", None) or str(exc)).strip().splitlines()
    reason = message[0] if message else type(exc).__name__
    code = getattr(exc, "pgcode", None) or ""
    if code == "42501":
        return PermissionMissing(f"database {database}: {reason}; grant the privileges that backup_preflight lists, or log in as the owner")
    if code == "22021":
        return no_text(database)
    if code in ("53100", "58030"):
        return (NoRoom if code == "53100" else StorageError)(f"database {database}: {reason}; free space on the server's disk")
    if code.startswith(("08", "57P")) or not code:
        return Unreachable(f"database {database}: the connection was lost ({reason}); check the server's log and run again")
    return StageFailed(f"database {database}: {reason} (SQLSTATE {code})", sqlstate=code)


def no_text(database: str) -> StageFailed:
    return StageFailed(
        f"database {database}: a name or text is not UTF-8, which the encoding SQL_ASCII allows; correct it in the database",
        sqlstate="22021",
    )


def connect(server: object, database: str, message: str) -> BackupError:
    line = " ".join(message.split())
    if f'database "{database}" does not exist' in line:
        return Unreachable(f"database {database} does not exist on {server}; correct the database name")
    return Unreachable(f"cannot connect to database {database} as {server}: {line}; check the login_* options and the server")
