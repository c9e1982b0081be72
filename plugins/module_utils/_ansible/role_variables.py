# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role variable for a module option that an error names."""

from __future__ import annotations

import re

# The environment variable of a module with the role of its task.
ROLE = "CARACAL_OPS_ROLE"

_BACKUP, _RESTORE, _DRILL, _RETENTION = "caracal_backup", "caracal_restore", "caracal_drill", "caracal_retention"
_ARCHIVE, _REPOSITORY = "caracal_archive", "caracal_repository"

# Settings that several roles share, as `caracal_ops_<name>`. Most are options of modules.
SHARED = (
    "repository",
    "deployment",
    "allowed_signers",
    "high_water_mark",
    "revoked_keys",
    "timestamp_roots",
    "compose_project",
    "engine",
    "login_host",
    "login_port",
    "login_unix_socket",
    "login_user",
    "login_password_file",
    "ssl_mode",
    "ca_cert",
    "ssl_cert",
    "ssl_key",
    "lock_hold_max",
    "pg_bin",
    "jobs",
    "redis_host",
    "redis_port",
    "redis_unix_socket",
    "redis_username",
    "redis_password_file",
    "redis_tls",
    "redis_ca_cert",
    "redis_client_cert",
    "redis_client_key",
    "redis_db",
    "audit_hmac_key_files",
    "audit_retention_days",
    "audit_clock_skew_seconds",
    "schema_additions",
    "tail_budget",
    "report_dir",
)
# Options in messages, and the roles that have their own variable for it, `<role>_<option>`. An option that several modules of a
# role get from different variables, such as `recipients_files`, is not in the table.
VARIABLES: dict[str, tuple[str, ...]] = {
    "accept_missing_constraints": (_RESTORE,),
    "accept_vulnerable_clients": (_RESTORE,),
    "allow_same_recipients": (_BACKUP,),
    "allow_shared_filesystem": (_DRILL,),
    "break_glass_files": (_RETENTION,),
    "compare_days": (_ARCHIVE,),
    "copies_at_least": (_RETENTION,),
    "create_repository": (_BACKUP,),
    "effective_environment": (_RETENTION,),
    "effective_environment_file": (_RETENTION,),
    "environment_file": (_BACKUP, _RESTORE),
    "identity_files": (_RESTORE, _DRILL, _REPOSITORY),
    "keep_daily": (_REPOSITORY,),
    "keep_last": (_REPOSITORY,),
    "keep_within": (_REPOSITORY,),
    "left_out": (_BACKUP, _RESTORE, _RETENTION),
    "login_password_file": (_RESTORE,),
    "login_user": (_RESTORE,),
    "max_duration": (_BACKUP,),
    "metrics_file": (_BACKUP, _DRILL, _RETENTION, _ARCHIVE),
    "previous_kek": (_BACKUP,),
    "redis_server": (_DRILL,),
    "release_table": (_DRILL,),
    "retired_audit_keys": (_BACKUP,),
    "max_shrinkage": (_REPOSITORY,),
    "signing_key": (_BACKUP, _RESTORE, _DRILL, _ARCHIVE, _REPOSITORY),
    "timestamp_url": (_BACKUP,),
    "unisolated_reason": (_DRILL,),
}
_WORD = re.compile(r"(?<![\w.-])[a-z][a-z0-9]*(?:_[a-z0-9]+)+(?![\w.-]*\w)")


def variable(option: str, role: str) -> str:
    """Return the variable of this role for an option, or an empty string if there is none."""
    if role in VARIABLES.get(option, ()):
        return f"{role}_{option}"
    return f"caracal_ops_{option}" if option in SHARED else ""


def with_variables(message: str, role: str) -> str:
    """Return the message, followed by the variables of `role` that set the options in it. Without a role, return only the message."""
    named = [variable(name, role) for name in dict.fromkeys(_WORD.findall(message))] if role else []
    variables = [name for name in named if name and name not in message]
    return f"{message} (role {role}: {', '.join(variables)})" if variables else message
