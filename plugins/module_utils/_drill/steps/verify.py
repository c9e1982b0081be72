# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verify the journal, the signature and every stored byte before anything is restored."""

from __future__ import annotations

import typing as t

from .step import Made, Step, Work

if t.TYPE_CHECKING:
    from ..drill_state import Kept

# This check asks whether an earlier drill passed, so it does not matter for this drill.
_ASKED = "set.drilled"


class Verify(Step):
    name = "verify"

    def take(self, work: Work) -> Made:
        from ..._assets.images import kept_images
        from ..._sets import backup_set_verify
        from . import image_sources

        found = work.call(
            backup_set_verify.run, backup_set_verify.Options(access=work.given.access, stored=work.stored, require_valid=False)
        )
        checks = [check for check in found["checks"] if check["id"] != _ASKED]
        facts = found["set_facts"]
        kept: Kept = {
            "assets": facts["assets"],
            "snapshot_time": facts["snapshot_time"],
            "services": facts["services"],
            "images": facts["images"],
            "bytes": facts["data_bytes"],
        }
        checks.append(kept_images.check(image_sources.kept_by(work)).to_result())
        # The size of the restored data determines the space for the sandbox.
        stops = backup_set_verify.is_broken(found)
        return Made(checks, bytes=facts["bytes"], kept=kept, stops=stops)
