# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schema archive of a set, held in memory and restored in parts: tables before the rows, indexes after them.

`pg_restore` supports parallel jobs and lists only for a seekable file. A memory file is seekable, and no plaintext is written
to a disk. The indexes of an audit partition are built directly after its rows are loaded, while the rows are still cached, and
in parallel with other partitions.
"""

from __future__ import annotations

import os
import re
import typing as t

from ..._errors import StageFailed
from ..._stream import memory
from . import libpq, restore_errors, tools
from .server import Server

# Never use --clean, --no-privileges or --data-only: they lose rows, or leave SECURITY DEFINER functions executable by PUBLIC.
COMMON = ("--exit-on-error", "--no-tablespaces", "--no-subscriptions", "--no-publications", "--no-password")
_GOING_ON = COMMON[1:]
UNNAMED = "others, whose names are not known"
# Without --verbose, an error does not name its entry in the archive.
_NAMING = "--verbose"

# Several indexes are built in parallel already. Parallel workers for each build would only pass rows between busy cores.
ALONE = "-c max_parallel_maintenance_workers=0"

# A list takes less than a second. The archive is not trusted, and reading its list must end.
LIST_SECONDS = 300.0

# Lines of `pg_restore --list --verbose`: `264; 1259 16868 TABLE public audit_events_default caracal`, and for each entry with
# dependencies `;\tdepends on: 226`. Index attachments have no catalog number, so these patterns do not match them.
_TABLE = re.compile(r"(\d+); 1259 \d+ TABLE (\S+) (\S+) \S+")
_INDEX = re.compile(r"(\d+); (?:1259 \d+ INDEX|2606 \d+ CONSTRAINT) ")
# A check constraint that depends on more than its table, such as a function that reads the table's rows, is created after the
# rows. So is a NOT VALID constraint, which does not check existing rows.
_CHECK = re.compile(r"\d+; 2606 \d+ (CHECK CONSTRAINT .*)")
_DEPENDS = re.compile(r";\s+depends on: ([\d ]+)")


class Definitions:
    """The definitions of one database and their destination.

    It is a context manager that forked workers may use too. `pg_restore` is the start of the command line. `late_checks` are
    the check constraints that are created after the rows, and check them.
    """

    def __init__(self, pg_restore: t.Sequence[str], server: Server, database: str, data: bytes) -> None:
        self._pg_restore = pg_restore
        self._server = server
        self._database = database
        self._archive = memory.file("schema", data)
        try:
            self._listing = self._list()
        except BaseException:
            self.close()
            raise
        self._indexes = _indexes(self._listing)
        self.late_checks = _late_checks(self._listing)

    def __enter__(self) -> Definitions:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._archive)

    def before_rows(self) -> None:
        """Create types, tables, functions and grants."""
        self._restore("pre-data", 1, self._listing)

    def indexes(self, schema: str, name: str, jobs: int = 1) -> None:
        """Create the indexes and keys of one table, whose rows are loaded, with `jobs` in parallel."""
        numbers = self._indexes.get((schema, name))
        if numbers:
            self._restore("post-data", jobs, [f"{number};" for number in numbers], ALONE)

    def after_rows(self, made: t.Collection[tuple[str, str]], jobs: int, accept_missing: bool = False) -> dict[str, str]:
        """Create the other indexes, constraints, triggers and policies, with `jobs` in parallel.

        `made` are tables that have their indexes already. With `accept_missing`, the restore continues without the constraints
        that the server refuses, and returns name → error for each. It then uses only one job, because `pg_restore` counts
        errors of several jobs more than once.
        """
        skipped = {number for table in made for number in self._indexes.get(table, [])}
        listing = [line for line in self._listing if line.split(";")[0] not in skipped]
        if not accept_missing:
            self._restore("post-data", jobs, listing)
            return {}
        known = restore_errors.constraints(listing)
        missing = self._constraints([line for line in listing if line.split(";")[0] in known], known)
        # Triggers and policies protect rows, so none may be omitted. The errors in the output do not affect this call.
        self._restore("post-data", jobs, [line for line in listing if line.split(";")[0] not in known])
        return missing

    def _constraints(self, listing: t.Sequence[str], known: t.Mapping[str, str]) -> dict[str, str]:
        """Create only constraints and indexes, and continue if the server refuses some. Return name → error for those.

        Rows and names can imitate an error message in the output. So if the names do not match the number of errors, that is
        reported too.
        """
        try:
            self._restore("post-data", 1, listing, common=_GOING_ON)
        except StageFailed as exc:
            refused, ignored = exc.details.get("refused", []), exc.details.get("ignored", 0)
            if not ignored:
                raise
            missing = {known[one["number"]]: one["error"] for one in refused if one["number"] in known}
            return missing if len(missing) == ignored == len(refused) else {**missing, UNNAMED: f"{ignored} error(s) in all"}
        return {}

    def _list(self) -> list[str]:
        argv = [*self._pg_restore, "--list", "--verbose", _path(self._archive)]
        with open(memory.file("listing", b""), "rb") as listing:
            child = tools.start(argv, self._server, self._database, stdout=listing.fileno(), pass_fds=[self._archive])
            try:
                child.finish(LIST_SECONDS)
            finally:
                child.kill()
            listing.seek(0)
            # Not splitlines: a name may contain another character at which it splits. pg_restore shows newlines as blanks.
            return listing.read().decode("utf-8", "replace").split("\n")

    def _restore(self, section: str, jobs: int, listing: t.Sequence[str], settings: str = "", common: t.Sequence[str] = COMMON) -> None:
        wanted = memory.file("list", "".join(f"{line}\n" for line in listing).encode())
        try:
            argv = [*self._pg_restore, *common, f"--dbname={libpq.conninfo(self._database)}", f"--section={section}", f"--jobs={jobs}"]
            argv += [_NAMING, f"--use-list={_path(wanted)}", _path(self._archive)]
            tools.start(argv, self._server, self._database, settings, pass_fds=[wanted, self._archive]).finish()
        finally:
            os.close(wanted)


def _path(fd: int) -> str:
    return f"/proc/self/fd/{fd}"


def _indexes(listing: t.Sequence[str]) -> dict[tuple[str, str], list[str]]:
    """Return (schema, table) → numbers of the entries that create its indexes and keys, in their order."""
    tables: dict[str, tuple[str, str]] = {}
    found: dict[tuple[str, str], list[str]] = {}
    index = ""
    for line in listing:
        if table := _TABLE.match(line):
            tables[table[1]] = table[2], table[3]
        if depends := _DEPENDS.match(line):
            owners = {tables[number] for number in depends[1].split() if number in tables} if index else set()
            if len(owners) == 1:
                found.setdefault(owners.pop(), []).append(index)
            continue
        entry = _INDEX.match(line)
        index = entry[1] if entry else ""
    return found


def _late_checks(listing: t.Sequence[str]) -> list[str]:
    found: list[str] = []
    check = ""
    for line in listing:
        depends = _DEPENDS.match(line)
        if depends and check and len({*depends[1].split()}) > 1:
            found.append(check)
        entry = _CHECK.match(line)
        check = entry[1] if entry else ""
    return found
