# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The high-water mark: the newest entry that this host has seen of each journal.

It is stored outside the repository, so an attacker who rolls back the repository cannot roll back the mark.
"""

from __future__ import annotations

import errno
import os
import typing as t

from .._crypto import strict_json
from .._crypto.allowed_signers import Verifier
from .._errors import BackupError, TamperedData, storage_error
from .._files import paths, trusted
from . import layout, lock, prefix
from .fields import Fields
from .journal import Head, Journal
from .prefix import Prefix
from .repository import Repository

TYPE = "high-water-mark"
FRESH = "fresh"
UNPROVEN = "unproven"
_SIZE_LIMIT = 1 << 20


class HighWaterMark:
    """A small file with the newest entry seen of each repository. Verified prefixes of the journals are stored next to it.

    The file need not exist, but its directory must.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def repositories_of(self, deployment: str) -> list[str]:
        """Return the IDs of the repositories that this host has seen of a deployment."""
        return sorted(one for one, (owner, _head) in self._read().items() if owner == deployment)

    def verified(self, repository: Repository, verifier: Verifier) -> Prefix | None:
        """Return the journal prefix that this host has verified, or None without a trusted one. Writes nothing."""
        owner, seen = self._read().get(repository.id, ("", Head(0, "")))
        if owner != repository.deployment:
            return None
        return prefix.load(self.path, repository, verifier, seen.sequence, seen.sha256)

    def check(self, journal: Journal) -> str:
        """Return FRESH, or UNPROVEN if this host sees a repository of the deployment for the first time.

        Raises TamperedData if the journal was forked or rolled back since, or if the host knows another repository of
        the deployment instead.
        """
        marks = self._read()
        known = marks.get(journal.repository_id)
        others = sorted(one for one, (owner, _head) in marks.items() if owner == journal.deployment)
        if known is None and others:
            raise TamperedData(
                f"repository {journal.repository_id} is not the expected one: {self.path} records repository {others[0]} of deployment "
                f"{journal.deployment}; find out who exchanged it, or remove that file if you created the repository again on purpose"
            )
        if known is None:
            return UNPROVEN
        seen = known[1]
        if journal.head.sequence < seen.sequence:
            raise TamperedData(
                f"the journal of repository {journal.repository_id} was rolled back: it ends at {journal.head}, "
                f"but {self.path} records {seen}; use a copy of the repository that has entry {seen}"
            )
        there = journal.entries[seen.sequence - 1]
        if there.sha256 != seen.sha256:
            raise TamperedData(
                f"the journal of repository {journal.repository_id} was forked: it has entry {Head(there.sequence, there.sha256)}, "
                f"but {self.path} records {seen}; use a copy of the repository that has entry {seen}"
            )
        return FRESH

    def advance(self, journal: Journal, *, dry: bool = False) -> None:
        """Save the journal's head atomically and durably, and the verified prefix up to it. Raises like `check`, and StorageError.

        With `dry`, only check.
        """
        self.check(journal)
        is_known = self._read().get(journal.repository_id) == (journal.deployment, journal.head)
        if dry:
            if not is_known:
                self.check_writable()
            return
        if is_known and prefix.is_kept(journal):
            return
        try:
            make_folder(self.path)
            # Two modules that run at the same time must not overwrite each other's mark.
            with lock.exclusive(self.path):
                self.check(journal)
                marks = self._read()
                if marks.get(journal.repository_id) != (journal.deployment, journal.head):
                    self._write({**marks, journal.repository_id: (journal.deployment, journal.head)})
                prefix.keep(self.path, journal)
        except OSError as exc:
            # If only the prefix could not be saved, the next call reads more entries.
            if not is_known:
                raise self._problem(exc) from exc

    def check_writable(self) -> None:
        """Raise StorageError if the file cannot be written, as far as that can be determined without writing."""
        folder = self._folder if os.path.lexists(self._folder) else os.path.dirname(self._folder)
        try:
            os.stat(folder)
        except OSError as exc:
            raise self._problem(exc) from exc
        if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
            raise self._problem(OSError(errno.EACCES, f"{folder} is read-only for this user"))

    @property
    def _folder(self) -> str:
        return os.path.dirname(os.path.abspath(self.path))

    def _read(self) -> dict[str, tuple[str, Head]]:
        try:
            with trusted.folder(self._folder) as folder, trusted.reading_in(folder, os.path.basename(self.path)) as stream:
                data = stream.read(_SIZE_LIMIT)
        except FileNotFoundError:
            return {}
        except OSError as exc:
            raise self._problem(exc) from exc
        fields = Fields(strict_json.loads(data, self.path), self.path)
        fields.head(TYPE)
        marks = {}
        repositories = fields.dictionary("repositories")
        fields.end()
        for name in repositories:
            one = Fields(repositories[name], f"{name} in {self.path}")
            marks[name] = (one.text("deployment"), Head(one.integer("sequence"), one.sha256("sha256")))
            one.end()
        return marks

    def _write(self, marks: t.Mapping[str, tuple[str, Head]]) -> None:
        """Write the marks. Raises OSError."""
        repositories = {
            name: {"deployment": deployment, "sequence": head.sequence, "sha256": head.sha256} for name, (deployment, head) in marks.items()
        }
        data = strict_json.dumps({"type": TYPE, "format": layout.FORMAT, "repositories": repositories})
        paths.replace(self.path, data)

    def _problem(self, exc: OSError) -> BackupError:
        full = exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        remedy = "make room there" if full else "name a file that this user can write, in a folder that exists"
        return storage_error(exc)(f"high-water mark {self.path}: {exc.strerror}; {remedy}")


def make_folder(path: str) -> None:
    """Create the directory of a mark or of a file next to it, private to this user. Raises OSError.

    Only the last directory is created: if more are missing, the path is probably wrong.
    """
    paths.make(os.path.dirname(os.path.abspath(path))).close()
