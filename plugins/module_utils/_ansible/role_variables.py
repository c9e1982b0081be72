# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which variable a role's operator sets, where an error names the option of a module."""

from __future__ import annotations

import re

# In the environment of a module: the role whose task it is.
ROLE = "CARACAL_OPS_ROLE"

_BACKUP, _RESTORE, _DRILL, _RETENTION = "caracal_backup", "caracal_restore", "caracal_drill", "caracal_retention"
_ARCHIVE, _REPOSITORY = "caracal_archive", "caracal_repository"
_SETUP = "caracal_setup"
_ALL = (_BACKUP, _RESTORE, _DRILL, _RETENTION, _ARCHIVE, _REPOSITORY)
_DATABASE = (_BACKUP, _RESTORE, _RETENTION, _ARCHIVE)
_REDIS = (_BACKUP, _RESTORE, _RETENTION)

# Options that messages name, and the roles whose variable bears the role's name and theirs. What several modules of a role take from
# different variables, such as `recipients_files`, is not among them.
VARIABLES: dict[str, tuple[str, ...]] = {
    "accept_missing_constraints": (_RESTORE,),
    "accept_vulnerable_clients": (_RESTORE,),
    "allow_same_recipients": (_BACKUP,),
    "allow_shared_filesystem": (_DRILL,),
    "allowed_signers": (*_ALL, _SETUP),
    "audit_hmac_key_files": (_BACKUP, _RESTORE, _DRILL, _ARCHIVE),
    "break_glass_files": (_RETENTION,),
    "ca_cert": _DATABASE,
    "compare_days": (_ARCHIVE,),
    "copies_at_least": (_RETENTION,),
    "create_repository": (_BACKUP,),
    "effective_environment": (_RETENTION,),
    "effective_environment_file": (_RETENTION,),
    "environment_file": (_BACKUP, _RESTORE),
    "high_water_mark": (*_ALL, _SETUP),
    "identity_files": (_RESTORE, _DRILL, _REPOSITORY),
    "keep_daily": (_REPOSITORY,),
    "keep_last": (_REPOSITORY,),
    "keep_within": (_REPOSITORY,),
    "left_out": (_BACKUP, _RESTORE, _RETENTION),
    "lock_hold_max": (_BACKUP, _ARCHIVE),
    "login_host": _DATABASE,
    "login_password_file": (*_DATABASE, _SETUP),
    "login_port": _DATABASE,
    "login_unix_socket": (*_DATABASE, _SETUP),
    "login_user": (*_DATABASE, _SETUP),
    "max_duration": (_BACKUP,),
    "metrics_file": (_BACKUP, _DRILL, _RETENTION, _ARCHIVE),
    "pg_bin": (_BACKUP, _RESTORE, _DRILL),
    "previous_kek": (_BACKUP,),
    "redis_ca_cert": _REDIS,
    "redis_client_cert": _REDIS,
    "redis_client_key": _REDIS,
    "redis_host": _REDIS,
    "redis_password_file": _REDIS,
    "redis_port": _REDIS,
    "redis_server": (_DRILL,),
    "redis_tls": _REDIS,
    "redis_username": _REDIS,
    "release_table": (_DRILL,),
    "retired_audit_keys": (_BACKUP,),
    "revoked_keys": _ALL,
    "schema_additions": (_RESTORE, _DRILL),
    "shrink_max": (_REPOSITORY,),
    "signing_key": (_BACKUP, _RESTORE, _DRILL, _ARCHIVE, _REPOSITORY),
    "ssl_cert": _DATABASE,
    "ssl_key": _DATABASE,
    "ssl_mode": _DATABASE,
    "timestamp_roots": (_BACKUP, _REPOSITORY),
    "timestamp_url": (_BACKUP,),
    "unisolated_reason": (_DRILL,),
}
_WORD = re.compile(r"(?<![\w.-])[a-z][a-z0-9]*(?:_[a-z0-9]+)+(?![\w.-]*\w)")


def told(message: str, role: str) -> str:
    """The message, and after it the variables of `role` that stand for the options that it names."""
    named = [name for name in dict.fromkeys(_WORD.findall(message)) if role in VARIABLES.get(name, ())]
    variables = [f"{role}_{name}" for name in named if f"{role}_{name}" not in message]
    return f"{message} (role {role}: {', '.join(variables)})" if variables else message
