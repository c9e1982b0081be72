# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Use case of the module of the same name: all that a backup will read and write is looked at, and all that is wrong is said at once.

It looks by the very use cases that make the set, each as in check mode, so it can neither pass what they refuse nor refuse what they do.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .._ansible import argspec
from .._ansible.boundary import Invocation, complete
from .._assets.databases import pg_encrypted_dump
from .._assets.replay import replay_volume_archive
from .._assets.secrets import pairing, secrets_bundle, secrets_sources
from .._assets.streams import redis_stream_snapshot
from .._errors import BackupError, NotReady, OptionError
from .._evidence import metrics, options
from .._repository import layout as keys
from . import backup_set

Result = dict[str, t.Any]


class SetUseCase(t.Protocol):
    """One that works for a set: in check mode it looks at all that it would need."""

    def argument_spec(self) -> argspec.ArgumentSpec: ...

    def run(self, invocation: Invocation) -> Result: ...


# In the order in which a backup comes to them.
LOOKS: dict[str, SetUseCase] = {
    "repository": backup_set,
    "databases": pg_encrypted_dump,
    "secrets": secrets_bundle,
    "replay": replay_volume_archive,
    "redis": redis_stream_snapshot,
}
# What a deployment may lack. The option of this name has the options of its use case.
OPTIONAL = ("secrets", "replay", "redis")
# Where each look's part of the result comes from.
KEPT = {
    "repository": {"journal_head": "journal_head"},
    "databases": {"databases": "databases", "left_out": "left_out", "checks": "checks"},
    "secrets": {"secrets": "key_ids"},
    "replay": {"replay": "volumes"},
    "redis": {"redis": "streams"},
}
RECIPIENTS = ("recipients", "recipients_files")


def argument_spec() -> argspec.ArgumentSpec:
    own = argspec.ArgumentSpec(
        {
            "create_repository": {"type": "bool", "default": False},
            "secrets": {"type": "dict", "no_log": False},
            "replay": {"type": "dict"},
            "redis": {"type": "dict"},
        }
    )
    shared = (argspec.recipients(), argspec.postgres(), argspec.dump(), metrics.own_options())
    return argspec.repository().merge(argspec.signing(required=True), *shared, own)


def run(invocation: Invocation) -> Result:
    """What a backup would find, under the id of a set that is not open yet. Raises what the one look raised that failed, else NotReady."""
    given = {**invocation.options, "set_id": keys.new_set_id(options.now(), os.urandom(5))}
    trial = dataclasses.replace(invocation, check_mode=True)
    result: Result = {
        "changed": False,
        "set_id": given["set_id"],
        "journal_head": "",
        "secrets": {},
        "pairing": None,
        "replay": [],
        "redis": [],
    }
    problems: dict[str, tuple[str, BackupError]] = {}
    for name, use_case in LOOKS.items():
        if name in OPTIONAL and given[name] is None:
            continue
        try:
            found = use_case.run(dataclasses.replace(trial, options=_options(name, use_case.argument_spec(), given)))
        except BackupError as exc:
            # What several of them need fails each of them with the same words.
            problems.setdefault(exc.msg, (name, exc))
        else:
            result.update({mine: found[theirs] for mine, theirs in KEPT[name].items() if theirs in found})
    if given["secrets"] is not None and not problems:
        result["pairing"] = _paired(given)
    _refuse(list(problems.values()))
    return result


def _paired(given: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Whether the secrets open the database: the second reading proves it for the set, but after the dump. Raises KeyProblem."""
    named = _options("secrets", secrets_bundle.argument_spec(), given)
    found = secrets_sources.collect(named)
    return pairing.beforehand(named, found.family, found.keys, found.backend)


def _options(name: str, spec: argspec.ArgumentSpec, given: t.Mapping[str, t.Any]) -> Result:
    """What all share, then what was given for this asset alone. Raises OptionError."""
    mine = argument_spec().argument_spec
    shared = {one: given[one] for one in spec.argument_spec if one in given and given[one] != mine.get(one, {}).get("default")}
    if name == "repository":
        shared["state"] = "open"
    if name not in OPTIONAL:
        return complete(spec, shared)
    shared["reading"] = 1
    names = spec.argument_spec.keys() - mine.keys() - {"set_id", "reading", "stage"}
    if name == "secrets":
        # Who opens them is named apart from who opens the databases.
        shared.update({f"database_{one}": shared.pop(one) for one in RECIPIENTS if one in shared})
        names = {*names, *RECIPIENTS} - {f"database_{one}" for one in RECIPIENTS}
    own = {one: value for one, value in given[name].items() if value is not None}
    foreign = sorted(own.keys() - names)
    if foreign:
        raise OptionError(f"{name} has {foreign[0]}, which is no option of this asset alone; remove it")
    return complete(spec, {**shared, **own})


def _refuse(problems: t.Sequence[tuple[str, BackupError]]) -> None:
    if not problems:
        return
    if len(problems) == 1:
        raise problems[0][1]
    listed = [{"asset": name, "error": type(exc).__name__, "msg": exc.msg} for name, exc in problems]
    words = "; ".join(f"({number}) {exc.msg}" for number, (_name, exc) in enumerate(problems, 1))
    raise NotReady(f"no backup can be made, for {len(problems)} reasons: {words}", problems=listed)
