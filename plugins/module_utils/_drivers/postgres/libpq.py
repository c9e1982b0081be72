# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings for libpq that send a password only to the server that it belongs to, and never in plaintext."""

from __future__ import annotations

# Before version 16, libpq does not support `require_auth` and ignores the environment variable.
REQUIRE_AUTH_SINCE = 160000
# If the host is empty, libpq uses its compiled-in socket directory and looks up the password under this host.
DEFAULT_HOST = "localhost"


def conninfo(database: str) -> str:
    """Return a connection string with the name of a database, for `--dbname`.

    libpq would parse a bare name that contains `=` or `://` as a connection string.
    """
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"


def is_socket(host: str) -> bool:
    return not host or host.startswith(("/", "@"))


def methods(host: str, with_password: bool) -> str:
    """Return the authentication methods that the server may request, as `require_auth`.

    It never receives a password in plaintext or as MD5. With a password, the server must also prove that it knows the password.
    On a socket of this host, it may also identify the client by its operating system user.
    """
    if not with_password:
        return "!password,!md5"
    return "scram-sha-256,none" if is_socket(host) else "scram-sha-256"


def passfile(host: str, port: int, database: str, user: str, password: str) -> str:
    """Return the lines of a password file, one for each host of the login."""
    hosts = [one or DEFAULT_HOST for one in host.split(",")]
    if is_socket(host):
        hosts = list(dict.fromkeys([*hosts, DEFAULT_HOST]))
    # A line cannot contain a newline in the name. Host, port and user still restrict the entry.
    named = "*" if "\n" in database or "\r" in database else _field(database)
    return "".join(f"{_field(one)}:{port}:{named}:{_field(user)}:{_field(password)}\n" for one in hosts)


def _field(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace(":", "\\:")
    return f"\\{escaped}" if escaped == "*" else escaped
