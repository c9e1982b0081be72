# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restore the runtime secrets of the set, readable only for the user of the sandbox."""

from __future__ import annotations

from ..._report.check import PASS, UNPROVEN, Check
from .step import FINGERPRINTS, SECRETS, Made, Step, Work


class Secrets(Step):
    name = "secrets"
    needs = ("sandbox",)

    def lacks(self, work: Work) -> str:
        return "" if work.assets["secrets"] else "the set contains no secrets"

    def take(self, work: Work) -> Made:
        from ..._assets.secrets import secrets_restore

        options = secrets_restore.Options(
            access=work.given.access,
            stored=work.stored,
            recorded=work.recorded,
            identity_files=work.given.secrets_identities,
            directory=work.path(SECRETS),
            retired_directory=work.path("retired"),
            owner=str(work.sandbox.uid),
            group=str(work.group),
        )
        found = work.call(secrets_restore.run, options)
        names = sorted([*found["written"], *found["unchanged"]])
        # The restore compared their key IDs with the manifest. If there are no files, nothing was proved.
        check = Check("secrets.restored", PASS if names else UNPROVEN, f"{len(names)} files of the set's secrets were restored")
        return Made([check.to_result()], kept={"family": found["family"], SECRETS: names, FINGERPRINTS: work.fingerprints(names)})
