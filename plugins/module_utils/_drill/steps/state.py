# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The copy against the signed inventory, and what a restore of this set takes back: now, since services change the copy within seconds."""

from __future__ import annotations

from ..._errors import BackupError
from .step import Made, Result, Step, Work


class State(Step):
    name = "state"
    needs = ("restore",)

    def take(self, work: Work) -> Made:
        from ..._checks import state_verify

        # The step `evidence` reads the audit rows for all that is to be said of them.
        own = {"audit_rows": False, "shrink_budget": work.given["shrink_budget"]}
        checks = work.call(state_verify.argument_spec(), state_verify.run, **own)["checks"]
        return Made(checks, kept={"rollback": _rollback(work)})


def _rollback(work: Work) -> list[Result] | None:
    """None where nobody could say: the comparison stands without it."""
    from ..._checks import rollback_info
    from ..._sandbox import lifecycle

    try:
        info = lifecycle.attach(work.given["sandbox_directory"])
        login = {"login_unix_socket": info.socket_dir, "login_port": info.port, "login_user": info.superuser}
        found = work.call(rollback_info.argument_spec(), rollback_info.run, since=work.kept["snapshot_time"], **login)
    except BackupError as exc:
        work.invocation.warn(f"what a restore takes back could not be listed: {exc.msg}")
        return None
    rollback: list[Result] = found["rollback"]
    return rollback
