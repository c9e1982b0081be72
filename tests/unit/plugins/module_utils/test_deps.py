# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An error about a missing library names the playbook that installs it, and no other playbook."""

from __future__ import annotations

import builtins
import re
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils import _deps
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import MissingDependency
from tools.rules import tree

REQUIRED = {name.removeprefix("require_"): function for name, function in vars(_deps).items() if name.startswith("require_")}
BROUGHT = re.findall(r"^([\w-]+)==", (tree.ROOT / "roles/caracal_setup/files/requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.mutation
@pytest.mark.parametrize("library", REQUIRED)
def test_error_for_a_missing_library_names_the_setup_playbook(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def none(name: str, *given: t.Any, **more: t.Any) -> t.Any:
        if name.startswith(library):
            raise ImportError(name)
        return real(name, *given, **more)

    monkeypatch.setattr(builtins, "__import__", none)
    with pytest.raises(MissingDependency) as caught:
        REQUIRED[library]()
    in_setup = any(name.startswith(library) for name in BROUGHT)
    assert ("caracal_ops.backup.setup" in caught.value.msg) == in_setup == (library != "pyarrow")
