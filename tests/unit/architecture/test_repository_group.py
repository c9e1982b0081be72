# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action group through which a play says once how a bucket is reached."""

from __future__ import annotations

import yaml

from tools.rules import tree
from unit.architecture.test_documented import MODULES, spec_of


def test_the_group_has_exactly_the_modules_that_take_the_options() -> None:
    runtime = yaml.safe_load((tree.ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    takes = [name for name in MODULES if "s3_endpoint" in spec_of(name)]
    assert takes and runtime["action_groups"]["repository"] == sorted(takes)
