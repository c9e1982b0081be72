# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of a use case as a dataclass: the argument spec, and the values."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError
from ansible_collections.caracal_ops.backup.plugins.module_utils._options import declared
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.declared import Is, Options, Path, Rules, Secret, Suboptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class Server(Options):
    RULES: t.ClassVar[Rules] = Rules(mutually_exclusive=(("host", "socket"),))
    host: str
    port: int = 5432
    socket: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Volume(Suboptions):
    path: Path
    mode: t.Annotated[str, Is(choices=["a", "b"])] = "a"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Whole(Options):
    server: Server | None
    volumes: tuple[Volume, ...] = ()
    password: Secret | None = None


GIVEN: dict[str, t.Any] = {"host": "db", "port": 1, "socket": None, "volumes": [{"path": "/v", "mode": "b"}], "password": "p"}


def test_argument_spec_is_derived_from_fields() -> None:
    spec = Whole.spec()
    assert spec["host"] == {"type": "str", "required": False} and spec["port"] == {"type": "int", "default": 5432, "required": False}
    assert spec["password"]["no_log"] is True
    volumes = spec["volumes"]
    assert (volumes["type"], volumes["elements"]) == ("list", "dict")
    assert volumes["options"]["path"]["required"] is True and volumes["options"]["mode"]["choices"] == ["a", "b"]
    assert Whole.rules() == Rules(mutually_exclusive=(("host", "socket"),), required_together=(("host",),))


def test_values_have_their_types() -> None:
    whole = Whole.of(GIVEN)
    assert whole.server == Server(host="db", port=1) and whole.volumes == (Volume(path="/v", mode="b"),)
    assert whole.flat() == {name: value for name, value in GIVEN.items() if value is not None}


def test_an_optional_group_without_its_required_option_is_none() -> None:
    assert Whole.of({**GIVEN, "host": None}).server is None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loose(Options):
    port: int = 5432


@dataclasses.dataclass(frozen=True, kw_only=True)
class Holder(Options):
    loose: Loose | None


@pytest.mark.mutation
def test_a_group_without_a_required_option_cannot_be_optional() -> None:
    with pytest.raises(TypeError, match="loose"):
        Holder.spec()


@pytest.mark.mutation
def test_a_missing_option_that_a_call_needs_is_refused() -> None:
    assert declared.needed("x", "host") == "x"
    with pytest.raises(OptionError, match="host"):
        declared.needed(None, "host")
