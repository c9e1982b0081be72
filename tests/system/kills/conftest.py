# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of several tests that kill."""

from __future__ import annotations

import typing as t

import pytest

from harness.fixtures import sandbox_path
from scenes.twin_database import TwinCluster
from system.kills.box import Box

# Strings that are only in the source's rows, and the magic words of an archive and of a cluster.
MARKS = "SELECT name FROM applications UNION SELECT content FROM policy_versions UNION SELECT id FROM audit_events LIMIT 200"


@pytest.fixture(scope="module")
def marks(caracal_database: TwinCluster) -> list[bytes]:
    return [b"PGDMP", b"COPY public.", *(text.encode() for (text,) in caracal_database.execute(MARKS) if len(text) > 12)]


@pytest.fixture
def box() -> t.Iterator[Box]:
    made = Box(sandbox_path())
    yield made
    made.remove()
