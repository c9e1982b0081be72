# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The databases of the set, into the sandbox."""

from __future__ import annotations

from .step import Made, Step, Work


class Restore(Step):
    name = "restore"
    needs = ("sandbox",)

    def take(self, work: Work) -> Made:
        from ..._assets.databases import pg_encrypted_restore

        found = work.call(pg_encrypted_restore.argument_spec(), pg_encrypted_restore.run)
        return Made(found["checks"], bytes=sum(one["bytes"] for one in found["databases"]))
