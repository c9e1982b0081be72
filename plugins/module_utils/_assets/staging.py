# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Add the files that a host without access to the repository has staged to the open set.

That host is trusted less than this one. Its stage may contain only encrypted replay archives of this set. The stored bytes are
exactly the verified ones.
"""

from __future__ import annotations

import hashlib
import re
import typing as t

from .._crypto import strict_json
from .._crypto.signing import Signer
from .._errors import KeyProblem, ObjectExists, OptionError, TamperedData
from .._report.check import FAIL
from .._repository import artifact as artifacts
from .._repository import layout as keys
from .._repository import objects, parts
from .._repository.artifact import Artifact
from .._storage.base import Store
from .._storage.schemes import open_store

FIELDS = {"artifacts", "result", "left_out", "files"}
SEEN = {"size", "sha256", "seen", "mtime_ns"}
TEXT_LIMIT = 1000
_NAME = re.compile(r"replay\.((?:sts|gateway)(?:-[A-Za-z0-9][A-Za-z0-9_-]{0,62})?)\.([12])\Z")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}\Z")
_ELSE = "remove the stage and create a new set"


class Stage:
    """A verified stage, with `artifacts` by path and `parts` by name. Raises TamperedData, KeyProblem, OptionError."""

    def __init__(self, path: str, set_id: str, signer: Signer) -> None:
        self._signer = signer
        self._store = open_store(path)
        self._set_id = set_id
        self.parts = parts.read_unsigned(self._store, set_id)
        if not self.parts:
            raise OptionError(f"{path} contains nothing of set {set_id}; run replay_volume_archive with this set_id and stage first")
        self.artifacts: dict[str, Artifact] = {}
        for name, part in self.parts.items():
            for one in self._named(name, part):
                self.artifacts[one.path] = one
        known = {*self.artifacts, *(keys.part_key(set_id, name) for name in self.parts)}
        unknown = sorted({one.key for one in self._store.list("")} - known)
        if unknown:
            raise TamperedData(f"{path}/{unknown[0]} is not in any part of set {set_id}; {_ELSE}")
        bad = [one for one in objects.verify(self._store, list(self.artifacts.values())) if one.verdict == FAIL]
        if bad:
            raise TamperedData(bad[0].message)

    def _named(self, name: str, part: t.Mapping[str, object]) -> list[Artifact]:
        where = f"{self._store.location}/{keys.part_key(self._set_id, name)}"
        named = _NAME.match(name)
        listed = part.get("artifacts")
        if not named or not isinstance(listed, list) or not _is_part(part, named[1]):
            raise TamperedData(f"{where} is not a part from replay_volume_archive; {_ELSE}")
        archive = keys.replay_key(self._set_id, named[1], int(named[2]))
        right = {artifacts.REPLAY: archive, artifacts.DETAILS: keys.details_key(archive)}
        found = [artifacts.parse(one, where, self._set_id) for one in listed]
        for one in found:
            if one.path != right.get(one.kind) or one.source != named[1]:
                raise TamperedData(f"{self._store.location}/{one.path} is not an encrypted replay archive of {named[1]}; {_ELSE}")
            self._check(one)
        return found

    def _check(self, one: Artifact) -> None:
        others = (one.database, one.leaf, one.shared_from)
        if others != (None, None, None) or not one.recipients or not all(map(_FINGERPRINT.match, one.recipients)):
            raise TamperedData(f"{self._store.location}/{one.path} is not an encrypted replay archive; {_ELSE}")
        if one.kind == artifacts.DETAILS and one.size > strict_json.SIZE_LIMIT:
            raise TamperedData(f"{self._store.location}/{one.path} is larger than the limit of an inventory; {_ELSE}")
        if self._signer.fingerprint in one.recipients:
            raise KeyProblem(f"{one.path} is encrypted for the signing key, so this host could decrypt it; encrypt it for another key pair")

    def missing_in(self, store: Store) -> tuple[list[Artifact], list[str]]:
        """Return the artifacts and names of parts that `store` lacks. Raise ObjectExists if it has different ones."""
        new = [one for one in self.artifacts.values() if store.stat(one.path) is None]
        there = [one for one in self.artifacts.values() if one not in new]
        bad = [one for one in objects.verify(store, there) if one.verdict == FAIL]
        if bad:
            raise ObjectExists(
                f"{bad[0].message.partition(';')[0]}, compared with the stage; abort set {self._set_id} and create a new one"
            )
        taken = parts.read(store, self._set_id, self._signer)
        for name, part in self.parts.items():
            if taken.get(name, part) != part:
                raise ObjectExists(f"set {self._set_id} already has a different part {name}; abort the set and create a new one")
        return new, [name for name in self.parts if name not in taken]

    def copy(self, new: t.Sequence[Artifact], names: t.Sequence[str], store: Store) -> None:
        """Copy the artifacts, then the parts, since a part makes its artifacts belong to the set."""
        for one in new:
            digest = hashlib.sha256()
            with self._store.open(one.path) as source, store.writer(one.path.rpartition("/")[0], one.path) as out:
                while data := source.read(objects.CHUNK):
                    digest.update(data)
                    out.write(data)
                if digest.hexdigest() != one.sha256:
                    raise TamperedData(f"{self._store.location}/{one.path} changed while it was copied; {_ELSE}")
                out.publish(one.path)
        for name in names:
            parts.write(store, self._set_id, name, self.parts[name], self._signer)


def _is_part(part: t.Mapping[str, object], source: str) -> bool:
    """Return True if every value except the artifacts has the right type.

    Texts appear in messages and RECOVERY.md, so they must be one printable line.
    """
    result, left_out, files = (part.get(name, {}) for name in ("result", "left_out", "files"))
    return (
        not part.keys() - FIELDS
        and isinstance(result, dict)
        and isinstance(left_out, dict)
        and all(_is_plain(value) for one in (result, left_out) for value in one.values())
        and left_out.keys() <= {f"replay of {source}"}
        and all(isinstance(one, str) for one in left_out.values())
        and isinstance(files, dict)
        and all(isinstance(one, dict) and one.keys() == SEEN and all(map(_is_plain, one.values())) for one in files.values())
    )


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, int) or (isinstance(value, str) and len(value) <= TEXT_LIMIT and value.isprintable())
