# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sections of RECOVERY.md about assets other than databases: secrets, replay files, Redis streams.

The commands write files to `$RESTORED`, an empty directory. Only Redis is restored directly.
"""

from __future__ import annotations

import typing as t

from .._repository.artifact import IMAGE, REDIS, REPLAY, SECRETS, Artifact
from .._repository.manifest import Manifest
from .recovery_quoting import code

_SECRETS = """
## {number}. Runtime secrets

{both}Copy `secrets/` to the directory from which Caracal reads its secrets (directory 0700, files 0444), before any service starts.
Caracal silently creates a new key for every missing file. `index.json` describes each file. If there are files in `folders/`, each
one stands for a directory in `secrets/` that was empty (0755): create it too.

```sh
test -r "$SECRETS_IDENTITY"
test -d "$RESTORED"
mkdir --mode 0700 {folders}
{commands}
```
"""

_REPLAY = """
## {number}. Replay files of STS and Gateway

Stop the service that owns the directory. Move the files to its `audit-replay` without replacing any (`mv --no-clobber`), owner
65532, mode 0600. Files in `incomplete/` end with an incomplete line, which the service would silently drop, so keep them elsewhere.

```sh
test -d "$RESTORED"
mkdir --parents {folders}
{commands}
```
"""

_REDIS = """
## {number}. Redis streams

Restore into an **empty** Redis 7.0 or newer, before any service starts.

```sh
test -n "$REDIS_URL"
test "$(redis-cli -u "$REDIS_URL" --no-auth-warning DBSIZE)" = 0
{commands}
```
"""


_IN_CLEAR = {SECRETS, REPLAY, IMAGE}


def sections(manifest: Manifest, first: int) -> list[str]:
    """Return the sections for the set's artifacts, numbered from `first`."""
    made: list[str] = []
    for kind, render in ((SECRETS, _secrets), (REPLAY, _replay), (REDIS, _redis)):
        found = [one for one in manifest.artifacts if one.kind == kind]
        if found:
            made.append(render(found, first + len(made)))
    return made


def variables(manifest: Manifest) -> str:
    """Return the rows of the table of variables that the sections of this set use."""
    sealed = {one.kind: ", ".join(map(code, one.recipients)) for one in manifest.artifacts}
    rows = [
        ("SECRETS_IDENTITY", f"an age identity of one of: {sealed.get(SECRETS)}", SECRETS in sealed),
        ("RESTORED", "an empty directory on a tmpfs or an encrypted disk, for decrypted files", bool(sealed.keys() & _IN_CLEAR)),
        ("REDIS_URL", "`redis://user@host:port/0` of an empty Redis; set its password in `REDISCLI_AUTH`", REDIS in sealed),
    ]
    return "".join(f"| `{name}` | {meaning} |\n" for name, meaning, used in rows if used)


def _unpacked(artifact: Artifact, identity: str, folder: str) -> str:
    return f'unpack "${identity}" {artifact.path} {folder}'


def _secrets(found: t.Sequence[Artifact], number: int) -> str:
    folders = [f'"$RESTORED"/secrets-{reading}' for reading in range(1, len(found) + 1)]
    both = "The secrets changed during the backup. The second directory is the newer state; rows can need the keys of both. "
    return _SECRETS.format(
        number=number,
        both=both if len(found) > 1 else "",
        folders=" ".join(folders),
        commands="\n".join(_unpacked(one, "SECRETS_IDENTITY", folder) for one, folder in zip(found, folders, strict=True)),
    )


def _replay(found: t.Sequence[Artifact], number: int) -> str:
    """Return the section about replay files. Reading 2 is extracted over reading 1, so files that grew replace their shorter versions."""
    folders = {one.path: f'"$RESTORED"/replay/{_source(one)}' for one in found}
    return _REPLAY.format(
        number=number,
        folders=" ".join(dict.fromkeys(folders.values())),
        commands="\n".join(_unpacked(one, "IDENTITY", folders[one.path]) for one in sorted(found, key=lambda one: one.path)),
    )


def _source(artifact: Artifact) -> str:
    """Return the source from the path. The field with that name may contain any text, but the source becomes a directory."""
    return artifact.path.rpartition("/")[2].removesuffix(".tar.zst.age").rpartition(".")[0]


def _redis(found: t.Sequence[Artifact], number: int) -> str:
    pipe = 'zstd --decompress --stdout |\n  redis-cli -u "$REDIS_URL" --no-auth-warning --pipe'
    opened = [f'age --decrypt --identity "$IDENTITY" {one.path} |\n  {pipe}' for one in sorted(found, key=lambda one: one.path)]
    return _REDIS.format(number=number, commands="\n".join(opened))
