# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`RECOVERY.md`: how to restore a set with common tools if this software is not available. A test runs its commands."""

from __future__ import annotations

import re

from .._drivers.postgres import libpq, row_code
from .._repository.artifact import DUMP, INVENTORY, LEAF, RECOVERY, SCHEMA, Artifact
from .._repository.fields import timestamp
from .._repository.manifest import Manifest
from . import recovery_assets, recovery_download, recovery_images
from .recovery_quoting import code, markdown, shell

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# The value of `name=value` in the format of SET. A list is recorded as its owner wrote it. Each element is quoted again, so
# that it cannot be a statement.
_SETTING = """\
CASE WHEN s !~ '^(search_path|temp_tablespaces|(session|local)_preload_libraries)='
                   THEN quote_literal(substr(s, strpos(s, '=') + 1))
                   ELSE coalesce((SELECT string_agg(quote_literal(replace(coalesce(m[1], btrim(m[2])), '""', '"')), ', ')
                                    FROM regexp_matches(substr(s, strpos(s, '=') + 1), '"((?:[^"]|"")*)"|([^\\s",][^,]*)', 'g') m),
                                 quote_literal('')) END"""


def _array(value: str) -> str:
    """Return SQL for a JSON array that may be null."""
    return f"CASE jsonb_typeof({value}) WHEN 'array' THEN {value} ELSE '[]' END"


_HEAD = """\
# Recovery of backup set {set_id}

Deployment `{deployment}`, Caracal {release}, family {family}, snapshot {snapshot}.

These commands need `bash`, `awk`, `ssh-keygen`, `sha256sum`, `age`, `zstd`, and `pg_restore` and `psql` of PostgreSQL {major} or newer.
They restore into an **empty** cluster in which you are superuser. Set its address with `PGHOST`, `PGPORT` and `PGUSER`.

1. Start a new shell with `bash`.
2. In this shell, set the variables below with `export`. All paths must be absolute.
3. Run the commands from top to bottom. The first error ends the shell.

| variable | value |
|---|---|
| `REPOSITORY` | the directory with `repository.json`; for a set in a bucket, an empty directory for the download |
| `ALLOWED_SIGNERS` | the operator's list of signers; never a copy from the repository |
| `IDENTITY` | an age identity of one of: {recipients} |
{variables}
{download}
## Prepare the shell

```sh
set -euo pipefail
cd "$REPOSITORY"
test -r "$ALLOWED_SIGNERS"
test -r "$IDENTITY"
export IDENTITY                 # programs that psql starts read it
unpack() {{                      # decrypts archive $2 with identity $1 into directory $3
  # Regular files only: links and devices are printed and end the shell. Owners and set-user-ID bits are not restored.
  age --decrypt --identity "$1" "$2" | zstd --decompress --stdout | tar --list --verbose | {{ ! grep '^[^-]' >&2; }}
  age --decrypt --identity "$1" "$2" | zstd --decompress --stdout |
    tar --extract --no-same-owner --no-same-permissions --directory "$3"
}}
```

## 1. Verify the signature

```sh
{verify}
sha256sum --check --strict --quiet <<'END'
{sums}
END
```

If the signer has been retired since, verify as of the time when the set was stored: add `-O verify-time=YYYYMMDDHHMMSSZ` to each
`ssh-keygen`. Use the time at which the storage received the manifest, not a time in the manifest.

## 2. Roles and empty databases

Roles are restored without passwords; Caracal's migration step sets them again. Memberships are restored too, also in built-in roles
such as `pg_monitor`.

```sh
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --dbname postgres <<'END'
\\set inventory `age --decrypt --identity "$IDENTITY" {inventory} | zstd --decompress --stdout`
SELECT format('CREATE ROLE %I %s %s %s CONNECTION LIMIT %s', key, CASE WHEN (value->>'login')::bool THEN 'LOGIN' ELSE 'NOLOGIN' END,
              CASE WHEN (value->>'createdb')::bool THEN 'CREATEDB' ELSE 'NOCREATEDB' END,
              CASE WHEN (value->>'inherit')::bool THEN 'INHERIT' ELSE 'NOINHERIT' END, value->>'connection_limit')
       || coalesce(' VALID UNTIL ' || quote_literal(value->>'valid_until'), ''),
       (SELECT string_agg(format('ALTER ROLE %I SET %I TO %s', key, split_part(s, '=', 1),
                                 {setting}), '; ')
          FROM jsonb_array_elements_text({role_settings}) s)
  FROM jsonb_each(:'inventory'::jsonb #> '{{roles,roles}}')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = key) \\gexec
SELECT format('GRANT %I TO %I', value->>1, value->>0)
  FROM jsonb_array_elements(:'inventory'::jsonb #> '{{roles,members}}')
 WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = value->>1) \\gexec
SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L LOCALE_PROVIDER %s',
              value->>'database', s->>'owner', s->>'encoding',
              coalesce((SELECT min(collcollate) FROM pg_collation WHERE collcollate = s->>'collate'), 'C.UTF-8'),
              coalesce((SELECT min(collctype) FROM pg_collation WHERE collctype = s->>'ctype'), 'C.UTF-8'),
              coalesce((SELECT format(CASE collprovider WHEN 'i' THEN 'icu ICU_LOCALE %L' ELSE 'builtin BUILTIN_LOCALE %L' END,
                                      s->>'locale')
                          FROM pg_collation WHERE (s->>'provider', collprovider) = ('icu', 'i') AND icu_unicode_version() IS NOT NULL
                            OR (s->>'provider', collprovider, colllocale) = ('builtin', 'b', s->>'locale') LIMIT 1), 'libc'))
  FROM jsonb_array_elements(:'inventory'::jsonb -> 'databases'), LATERAL (SELECT value->'settings') l(s) \\gexec
END
```
"""

_DATABASE = """
## {number}. Database {database}

```sh
{open_schema} |
  pg_restore --exit-on-error --no-tablespaces --no-subscriptions --no-publications --section=pre-data --dbname {name}
# Prints functions of the owners that loading the rows would run with your privileges, then ends the shell. Inspect them to continue.
psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 --dbname {name} <<'END' | {{ ! grep . >&2; }}
SET search_path = '';{functions};
END
# Prints check constraints that would run such functions, then ends the shell.
{open_schema} |
  pg_restore --list --verbose --section=post-data |
  awk '/^;/ && check {{ for (i = 5; i <= NF; i++) if ($i != $4) {{ print check; break }} }}
       {{ check = $4 $5 == "CHECKCONSTRAINT" ? $0 : "" }}' | {{ ! grep . >&2; }}
{open_dump} |
  pg_restore --exit-on-error --no-tablespaces --no-subscriptions --no-publications --section=data --dbname {name}
{leaves}{open_schema} |
  pg_restore --exit-on-error --no-tablespaces --no-subscriptions --no-publications --section=post-data --dbname {name}
# Not in the dump: values of sequences that only audit rows use, and the content of materialized views.
psql --no-psqlrc --quiet --output /dev/null --set ON_ERROR_STOP=1 --dbname {name} <<'END'
SET search_path = '';
\\set inventory `age --decrypt --identity "$IDENTITY" {inventory} | zstd --decompress --stdout`
SELECT format('SELECT setval(%L, %s)', format('%I.%I', q.schemaname, q.sequencename), v)
  FROM jsonb_array_elements(:'inventory'::jsonb -> 'databases') d, pg_sequences q,
       LATERAL (SELECT d -> 'sequences' ->> (q.schemaname || '.' || q.sequencename)) l(v)
 WHERE d->>'database' = current_database() AND q.last_value IS NULL AND v IS NOT NULL \\gexec
\\set ON_ERROR_STOP 0
-- A view whose query fails is printed and stays empty.
SELECT format('REFRESH MATERIALIZED VIEW %I.%I', n.nspname, c.relname)
  FROM jsonb_array_elements(:'inventory'::jsonb -> 'databases') d, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE d->>'database' = current_database() AND c.relkind = 'm' AND NOT c.relispopulated
   AND (d -> 'materialized_views' ->> (n.nspname || '.' || c.relname))::bool
 ORDER BY c.oid \\gexec
END
```
"""

_TAIL = """
## {number}. Database settings and statistics

```sh
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --dbname postgres <<'END'
\\set inventory `age --decrypt --identity "$IDENTITY" {inventory} | zstd --decompress --stdout`
SELECT format('ALTER DATABASE %I CONNECTION LIMIT %s', d->>'database', d #>> '{{settings,connection_limit}}')
  FROM jsonb_array_elements(:'inventory'::jsonb -> 'databases') d \\gexec
SELECT format('ALTER DATABASE %I SET %I TO %s', d->>'database', split_part(s, '=', 1),
              {setting})
  FROM jsonb_array_elements(:'inventory'::jsonb -> 'databases') d,
       jsonb_array_elements_text({database_settings}) s \\gexec
SELECT format('ALTER ROLE %I IN DATABASE %I SET %I TO %s', r.key, d->>'database', split_part(s, '=', 1),
              {setting})
  FROM jsonb_array_elements(:'inventory'::jsonb -> 'databases') d, jsonb_each(d #> '{{settings,role_sets}}') r,
       jsonb_array_elements_text(r.value) s \\gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', d->>'database')
  FROM jsonb_array_elements(:'inventory'::jsonb -> 'databases') d WHERE jsonb_typeof(d #> '{{settings,acl}}') = 'array' \\gexec
SELECT format('GRANT %s ON DATABASE %I TO %s%s', a.privilege_type, d->>'database',
              CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
              CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' END)
  FROM jsonb_array_elements(:'inventory'::jsonb -> 'databases') d,
       jsonb_array_elements_text({database_acl}) i,
       aclexplode(ARRAY[i::aclitem]) a \\gexec
END
{analyze}
```
"""

_LAST = """
## {number}. Before any service starts

Services change a restored database within seconds, and `/ready` returns 200 even with a wrong key-encryption key.

1. Restore the secrets of this set.
2. Create the audit partitions of this month and the next three months.
3. Start the audit service first.

Not in this set: {left_out}.
{services}"""


_SERVICES = """
These images ran when the set was created. Pull an image from a registry by its digest; `docker image inspect` shows its ID.

| service | image | digest | id |
|---|---|---|---|"""


def render(manifest: Manifest) -> bytes:
    """Return the text for one set, in UTF-8."""
    databases = [one.database or "" for one in manifest.artifacts if one.kind == DUMP]
    parts = [_head(manifest), *(_database(manifest, name, number) for number, name in enumerate(databases, 3)), _tail(manifest, databases)]
    after = recovery_assets.sections(manifest, len(databases) + 4)
    after += recovery_images.sections(manifest, len(databases) + len(after) + 4)
    return "".join([*parts, *after, _last(manifest, len(databases) + len(after) + 4)]).encode()


def _of_kind(manifest: Manifest, kind: str, database: str | None = None) -> list[Artifact]:
    return [one for one in manifest.artifacts if one.kind == kind and database in (None, one.database)]


def _head(manifest: Manifest) -> str:
    inventory = _of_kind(manifest, INVENTORY)[0]
    return _HEAD.format(
        set_id=manifest.set_id,
        deployment=manifest.deployment,
        release=markdown(manifest.release or "of unknown release"),
        family=code(str(manifest.family)),
        snapshot=", ".join(f"{code(one.database)} at {timestamp(one.snapshot_time)}" for one in manifest.sources),
        major=max(one.server_version for one in manifest.sources) // 10000,
        recipients=", ".join(map(code, inventory.recipients)),
        variables=recovery_assets.variables(manifest),
        download=recovery_download.download(manifest),
        verify=recovery_download.verify(manifest),
        sums="\n".join(f"{one.sha256}  {one.path}" for one in manifest.artifacts if one.kind != RECOVERY),
        inventory=inventory.path,
        setting=_SETTING,
        role_settings=_array("value->'set'"),
    )


def _database(manifest: Manifest, database: str, number: int) -> str:
    return _DATABASE.format(
        number=number,
        database=code(database),
        name=_dbname(database),
        inventory=_of_kind(manifest, INVENTORY)[0].path,
        functions=row_code.FUNCTIONS,
        open_dump=_open(_of_kind(manifest, DUMP, database)[0]),
        open_schema=_open(_of_kind(manifest, SCHEMA, database)[0]),
        leaves="".join(_leaf(one, database) for one in _of_kind(manifest, LEAF, database)),
    )


def _tail(manifest: Manifest, databases: list[str]) -> str:
    return _TAIL.format(
        number=len(databases) + 3,
        inventory=_of_kind(manifest, INVENTORY)[0].path,
        setting=_SETTING,
        database_settings=_array("d #> '{settings,set}'"),
        database_acl=_array("d #> '{settings,acl}'"),
        analyze="\n".join(f"psql --no-psqlrc --quiet --dbname {_dbname(name)} --command ANALYZE" for name in databases),
    )


def _last(manifest: Manifest, number: int) -> str:
    left_out = "; ".join(markdown(f"{asset} ({reason})") for asset, reason in sorted(manifest.left_out.items()))
    return _LAST.format(number=number, left_out=left_out or "nothing was left out", services=_services(manifest))


def _services(manifest: Manifest) -> str:
    if not manifest.services:
        return ""
    lines = [
        f"| {markdown(one.service)} {markdown(one.replica)} | {markdown(one.image)} | `{one.digest}` | `{one.image_id}` |"
        for one in manifest.services
    ]
    return "\n".join([_SERVICES, *lines, ""])


def _dbname(database: str) -> str:
    """Return a plain name unchanged. libpq could parse other names as options or as a connection string, so they are quoted."""
    return database if _PLAIN.fullmatch(database) else shell(libpq.conninfo(database))


def _open(artifact: Artifact) -> str:
    return f'age --decrypt --identity "$IDENTITY" {artifact.path} | zstd --decompress --stdout'


def _leaf(artifact: Artifact, database: str) -> str:
    schema, _dot, table = (artifact.leaf or "").partition(".")
    quoted = ".".join('"' + part.replace('"', '""') + '"' for part in (schema, table))
    copy = shell(f"COPY {quoted} FROM STDIN")
    return f"{_open(artifact)} |\n  psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --dbname {_dbname(database)} --command {copy}\n"
