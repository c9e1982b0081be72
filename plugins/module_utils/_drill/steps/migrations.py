# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare release, schema, privileges and roles of the copy with the expected ones for its release."""

from __future__ import annotations

from .step import Made, Step, Work


class Migrations(Step):
    name = "migrations"
    needs = ("restore",)

    def take(self, work: Work) -> Made:
        from ..._checks import migration_verify

        options = migration_verify.Options(
            copy=work.copy, release_table=work.given.release_table, schema_additions=work.given.schema_additions, require_valid=False
        )
        return Made(work.call(migration_verify.run, options)["checks"])
