# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Collect the secrets in the options of `secrets_bundle`, with the same checks as the product."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ..._caracal import secrets
from ..._caracal.chains import chain_keys, pairing
from ..._caracal.keys import kek
from ..._caracal.releases import ZONE_KEK
from ..._drivers.secrets import bundle, files
from ..._drivers.secrets.files import File
from ..._errors import OptionError
from ..._options.declared import Options, Path, Word

BACKEND = "CARACAL_SECRET_BACKEND"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceOptions(Options):
    """The sources of the secrets: a directory, or single files by name, and additional files."""

    directory: Path | None = None
    files: t.Mapping[str, object] = dataclasses.field(default_factory=dict)
    environment_file: Path | None = None
    extra_files: tuple[Path, ...] = ()
    retired_audit_keys: tuple[Path, ...] = ()
    previous_kek: Path | None = None
    secret_backend: Word | None = None


@dataclasses.dataclass(frozen=True)
class Collected:
    """The collected secrets.

    `files` are sorted by name. `keys` are the keys with their public IDs. `backend` is where the product stores values.
    `overrides` are warnings about secrets that are in the set but not in use.
    """

    files: tuple[File, ...]
    family: str
    keys: secrets.Keys
    backend: str
    overrides: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        return [one.name for one in self.files]

    @property
    def state_key(self) -> bytes:
        return bundle.state_key(self.keys.keks[0].secret, self.keys.audit[0].secret)


def collect(given: SourceOptions) -> Collected:
    """Read every file once. Raises OptionError, KeyProblem."""
    others = [files.named(bundle.ENVIRONMENT, given.environment_file)] if given.environment_file else []
    settings = files.settings(others[0].content) if others else {}
    backend = str(given.secret_backend or settings.get(BACKEND) or pairing.BUILTIN)
    others += [files.named(f"{bundle.EXTRA}/{os.path.basename(path)}", path) for path in given.extra_files]
    others += [files.named(bundle.RETIRED.format(number=number), path) for number, path in enumerate(given.retired_audit_keys, 1)]
    others += [files.named(bundle.PREVIOUS, given.previous_kek)] if given.previous_kek else []
    found = files.together([*_secrets(given), *others])
    family = secrets.family(_named(found))
    overrides = _overrides(settings, given.environment_file, _named(found))
    return Collected(tuple(found), family, keys_of(family, found), backend, tuple(overrides))


def _overrides(settings: t.Mapping[str, str], place: str | None, named: t.Mapping[str, File]) -> list[str]:
    """Return warnings about secrets that are both in the environment and in a file. Values are compared but not shown."""
    found = []
    for name in sorted(named):
        value = settings.get(secrets.variable(name))
        if value:
            same = named[name].content.decode("utf-8", "replace").rstrip() == value
            words = "currently with the same value" if same else "with another value, so the value in the file is not in use"
            found.append(
                f"{place} sets {secrets.variable(name)}, which overrides the file {name}, {words}; keep the value only in the file"
            )
    return found


def keys_of(family: str, found: t.Sequence[File]) -> secrets.Keys:
    """Return the keys in use, and earlier keys that rows still need. Raise OptionError for keys that the product would refuse."""
    named = _named(found)
    keys = secrets.keys(family, {name: one.content for name, one in named.items()}, {name: one.place for name, one in named.items()})
    keks, audit, ids = list(keys.keks), list(keys.audit), dict(keys.ids)
    for one in found:
        text = one.content.decode("ascii", "replace")
        if one.name == bundle.PREVIOUS:
            if "kek_previous" in ids or family == ZONE_KEK:
                raise OptionError(
                    "previous_kek is set, but the secrets already contain a previous KEK, or their release has none; remove it"
                )
            keks.append(kek.parse_file(text, one.place))
            ids["kek_previous"] = keks[-1].id
        elif one.name.startswith(bundle.RETIRED_FOLDER):
            audit.append(chain_keys.parse_file(text, one.place))
            ids[f"audit_hmac_key_retired.{len(audit) - 1}"] = audit[-1].id
    return secrets.Keys(tuple(keks), tuple(audit), ids)


def _named(found: t.Sequence[File]) -> dict[str, File]:
    """Return the secrets by the product's names."""
    prefix = f"{bundle.SECRETS}/"
    return {one.name.removeprefix(prefix): one for one in found if one.name.startswith(prefix)}


def _secrets(given: SourceOptions) -> list[File]:
    if not given.directory and not given.files:
        raise OptionError("no source of secrets is configured; set directory or files")
    read = list[File]()
    if given.directory:
        read = files.directory(given.directory, bundle.SECRETS)
        read += files.empty_folders(given.directory, secrets.FOLDERS, bundle.FOLDERS, read)
    for name, path in given.files.items():
        if not isinstance(path, str) or not os.path.isabs(path):
            raise OptionError(f"files[{name!a}] is not an absolute path; write the value to a file in memory (tmpfs) and use its path")
        read.append(files.named(f"{bundle.SECRETS}/{name}", path))
    return read
