# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The owner gives a known column a type of their own, with casts that are the owner's functions."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.inventory import inventory
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import catalog
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Server, Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import PermissionMissing
from scenes.twin_database import Copier, TwinCluster
from unit.plugins.module_utils._drivers.postgres.test_hostile_owner import _TAKE, taken

Login = t.Callable[..., Server]


CASTS = {"text": "'1'", "bigint": "1"}


@pytest.fixture(params=sorted(CASTS))
def cast(request: pytest.FixtureRequest, caracal_database: TwinCluster, caracal_copy: Copier, login: Login) -> t.Iterator[str]:
    """Return a database with a type and a cast of its owner, and a column of that type with a sequence."""
    to = request.param
    name, owner = caracal_copy(), login()
    caracal_database.execute(f"ALTER DATABASE {name} OWNER TO {owner.user}", database="postgres")
    caracal_database.execute(
        f"ALTER SCHEMA public OWNER TO {owner.user}",
        f"ALTER TABLE public.delegation_graph_epochs OWNER TO {owner.user}",
        f"SET SESSION AUTHORIZATION {owner.user}",
        _TAKE,
        "CREATE TYPE public.pair AS (a int, b text)",
        f"""CREATE FUNCTION public.told(value public.pair) RETURNS {to} LANGUAGE plpgsql AS
           $f$ BEGIN PERFORM public.take(); RETURN {CASTS[to]}; END $f$""",
        f"CREATE CAST (public.pair AS {to}) WITH FUNCTION public.told(public.pair) AS IMPLICIT",
        "ALTER TABLE public.delegation_graph_epochs ADD COLUMN other public.pair DEFAULT ROW(1, 'x')",
        "CREATE SEQUENCE public.others OWNED BY public.delegation_graph_epochs.other",
        "ALTER TABLE public.delegation_graph_epochs RENAME COLUMN epoch TO aside",
        "ALTER TABLE public.delegation_graph_epochs RENAME COLUMN other TO epoch",
        database=name,
    )
    yield name
    caracal_database.execute("COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm -f taken'", database="postgres")


@pytest.mark.mutation
@pytest.mark.parametrize("settings", [None, {}])
def test_a_cast_of_the_owner_is_not_run(caracal_database: TwinCluster, cast: str, settings: dict[str, str] | None) -> None:
    """The casts would run for the state in a backup's inventory, and for the lowest value of a sequence."""
    with (
        pytest.raises(PermissionMissing, match=r"^database \w+: the cast \(public.pair AS \w+\) calls a function of role login_.*; drop"),
        Session(caracal_database.server, cast, settings=settings) as session,
    ):
        inventory.state(session, ["delegation_graph_epochs"])
        catalog.sequence_floors(session)
    assert not taken(caracal_database)


@pytest.mark.no_false_alarm
def test_casts_of_superuser_and_own_login_are_accepted(caracal_database: TwinCluster, caracal_copy: Copier, login: Login) -> None:
    name, own = caracal_copy(), login()
    caracal_database.execute(
        f"GRANT CREATE ON SCHEMA public TO {own.user}",
        "CREATE TYPE public.mood AS ENUM ('sad')",
        "CREATE FUNCTION public.told(value public.mood) RETURNS text LANGUAGE sql AS $$ SELECT '' $$",
        "CREATE CAST (public.mood AS text) WITH FUNCTION public.told(public.mood)",
        f"SET SESSION AUTHORIZATION {own.user}",
        "CREATE TYPE public.temper AS ENUM ('bad')",
        "CREATE FUNCTION public.told(value public.temper) RETURNS text LANGUAGE sql AS $$ SELECT '' $$",
        "CREATE CAST (public.temper AS text) WITH FUNCTION public.told(public.temper)",
        database=name,
    )
    with Session(own, name) as session:
        assert session.value("SELECT 1") == 1
