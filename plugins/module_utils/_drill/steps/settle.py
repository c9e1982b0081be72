# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verify that the services have checked, read and sent the restored data."""

from __future__ import annotations

from .step import Made, Step, Work


class Settle(Step):
    name = "settle"
    needs = ("services",)
    asks_services = True
    uses_secrets = True

    def take(self, work: Work) -> Made:
        from .. import service_verify

        earlier = work.kept.get("earlier_key_rows") or 0
        checks = service_verify.settled(work.bundle, work.restored, earlier_key_rows=earlier, timeout=work.given.settle_timeout)
        return Made([one.to_result() for one in checks])
