# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare the copy with the signed inventory, and list what a restore loses.

This runs before services start, since they change the copy within seconds.
"""

from __future__ import annotations

import typing as t

from ..._errors import BackupError
from ..._options.shared import PostgresOptions
from .step import Made, Step, Work

if t.TYPE_CHECKING:
    from ..._report.extent import RollbackCategory


class State(Step):
    name = "state"
    needs = ("restore",)

    def take(self, work: Work) -> Made:
        from ..._checks import state_verify

        # The step `evidence` reads the audit rows and makes all checks of them.
        given = work.given
        options = state_verify.Options(
            access=given.access,
            stored=work.stored,
            identity_files=given.identities,
            copy=work.copy,
            audit_rows=False,
            shrink_budget=given.shrink_budget,
            jobs=given.jobs,
            require_valid=False,
        )
        checks = work.call(state_verify.run, options)["checks"]
        return Made(checks, kept={"rollback": _rollback(work)})


def _rollback(work: Work) -> list[RollbackCategory] | None:
    """Return what a restore loses, or None if it could not be listed. The comparison is valid without it."""
    from ..._checks import rollback_info
    from ..._sandbox import lifecycle

    try:
        info = lifecycle.attach(work.given.sandbox_directory)
        login = PostgresOptions(login_unix_socket=info.socket_dir, login_port=info.port, login_user=info.superuser)
        found = work.call(rollback_info.run, rollback_info.Options(postgres=login, since=work.kept["snapshot_time"]))
    except BackupError as exc:
        work.invocation.warn(f"the changes lost by a restore could not be listed: {exc.msg}")
        return None
    return found["rollback"]
