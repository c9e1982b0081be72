# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restore the databases of the set into the sandbox."""

from __future__ import annotations

from .step import Made, Step, Work


class Restore(Step):
    name = "restore"
    needs = ("sandbox",)

    def take(self, work: Work) -> Made:
        from ..._assets.databases import pg_encrypted_restore, readiness

        dumped = readiness.DumpedOptions(stored=work.stored, identity_files=work.given.identities)
        options = pg_encrypted_restore.Options(access=work.given.access, copy=work.copy, dumped=dumped, jobs=work.given.jobs)
        found = work.call(pg_encrypted_restore.run, options)
        return Made(found["checks"], bytes=sum(one["bytes"] for one in found["databases"]))
