# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Argument specs that merge the way the doc fragments do: one function a concern, one fragment each."""

from __future__ import annotations

import dataclasses
import typing as t


@dataclasses.dataclass(frozen=True)
class ArgumentSpec:
    """What `AnsibleModule` takes, in parts that can be put together with `merge`."""

    argument_spec: dict[str, dict[str, t.Any]] = dataclasses.field(default_factory=dict)
    mutually_exclusive: list[tuple[str, ...]] = dataclasses.field(default_factory=list)
    required_together: list[tuple[str, ...]] = dataclasses.field(default_factory=list)
    required_one_of: list[tuple[str, ...]] = dataclasses.field(default_factory=list)
    required_if: list[tuple[t.Any, ...]] = dataclasses.field(default_factory=list)

    def merge(self, *others: ArgumentSpec) -> ArgumentSpec:
        """A new spec with the options and rules of all; the same option twice is a programming error."""
        merged = ArgumentSpec(dict(self.argument_spec), *(list(getattr(self, name)) for name in _RULES))
        for other in others:
            twice = merged.argument_spec.keys() & other.argument_spec.keys()
            if twice:
                raise ValueError(f"options given twice: {sorted(twice)}")
            merged.argument_spec.update(other.argument_spec)
            for name in _RULES:
                getattr(merged, name).extend(getattr(other, name))
        return merged

    def to_module(self) -> dict[str, t.Any]:
        """Keyword arguments of `AnsibleModule`."""
        return {"argument_spec": self.argument_spec, **{name: getattr(self, name) for name in _RULES}}


_RULES = ("mutually_exclusive", "required_together", "required_one_of", "required_if")


def repository(required: bool = True) -> ArgumentSpec:
    """Fragment `_repository`: where sets live and whom we believe. Where it may be left out, it is left out as a whole."""
    together = ("repository", "deployment", "allowed_signers", "high_water_mark")
    return ArgumentSpec(
        {
            "repository": {"type": "str", "required": required},
            "deployment": {"type": "str", "required": required},
            "allowed_signers": {"type": "path", "required": required},
            "revoked_keys": {"type": "path", "no_log": False},
            "high_water_mark": {"type": "path", "required": required},
            **_bucket(),
        },
        required_together=[] if required else [together],
    )


def _bucket() -> dict[str, dict[str, t.Any]]:
    """How to reach a bucket, and how long what is written there is locked."""
    return {
        "s3_endpoint": {"type": "str"},
        "s3_region": {"type": "str"},
        "s3_path_style": {"type": "bool", "default": False},
        "s3_plain_http": {"type": "bool", "default": False},
        "s3_ca_bundle": {"type": "path"},
        "s3_profile": {"type": "str"},
        "s3_credentials_file": {"type": "path", "no_log": False},
        "s3_role_arn": {"type": "str"},
        "lock_mode": {"type": "str", "default": "none", "choices": ["none", "GOVERNANCE", "COMPLIANCE"]},
        "lock_days": {"type": "dict", "default": {}},
        "lock_days_max": {"type": "int", "default": 400},
        "lock_probe": {"type": "bool", "default": False},
    }


def open_set() -> ArgumentSpec:
    """Fragment `_open_set`: the set that a module adds artifacts to."""
    return ArgumentSpec({"set_id": {"type": "str", "required": True}, "create_repository": {"type": "bool", "default": False}})


def stored_set() -> ArgumentSpec:
    """Fragment `_stored_set`: the committed set that a module reads."""
    return ArgumentSpec({"set_id": {"type": "str", "default": "latest"}, "max_age": {"type": "int"}})


def reading() -> ArgumentSpec:
    """Fragment `_reading`: before the snapshot, or after it."""
    return ArgumentSpec({"reading": {"type": "int", "choices": [1, 2], "required": True}})


def sandbox() -> ArgumentSpec:
    """Fragment `_sandbox`: a copy that a drill has made, instead of a server of fragment `_postgres`."""
    return ArgumentSpec({"sandbox": {"type": "path"}}, mutually_exclusive=[("sandbox", "login_host"), ("sandbox", "login_unix_socket")])


def signing(required: bool = False) -> ArgumentSpec:
    """Fragment `_signing`: the key that signs."""
    return ArgumentSpec({"signing_key": {"type": "path", "required": required, "no_log": False}})


def recorded(required: bool = True) -> ArgumentSpec:
    """Fragment `_recorded`: a restore that is entered into the journal, or goes into a sandbox."""
    return signing().merge(
        ArgumentSpec({"sandbox": {"type": "path"}}, required_one_of=[("sandbox", "signing_key")] if required else []),
    )


def postgres() -> ArgumentSpec:
    """Fragment `_postgres`: a server, named as community.postgresql names it."""
    return ArgumentSpec(
        {
            "login_host": {"type": "str", "default": ""},
            "login_port": {"type": "int", "default": 5432},
            "login_user": {"type": "str", "default": "caracal"},
            "login_password_file": {"type": "path", "no_log": False},
            "login_unix_socket": {"type": "str", "default": ""},
            "ssl_mode": {
                "type": "str",
                "default": "prefer",
                "choices": ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
            },
            "ca_cert": {"type": "path"},
            "ssl_cert": {"type": "path"},
            "ssl_key": {"type": "path", "no_log": False},
            "pg_bin": {"type": "path"},
        },
        mutually_exclusive=[("login_host", "login_unix_socket")],
    )


def dump() -> ArgumentSpec:
    """Fragment `_dump`: what is dumped, and how gently."""
    return ArgumentSpec(
        {
            "databases": {"type": "list", "elements": "str", "default": []},
            "jobs": {"type": "int", "default": 2},
            "lock_hold_max": {"type": "int", "default": 60},
            "max_duration": {"type": "int"},
        }
    )


def redis() -> ArgumentSpec:
    """Fragment `_redis`: a Redis and a login."""
    return ArgumentSpec(
        {
            "redis_host": {"type": "str", "default": "127.0.0.1"},
            "redis_port": {"type": "int", "default": 6379},
            "redis_unix_socket": {"type": "path"},
            "redis_username": {"type": "str"},
            "redis_password_file": {"type": "path", "no_log": False},
            "redis_tls": {"type": "bool", "default": False},
            "redis_ca_cert": {"type": "path"},
            "redis_client_cert": {"type": "path"},
            "redis_client_key": {"type": "path", "no_log": False},
            "redis_db": {"type": "int", "default": 0},
        }
    )


def recipients() -> ArgumentSpec:
    """Fragment `_recipients`: whom artifacts are sealed to."""
    return ArgumentSpec(
        {
            "recipients": {"type": "list", "elements": "str", "default": []},
            "recipients_files": {"type": "list", "elements": "path", "default": []},
        }
    )


def services() -> ArgumentSpec:
    """Fragment `_services`: what runs as services, as `deployment_info` finds it."""
    service = {
        **{name: {"type": "str", "required": True} for name in ("service", "replica", "image", "digest", "image_id")},
        "command": {"type": "list", "elements": "str", "default": []},
        "working_directory": {"type": "str", "default": "/"},
    }
    return ArgumentSpec({"services": {"type": "list", "elements": "dict", "default": [], "options": service}})


def identities(required: bool = True) -> ArgumentSpec:
    """Fragment `_identities`: who opens artifacts."""
    return ArgumentSpec({"identity_files": {"type": "list", "elements": "path", "required": required, "no_log": False}})


def archive() -> ArgumentSpec:
    """Fragment `_archive`: where archived exports lie."""
    return ArgumentSpec({"archive": {"type": "str"}})


def engine() -> ArgumentSpec:
    """Fragment `_engine`: a container engine that is asked."""
    return ArgumentSpec({"engine": {"type": "str"}})


def export_source() -> ArgumentSpec:
    """Fragment `_export_source`: where the audit service writes its exports, with a login of its own."""
    connection = {f"source_{name}": about for name, about in _bucket().items() if name.startswith("s3_")}
    return ArgumentSpec({"source": {"type": "str", "required": True}, **connection})


def audit_chains() -> ArgumentSpec:
    """Fragment `_audit_chains`: how audit chains are verified."""
    return ArgumentSpec(
        {
            "audit_hmac_key_files": {"type": "list", "elements": "path", "default": [], "no_log": False},
            "lock_hold_max": {"type": "int", "default": 60},
        }
    )


def judged_report() -> ArgumentSpec:
    """Fragment `_judged_report`: waivers of a report, where it goes on this host, and whether its verdict fails the task."""
    waiver = {name: {"type": "str", "required": True} for name in ("check", "reason", "expires")}
    return ArgumentSpec(
        {
            "waivers": {"type": "list", "elements": "dict", "default": [], "options": waiver},
            "report_dir": {"type": "path"},
            "require_valid": {"type": "bool", "default": True},
        }
    )
