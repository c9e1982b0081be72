# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Release, schema, rights and roles of the copy against what its release leaves."""

from __future__ import annotations

from .step import Made, Step, Work


class Migrations(Step):
    name = "migrations"
    needs = ("restore",)

    def take(self, work: Work) -> Made:
        from ..._checks import migration_verify

        own = {name: work.given[name] for name in ("release_table", "schema_additions")}
        return Made(work.call(migration_verify.argument_spec(), migration_verify.run, **own)["checks"])
