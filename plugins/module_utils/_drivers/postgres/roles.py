# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Record roles in the inventory, and create them again with SQL statements of this collection.

A globals file of pg_dumpall is not used: it contains password verifiers and would alter existing roles. Roles are cluster-wide
and outside any snapshot, so the backup reads them before and after, and compares.
"""

from __future__ import annotations

import typing as t

from ..._inventory import ClusterRoles, RoleAttributes
from ..._report.text import parameters
from .server import Session
from .tables import literal, quote, setting

# Attributes that any restore may set, and those that only a sandbox sets, since only the drill uses the sandbox.
ATTRIBUTES = {"login": "LOGIN", "createdb": "CREATEDB", "inherit": "INHERIT"}
SANDBOX_ATTRIBUTES = {"superuser": "SUPERUSER", "replication": "REPLICATION", "createrole": "CREATEROLE", "bypassrls": "BYPASSRLS"}

_ROLES = """
    SELECT rolname, rolcanlogin, rolcreatedb, rolinherit, rolsuper, rolreplication, rolcreaterole, rolbypassrls, rolconnlimit,
           to_char(rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
           (SELECT setconfig FROM pg_catalog.pg_db_role_setting s WHERE s.setrole = r.oid AND s.setdatabase = 0)
      FROM pg_catalog.pg_roles r"""

# Only the named roles are read. Other roles do not matter here, and may have names that are not valid text.
_STRONG = "SELECT rolname, rolsuper OR rolcreaterole OR rolname ~ '^pg_' FROM pg_catalog.pg_roles WHERE rolname = ANY (%s::text[])"
_PAIRS = """
    SELECT m.rolname, g.rolname FROM pg_catalog.pg_auth_members a
      JOIN pg_catalog.pg_roles m ON m.oid = a.member JOIN pg_catalog.pg_roles g ON g.oid = a.roleid WHERE m.rolname = ANY (%s::text[])"""

_REFERENCED = """
    WITH RECURSIVE here AS (
        SELECT oid, datdba, datacl FROM pg_catalog.pg_database WHERE datname = current_database()
    ), referenced(oid) AS (
        SELECT refobjid FROM pg_catalog.pg_shdepend
         WHERE refclassid = 'pg_catalog.pg_authid'::regclass
           AND (dbid = (SELECT oid FROM here) OR (classid = 'pg_catalog.pg_database'::regclass AND objid = (SELECT oid FROM here)))
        UNION SELECT datdba FROM here
        UNION SELECT relowner FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        UNION SELECT (aclexplode(datacl)).grantee FROM here
        UNION SELECT setrole FROM pg_catalog.pg_db_role_setting JOIN here ON setdatabase = here.oid
    ), closure(oid) AS (
        SELECT oid FROM referenced
        UNION SELECT CASE WHEN m.member = c.oid THEN m.roleid ELSE m.member END
                FROM closure c JOIN pg_catalog.pg_auth_members m ON c.oid IN (m.member, m.roleid)
                JOIN pg_catalog.pg_roles p ON p.oid = c.oid AND p.rolname !~ '^pg_'
    )
    SELECT r.oid FROM closure JOIN pg_catalog.pg_roles r USING (oid) WHERE r.rolname !~ '^pg_'"""


def read(session: Session) -> ClusterRoles:
    """Return the roles that this database refers to: `{"roles": {name: attributes}, "members": [[member, group], …]}`.

    Roles of the server (`pg_*`) are recorded only as groups. Their members have privileges that no grant shows.
    """
    rows = session.rows(f"{_ROLES} WHERE oid IN ({_REFERENCED}) ORDER BY 1")
    members = session.rows(
        f"""SELECT pg_get_userbyid(member), pg_get_userbyid(roleid) FROM pg_catalog.pg_auth_members
             WHERE member IN ({_REFERENCED}) AND (roleid IN ({_REFERENCED}) OR pg_get_userbyid(roleid) ~ '^pg_') ORDER BY 1, 2"""
    )
    return {"roles": _attributes(rows), "members": [list(pair) for pair in members]}


def _names(recorded: ClusterRoles) -> list[str]:
    return sorted({*recorded["roles"], *(name for pair in recorded["members"] for name in pair)})


def _attributes(rows: t.Iterable[tuple[t.Any, ...]]) -> dict[str, RoleAttributes]:
    """Return the attributes by name. The columns are those in `_ROLES`."""
    return {
        name: {
            "login": login,
            "createdb": createdb,
            "inherit": inherit,
            "superuser": superuser,
            "replication": replication,
            "createrole": createrole,
            "bypassrls": bypassrls,
            "connection_limit": limit,
            "valid_until": until,
            "set": settings,
        }
        for name, login, createdb, inherit, superuser, replication, createrole, bypassrls, limit, until, settings in rows
    }


def merge(first: ClusterRoles, second: ClusterRoles) -> ClusterRoles:
    """Combine the roles of two databases of one cluster."""
    pairs = {tuple(pair) for pair in first["members"] + second["members"]}
    return {"roles": {**first["roles"], **second["roles"]}, "members": [list(pair) for pair in sorted(pairs)]}


def create_missing(session: Session, recorded: ClusterRoles, host: str | None = None) -> list[str]:
    """Create the roles that do not exist, without passwords. Existing roles are never altered.

    In a sandbox, whose superuser is `host`, they get every recorded attribute. Returns one line for each difference between the
    existing and the recorded roles.
    """
    strong = dict(session.rows(_STRONG, (_names(recorded),)))
    # A login that is not a superuser, as on managed servers, must be able to transfer ownership to the roles that it creates.
    session.rows("SET createrole_self_grant = 'set, inherit'")
    for name, attributes in recorded["roles"].items():
        if name not in strong:
            session.conceal(_create(name, attributes, ATTRIBUTES | (SANDBOX_ATTRIBUTES if host else {})), f"role {name} or its settings")
    for member, group in recorded["members"]:
        # A set must not be able to make its roles administrators of an existing cluster.
        if member not in strong and (group in strong or group in recorded["roles"]) and (host or not strong.get(group, False)):
            session.rows(f"GRANT {quote(group)} TO {quote(member)}")
    return differences(session, without(recorded, host))


def _create(name: str, attributes: RoleAttributes, allowed: dict[str, str]) -> str:
    given: t.Mapping[str, object] = attributes
    words = [word if given[key] else f"NO{word}" for key, word in allowed.items()]
    words.append(f"CONNECTION LIMIT {int(attributes['connection_limit'])}")
    if attributes["valid_until"]:
        words.append(f"VALID UNTIL {literal(attributes['valid_until'])}")
    statements = [f"CREATE ROLE {quote(name)} {' '.join(words)}"]
    statements += [f"ALTER ROLE {quote(name)} SET {setting(one)}" for one in attributes["set"] or []]
    return "; ".join(statements)


def without(recorded: ClusterRoles, host: str | None) -> ClusterRoles:
    """Return the roles that can be compared: all but `host`, the superuser of a sandbox.

    It has the name of a recorded owner, but must have the attributes of a superuser.
    """
    return {
        "roles": {name: attributes for name, attributes in recorded["roles"].items() if name != host},
        "members": [pair for pair in recorded["members"] if pair[0] != host],
    }


def differences(session: Session, recorded: ClusterRoles) -> list[str]:
    """Return one line for each recorded role or membership that differs in this cluster.

    Each unrecorded membership of a recorded role in another role also gets a line.
    """
    names = _names(recorded)
    actual = _attributes(session.rows(f"{_ROLES} WHERE rolname = ANY (%s::text[])", (names,)))
    pairs = set(session.rows(_PAIRS, (names,)))
    found = []
    for name, attributes in recorded["roles"].items():
        if name not in actual:
            found.append(f"role {name} is missing")
            continue
        found.extend(f"role {name}: {one}" for one in _others(attributes, actual[name]))
        if other := parameters(attributes["set"], actual[name]["set"]):
            found.append(f"role {name}: settings differ from the set: {other}")
    wanted = set(map(tuple, recorded["members"]))
    found.extend(f"role {member} is not a member of {group}" for member, group in sorted(wanted - pairs))
    also = [(member, group) for member, group in sorted(pairs - wanted) if member in recorded["roles"]]
    found.extend(f"role {member} is a member of {group}, but not in the set" for member, group in also)
    return found


def _others(recorded: t.Mapping[str, object], actual: t.Mapping[str, object]) -> list[str]:
    names = [name for name in RoleAttributes.__annotations__ if name != "set"]
    return [f"{name} is {actual[name]} instead of {recorded[name]}" for name in names if actual[name] != recorded[name]]


def as_recorded(recorded: ClusterRoles, host: str | None) -> str:
    """Return the text for a comparison without differences: how many roles were compared, and which role was not."""
    compared = without(recorded, host)
    words = f"{len(compared['roles'])} role(s) and {len(compared['members'])} membership(s) match the set"
    return f"{words}; {host} was not compared, because it is the superuser of this sandbox" if host in recorded["roles"] else words
