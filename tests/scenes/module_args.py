# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of a module that is run in the process of a test, on every supported ansible-core."""

from __future__ import annotations

import contextlib
import json
import typing as t
from unittest import mock

from ansible.module_utils import basic


@contextlib.contextmanager
def patch_module_args(given: dict[str, t.Any]) -> t.Iterator[None]:
    """As `ansible.module_utils.testing.patch_module_args`, which ansible-core 2.18 does not have."""
    data = json.dumps({"ANSIBLE_MODULE_ARGS": given}).encode()
    with mock.patch.multiple(basic, create=True, _ANSIBLE_ARGS=data, _ANSIBLE_PROFILE="legacy"):
        yield
