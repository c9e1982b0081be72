# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: a set is verified, and all that its restore will change is looked at."""

from __future__ import annotations

import dataclasses

from .._ansible import argspec
from .._ansible.boundary import Invocation, complete
from .._assets.databases import pg_encrypted_restore, readiness
from .._errors import BackupError, VerificationFailed
from . import backup_set_verify, server_passwords, services_running
from .rehearsal import Look, Result, UseCase, before, earlier, refuse, rehearse

WHAT = "nothing can be restored"
OUTSIDE = ("sandbox",)
# By the kind of file of a bundle, the option that says where it belongs.
TARGETS = {"environment": "environment_file", "extra": "extra_directory", "retired": "retired_directory"}


def _secrets() -> UseCase:
    from .._assets.secrets import secrets_restore

    return secrets_restore


def _redis() -> UseCase:
    from .._assets.streams import redis_stream_restore

    return redis_stream_restore


def _replay() -> UseCase:
    from .._assets.replay import replay_volume_restore

    return replay_volume_restore


# In the order in which a restore comes to them.
LOOKS = {
    "services": Look(lambda: services_running, {}),
    # Who opens the secrets may be another than who opens the databases.
    "secrets": Look(
        _secrets,
        {"secrets": "key_ids", "safety_copy": "safety_copy", "not_restored": "not_restored", "other_secrets": "replaced"},
        optional=True,
        apart=("identity_files",),
        never=OUTSIDE,
    ),
    "dumps": Look(lambda: readiness, {"doubts": "checks"}),
    "databases": Look(
        lambda: pg_encrypted_restore,
        {"databases": "databases", "replaced": "replaced", "doubts": "checks"},
        found_by=("login_host", "login_unix_socket"),
    ),
    "redis": Look(_redis, {"redis": "streams"}, optional=True, never=OUTSIDE),
    "replay": Look(_replay, {"replay": "volumes"}, optional=True, never=OUTSIDE),
}
# By the service of a platform that does not run yet, what cannot be looked at before it does.
WAITING = {"postgres": "databases", "redis": "redis", "replayVolumeInit": "replay"}


def argument_spec() -> argspec.ArgumentSpec:
    own = argspec.ArgumentSpec(
        {
            "release": {"type": "str"},
            "confirm": {"type": "list", "elements": "str", "default": []},
            "jobs": {"type": "int", "default": 2},
            "accept_vulnerable_clients": {"type": "list", "elements": "str", "default": []},
            "secrets": {"type": "dict", "no_log": False},
            "replay": {"type": "dict"},
            "redis": {"type": "dict"},
            "earlier": earlier(),
            "running": {"type": "list", "elements": "str", "default": []},
            "stopped": {"type": "list", "elements": "str", "choices": list(WAITING), "default": []},
        }
    )
    shared = (argspec.stored_set(), argspec.signing(required=True), argspec.identities(), argspec.postgres())
    return argspec.repository().merge(*shared, own)


def run(invocation: Invocation) -> Result:
    """What a restore would do. Raises VerificationFailed for a set that is not what was signed, else as `rehearse` does."""
    try:
        verified = _verified(invocation)
    except BackupError as exc:
        refuse([*before(invocation.options), ("repository", exc)], WHAT)
        raise
    # From here on it is this set, however old, and whatever is committed meanwhile.
    given = {**invocation.options, "set_id": verified["set_id"], "max_age": None}
    nothing: Result = {"secrets": {}, "safety_copy": None, "not_restored": [], "databases": [], "replaced": [], "replay": [], "redis": []}
    waiting = [WAITING[one] for one in given["stopped"]]
    looks = {name: look for name, look in LOOKS.items() if name not in (waiting if "databases" in waiting else [*waiting, "dumps"])}
    found = {**nothing, **rehearse(dataclasses.replace(invocation, options=given), argument_spec(), looks, WHAT)}
    server_passwords.refuse_others(given, found.pop("other_secrets", []), waiting)
    for kind, option in TARGETS.items():
        if names := [name for name in found["not_restored"] if name.startswith(f"{kind}/")]:
            invocation.warn(f"{', '.join(names)} of the set will not be restored; to have them back, name {option} for the secrets")
    checks = [*verified["checks"], *found.pop("doubts")]
    named = {one: verified[one] for one in ("set_id", "set_facts", "journal_head")}
    return {"changed": False, **named, **found, "waiting": waiting, "checks": checks}


def _verified(invocation: Invocation) -> Result:
    """A set whose age or signers nobody can judge is restored all the same, when there is no better one: its checks say so."""
    spec = backup_set_verify.argument_spec()
    shared = {name: value for name, value in invocation.options.items() if name in spec.argument_spec and value is not None}
    found = backup_set_verify.run(dataclasses.replace(invocation, options=complete(spec, {**shared, "require_valid": False})))
    if backup_set_verify.is_broken(found):
        raise VerificationFailed(found["msg"], set_id=found["set_id"], checks=found["checks"])
    return found
