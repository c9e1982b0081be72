# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The backup login on a server of this host: it can read all data and change none, and its password never leaves the host."""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import hashlib
import hmac
import os
import pwd
import secrets
import typing as t

from .._ansible.boundary import Invocation
from .._drivers.postgres.server import Server, Session
from .._errors import BackupError, OptionError, PermissionMissing
from .._options import declared
from .._options.declared import Path
from .._stream import secret_files
from . import wal_summaries_setup, whole_files

DATABASE = "postgres"
READS_ALL = "pg_read_all_data"
BYTES = 32
_FOUND = """
SELECT rolsuper, rolcanlogin, rolbypassrls, pg_catalog.pg_has_role(oid, %s, 'MEMBER'), rolpassword
FROM pg_catalog.pg_authid WHERE rolname = %s
"""
_QUOTED = "SELECT pg_catalog.quote_ident(%s), pg_catalog.quote_literal(%s)"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    user: str
    password_file: Path
    unix_socket: Path
    port: int = 5432
    admin: str = "postgres"
    summarize_wal: bool = False


class LoginResult(t.TypedDict):
    """`made` lists the created parts of the password file, the role and its rights, and the changed setting of the server."""

    changed: bool
    made: list[str]
    diff: dict[str, str]


def run(invocation: Invocation[Options]) -> LoginResult:
    """Create the missing parts of password, role and rights, then log in.

    Raises OptionError if the login has more rights than a backup needs, and PermissionMissing if the server refuses the
    login.
    """
    given = invocation.options
    if given.user == given.admin:
        raise OptionError(f"user and admin are both {given.admin}; use a separate login for backups")
    password, is_new = _password(given.password_file, invocation.check_mode)
    missing = [f"password in {given.password_file}"] if is_new else []
    with _admin(given) as session:
        missing += _ensure(session, given.user, password, invocation.check_mode)
        missing += wal_summaries_setup.ensure(session, given.user, invocation.check_mode) if given.summarize_wal else []
    if not invocation.check_mode:
        _log_in(given)
    after = "".join(f"{one}\n" for one in missing)
    return {"changed": bool(missing), "made": missing, "diff": {"before": "", "after": after}}


def _password(path: str, check_mode: bool) -> tuple[str, bool]:
    """Return the password in the file, and whether it is new."""
    is_new = not os.path.lexists(path)
    if is_new and not check_mode:
        whole_files.refuse_shared_folder(path)
        is_new = whole_files.write_new(path, f"{secrets.token_urlsafe(BYTES)}\n")
    if is_new and check_mode:
        return "", True
    found = secret_files.text(path, "password_file").rstrip("\r\n")
    if not found:
        raise OptionError(f"password_file {path} is empty; remove it, and setup creates a password")
    return found, is_new


@contextlib.contextmanager
def _admin(given: Options) -> t.Iterator[Session]:
    with _as_admin(given.admin), Session(Server(given.unix_socket, given.port, given.admin), DATABASE) as session:
        yield session


@contextlib.contextmanager
def _as_admin(name: str) -> t.Iterator[None]:
    """Switch to the system user of this name, for servers with peer authentication. Without root, or without such a user,
    nothing is changed.
    """
    try:
        found = pwd.getpwnam(name) if os.geteuid() == 0 else None
    except KeyError:
        found = None
    if found is None:
        yield
        return
    group = os.getegid()
    os.setegid(found.pw_gid)
    os.seteuid(found.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)


def _ensure(session: Session, user: str, password: str, check_mode: bool) -> list[str]:
    """Create or change the role. Returns the parts that were missing. A password that already matches is kept."""
    found = next(iter(session.rows(_FOUND, (READS_ALL, user))), None)
    if found and found[0]:
        raise OptionError(f"{user} is a superuser, but a backup needs only read access; give another user name, which setup creates")
    can_login, sees_rows, reads, stored = found[1:] if found else (False, False, False, None)
    missing = [
        *(["role"] if not found else []),
        *(["LOGIN"] if not can_login else []),
        *(["BYPASSRLS"] if not sees_rows else []),
        *([READS_ALL] if not reads else []),
        *(["its password"] if not _fits(stored, password) else []),
    ]
    if missing and not check_mode:
        # The statement contains a verifier, which allows offline guessing of the password. So errors must not repeat
        # the statement.
        name, verifier = session.rows(_QUOTED, (user, session.verifier(user, password)))[0]
        verb = "ALTER" if found else "CREATE"
        session.conceal(f"{verb} ROLE {name} LOGIN BYPASSRLS PASSWORD {verifier}", f"to create the login {user}")
        session.rows(f"GRANT {READS_ALL} TO {name}")
    return [f"{one} of {user}" for one in missing]


def _fits(stored: str | None, password: str) -> bool:
    """Return whether a SCRAM verifier in PostgreSQL's format matches this password."""
    try:
        scheme, salted, keys = (stored or "").split("$")
        rounds, salt = salted.split(":")
        wanted = base64.b64decode(keys.split(":")[0], validate=True)
        if scheme != "SCRAM-SHA-256" or not 0 < int(rounds) <= 1_000_000:
            return False
        key = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt, validate=True), int(rounds))
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(hashlib.sha256(hmac.digest(key, b"Client Key", "sha256")).digest(), wanted)


def _rules(given: Options) -> str:
    """Return the path of the server's access rules, or their usual name if the admin may not read the setting."""
    try:
        with _admin(given) as session:
            return str(session.value("SHOW hba_file"))
    except BackupError:
        return "pg_hba.conf"


def _log_in(given: Options) -> None:
    try:
        Session(Server(given.unix_socket, given.port, given.user, given.password_file), DATABASE).close()
    except BackupError as exc:
        rules = _rules(given)
        raise PermissionMissing.caused_by(
            exc,
            f"the login {given.user} exists, but the server refused it: {exc.msg}; add the line `local all {given.user} scram-sha-256` "
            f"to {rules} before all lines with peer, and reload it (SELECT pg_reload_conf())",
            file=rules,
        ) from exc
