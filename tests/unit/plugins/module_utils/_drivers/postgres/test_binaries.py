# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import (
    client_binaries,
    client_flaws,
    server_binaries,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import (
    installs as postgres_installs,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.installs import Candidate
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import MissingDependency

Place = t.Callable[..., Candidate]


@pytest.fixture
def place(tmp_path: pathlib.Path) -> Place:
    """Return a function that creates a directory which looks like an installation of one release."""

    def make(name: str, version: str, *, tools: t.Sequence[str] = ("initdb", "postgres"), extension: bool = True) -> Candidate:
        root = tmp_path / name
        for part in ("bin", "lib", "share/extension"):
            (root / part).mkdir(parents=True)
        for tool in tools:
            (root / "bin" / tool).write_text(f"#!/bin/sh\necho '{tool} (PostgreSQL) {version}'\n")
            (root / "bin" / tool).chmod(0o755)
        (root / "lib" / "plpgsql.so").touch()
        (root / "share" / "postgres.bki").touch()
        if extension:
            (root / "share" / "extension" / "pgcrypto.control").touch()
        return Candidate(str(root / "bin"), "test")

    return make


def test_takes_the_lowest_major_that_suffices_and_its_newest_minor(place: Place) -> None:
    places = [place("a", "18.1"), place("b", "17.2"), place("c", "17.10 (Debian 17.10-1)"), place("d", "15.3")]
    found = server_binaries.find(None, minimum_major=17, places=places)
    assert (found.version, found.bindir) == ((17, 10), places[2].bindir)
    assert server_binaries.find(None, minimum_major=18, places=places).version == (18, 1)


def test_a_beta_counts_as_minor_0(place: Place) -> None:
    assert server_binaries.find(None, minimum_major=17, places=[place("a", "19beta1")]).version == (19, 0)


def test_the_error_lists_what_was_found_and_why_it_was_refused(place: Place) -> None:
    places = [
        place("old", "15.3"),
        place("half", "17.1", tools=("postgres",)),
        place("plain", "17.1", extension=False),
        place("other", "nonsense"),
    ]
    os.unlink(os.path.join(os.path.dirname(place("bare", "17.1").bindir), "lib", "plpgsql.so"))
    places.append(Candidate(os.path.join(os.path.dirname(os.path.dirname(places[0].bindir)), "bare", "bin"), "test"))
    with pytest.raises(MissingDependency) as caught:
        server_binaries.find(None, minimum_major=17, places=places)
    message = caught.value.msg
    for part in (
        "15.3 is older than 17",
        "initdb missing",
        "without the extension pgcrypto",
        "prints no PostgreSQL version",
        "without its library",
    ):
        assert part in message
    assert "\n" not in message and "pg_bin" in message


def test_error_reports_that_no_program_directory_was_found() -> None:
    with pytest.raises(MissingDependency, match="found: no directory with PostgreSQL's programs"):
        server_binaries.find(None, minimum_major=17, places=[])


def test_a_named_folder_is_the_only_one(tmp_path: pathlib.Path) -> None:
    with pytest.raises(MissingDependency, match=f"{tmp_path} .*initdb and postgres missing"):
        server_binaries.find(str(tmp_path), minimum_major=17)


def test_the_usual_places_hold_a_real_server_with_pgcrypto() -> None:
    found = server_binaries.find(None, minimum_major=17)
    assert found.version[0] >= 17
    assert os.path.exists(os.path.join(found.sharedir, "extension", "pgcrypto.control"))
    assert os.path.exists(os.path.join(found.libdir, "pgcrypto.so"))


@pytest.mark.parametrize(("library", "folder"), [("libssl.so.3", "lib"), (None, "lib/postgresql")])
def test_libraries_that_a_build_carries_belong_to_it(place: Place, library: str | None, folder: str) -> None:
    root = pathlib.Path(place("own", "18.1").bindir).parent
    (root / "lib/postgresql").mkdir()
    (root / "lib/plpgsql.so").rename(root / "lib/postgresql/plpgsql.so")
    if library:
        (root / "lib" / library).touch()
    assert server_binaries.find(str(root / "bin"), minimum_major=17).libdir == str(root / folder)


def test_path_and_pg_config_name_folders(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    direct, indirect = place("direct", "30.1"), place("told", "31.1")
    script = tmp_path / "pg_config"
    script.write_text(f"#!/bin/sh\necho {indirect.bindir}\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{direct.bindir}:/usr/bin:/bin")
    assert {direct.bindir, indirect.bindir} <= {candidate.bindir for candidate in postgres_installs.candidates(None)}
    assert server_binaries.find(None, minimum_major=31).bindir == indirect.bindir


def test_client_tools_come_from_one_release(place: Place) -> None:
    tools = ("pg_dump", "pg_restore")
    places = [place("a", "18.1", tools=tools), place("b", "17.6", tools=tools), place("c", "17.9", tools=("pg_dump",))]
    found = client_binaries.find(None, minimum_major=17, tools=tools, places=places)
    assert found.version == (17, 6) and found.version_text == "17.6"
    assert found.paths == {tool: os.path.join(places[1].bindir, tool) for tool in tools}
    with pytest.raises(MissingDependency, match="pg_restore missing"):
        client_binaries.find(None, minimum_major=17, tools=tools, places=places[2:])


@pytest.mark.mutation
def test_client_tools_with_known_holes_are_refused(place: Place) -> None:
    with pytest.raises(MissingDependency, match=r"17\.5 is older than 17\.6"):
        client_binaries.find(None, minimum_major=17, tools=("pg_dump",), places=[place("a", "17.5", tools=("pg_dump",))])


# The releases before and with each fix, from PostgreSQL's security page.
FLAWED = [
    ("pg_dump", (16, 3), {"CVE-2024-7348", "CVE-2025-8714", "CVE-2025-8715", "CVE-2025-12818", "CVE-2026-6477"}),
    ("pg_dump", (16, 4), {"CVE-2025-8714", "CVE-2025-8715", "CVE-2025-12818", "CVE-2026-6477"}),
    ("psql", (17, 2), {"CVE-2025-1094", "CVE-2025-12818", "CVE-2026-6477"}),
    ("psql", (17, 3), {"CVE-2025-12818", "CVE-2026-6477"}),
    ("pg_restore", (17, 5), {"CVE-2025-8714", "CVE-2025-8715", "CVE-2025-12818", "CVE-2026-6477"}),
    ("pg_restore", (17, 6), {"CVE-2025-12818", "CVE-2026-6477"}),
    ("pg_restore", (17, 7), {"CVE-2026-6477"}),
    ("pg_restore", (17, 9), {"CVE-2026-6477"}),
    ("pg_restore", (17, 10), set()),
    ("pg_restore", (18, 0), {"CVE-2025-12818", "CVE-2026-6477"}),
    ("pg_restore", (18, 3), {"CVE-2026-6477"}),
    ("pg_restore", (18, 4), set()),
    ("pg_restore", (19, 0), set()),
    ("pg_restore", (13, 23), {"CVE-2026-6477"}),
    ("psql", (11, 22), {"CVE-2025-1094", "CVE-2025-12818", "CVE-2026-6477"}),
]


@pytest.mark.mutation
@pytest.mark.parametrize(("program", "version", "cves"), FLAWED)
def test_each_flaw_ends_with_the_release_that_mended_it(program: str, version: tuple[int, int], cves: set[str]) -> None:
    assert {flaw.cve for flaw in client_flaws.of([program], version)} == cves


@pytest.mark.mutation
def test_client_tools_with_known_flaws_are_reported_with_remedy(place: Place) -> None:
    (old,) = places = [place("a", "17.5", tools=("pg_restore",))]
    found = client_binaries.find(None, minimum_major=17, tools=("pg_restore",), places=places)
    cves = "CVE-2025-8714, CVE-2025-8715, CVE-2025-12818, CVE-2026-6477"
    assert found.doubt == f"pg_restore 17.5 in {old.bindir}: {cves}; install 17.10 or newer, or set pg_bin to its directory"
    ended = client_binaries.ClientTools("/x", (13, 23), {"psql": "/x/psql"})
    assert "PostgreSQL 13 gets no more updates; install a newer major" in ended.doubt


@pytest.mark.no_false_alarm
def test_the_programs_of_the_tests_have_no_known_flaw() -> None:
    found = client_binaries.find(None, minimum_major=17, tools=("pg_dump", "pg_restore", "psql"))
    assert (found.flaws, found.doubt) == ((), "")
