# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What libpq is told, so that a password goes to the one server that it belongs to, and never in clear."""

from __future__ import annotations

# Before, libpq knows no `require_auth`; as an environment variable it is ignored there.
REQUIRE_AUTH_SINCE = 160000
# libpq takes the directory that it was built with for this host.
DEFAULT_HOST = "localhost"


def conninfo(database: str) -> str:
    """A connection string that names a database, for `--dbname`: libpq would take a bare name with `=` or `://` for such a string."""
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"


def is_socket(host: str) -> bool:
    return not host or host.startswith(("/", "@"))


def methods(host: str, with_password: bool) -> str:
    """How a server may ask who we are, as `require_auth`: it gets no password in clear and no MD5 of one.

    A server that we have a password for must prove that it knows it, too. On a socket of this host it may also know us by our user.
    """
    if not with_password:
        return "!password,!md5"
    return "scram-sha-256,none" if is_socket(host) else "scram-sha-256"


def passfile(host: str, port: int, database: str, user: str, password: str) -> str:
    """Lines of a password file, one for each host that the login names."""
    hosts = [one or DEFAULT_HOST for one in host.split(",")]
    if is_socket(host):
        hosts = list(dict.fromkeys([*hosts, DEFAULT_HOST]))
    # A line cannot hold such a name. Host, port and user remain.
    named = "*" if "\n" in database or "\r" in database else _field(database)
    return "".join(f"{_field(one)}:{port}:{named}:{_field(user)}:{_field(password)}\n" for one in hosts)


def _field(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace(":", "\\:")
    return f"\\{escaped}" if escaped == "*" else escaped
