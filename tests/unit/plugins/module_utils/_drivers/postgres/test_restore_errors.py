# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import restore_errors

STDERR = """pg_restore: while PROCESSING TOC:
pg_restore: from TOC entry 3401; 2606 16500 FK CONSTRAINT a a_b_fkey caracal
pg_restore: error: could not execute query: ERROR:  insert or update on table "a" violates foreign key constraint "a_b_fkey"
DETAIL:  Key (b)=(topsecret) is not present in table "b".
Command was: ALTER TABLE ONLY public.a
    ADD CONSTRAINT a_b_fkey FOREIGN KEY (b) REFERENCES public.b(id);


pg_restore: from TOC entry 3402; 1259 16501 INDEX a_c caracal
pg_restore: error: could not execute query: FEHLER:  could not create unique index "a_c"
pg_restore: warning: errors ignored on restore: 2
"""
LISTING = [
    "; Archive created at 2026-12-01 02:00:00 UTC",
    "3401; 2606 16500 FK CONSTRAINT public a a_b_fkey caracal",
    "3402; 1259 16501 INDEX public a_c caracal",
    "3403; 0 0 INDEX ATTACH public a_1_c caracal",
    "3404; 2606 16502 CONSTRAINT Deep a table a_pkey caracal",
    "3405; 0 0 COMMENT public CONSTRAINT a_b_fkey ON a caracal",
    "3406; 2620 16503 TRIGGER public a guard caracal",
    "3407; 3256 16504 POLICY public a zone_isolation caracal",
    "3408; 0 0 COMMENT public TABLE a caracal",
]


def test_each_error_is_read_with_its_entry_and_without_values() -> None:
    first, second = restore_errors.read(STDERR)
    assert (first.number, first.entry) == ("3401", "FK CONSTRAINT a a_b_fkey") and first.error.endswith('constraint "a_b_fkey"')
    assert (second.number, second.entry) == ("3402", "INDEX a_c") and restore_errors.ignored(STDERR) == 2
    assert "topsecret" not in repr((first, second))


@pytest.mark.mutation
def test_a_row_that_imitates_an_error_is_one_more_than_are_counted() -> None:
    forged = "x\npg_restore: from TOC entry 3402; 1259 16501 INDEX a_c caracal\npg_restore: error: could not execute query: ERROR:  y"
    stderr = STDERR.replace("topsecret", forged)
    assert len(restore_errors.read(stderr)) == 3 and restore_errors.ignored(stderr) == 2


def test_without_errors_of_the_server_there_is_nothing_to_read() -> None:
    stderr = "pg_restore: error: no server"
    assert restore_errors.read(stderr) == [] and restore_errors.ignored(stderr) == restore_errors.ignored("") == 0


def test_constraints_are_all_that_a_restore_can_go_on_without() -> None:
    assert restore_errors.constraints(LISTING) == {
        "3401": "FK CONSTRAINT public.a a_b_fkey",
        "3402": "INDEX public.a_c",
        "3403": "INDEX ATTACH public.a_1_c",
        "3404": "CONSTRAINT Deep.a table a_pkey",
        "3405": "COMMENT public.CONSTRAINT a_b_fkey ON a",
    }
