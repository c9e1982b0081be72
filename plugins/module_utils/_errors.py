# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one family of errors: a class for each remedy that the operator has.

Every message is one line that names the thing and what to do about it. `details` is JSON-safe and never
holds a secret; the module boundary adds it to the result.
"""

from __future__ import annotations

import errno
import typing as t

from ._reasons import NO_ROOM, Reason, because


def printable(text: str) -> str:
    """The text on one line; control characters, halves of surrogate pairs and the like as escapes."""
    return text if text.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


Raised = t.TypeVar("Raised", bound="BackupError")


class BackupError(Exception):
    """Anything that stops us. Raise a subclass; `msg` is one line: the thing, what is wrong, the remedy.

    Names in it may be anybody's, so what cannot be printed is escaped: no name moves a terminal's cursor or forges a line of a log.
    """

    # The reason of all errors of a class.
    REASON: t.ClassVar[Reason | None] = None

    def __init__(self, msg: str, *, reason: Reason | None = None, **details: t.Any) -> None:
        self.msg = printable(msg)
        super().__init__(self.msg)
        # For the check of the step that this error ended.
        self.reason = reason or self.REASON
        self.details = details

    @classmethod
    def caused_by(cls: type[Raised], error: BackupError, msg: str, **details: t.Any) -> Raised:
        """An error of this class that quotes another, with its reason and its details."""
        return cls(msg, reason=error.reason, **{**error.details, **details})

    def reworded(self: Raised, msg: str) -> Raised:
        """The same error with another message."""
        return type(self).caused_by(self, msg)

    def to_result(self) -> dict[str, object]:
        """The fields of a module result that describe the error."""
        return {"msg": self.msg, "error": type(self).__name__, **because(self.reason), **self.details}


class OptionError(BackupError):
    """An option holds something that cannot work. Remedy: change the option."""


class MissingDependency(BackupError):
    """A library or tool is absent or too old. Remedy: install it."""


class Unreachable(BackupError):
    """A server does not answer or refuses the login. Remedy: address, credentials, network."""


class PermissionMissing(BackupError):
    """A role or user may not do what is needed. Remedy: the grant that the message names."""


class VersionMismatch(BackupError):
    """Two versions do not go together. Remedy: the other version that the message names."""


class KeyProblem(BackupError):
    """A key, recipient, identity or signer does not fit. Remedy: the right key."""


class WrongIdentity(KeyProblem):
    """No identity of this host opens what is sealed, or it cannot be used. Remedy: the identity of a recipient."""


class TamperedData(BackupError):
    """Stored bytes are not what was signed, or signed by nobody we trust. Remedy: investigate, use another copy."""


class StorageError(BackupError):
    """The store refuses or is full. Remedy: space, permissions, path."""


class NoRoom(StorageError):
    """A disk or a quota is full, or would be. Remedy: make room, or name another place."""

    REASON = NO_ROOM


def storage_error(exc: OSError) -> type[StorageError]:
    """The class for what the system says: room is missing, or anything else."""
    return NoRoom if exc.errno in (errno.ENOSPC, errno.EDQUOT) else StorageError


class UnsafePath(StorageError):
    """Another user could lead a write to a place that was not named. Remedy: the path or the owner that the message names."""


class ObjectMissing(StorageError):
    """A key that must exist does not."""


class NoObject(StorageError):
    """A link, a pipe or the like lies where an object belongs. Remedy: remove it, and find out who made it."""


class ObjectExists(StorageError):
    """A key that must be new exists already."""


class TargetRefused(BackupError):
    """A destructive act has no confirmation that names its target. Remedy: the confirmation that the message prints."""


class Busy(BackupError):
    """Somebody else is at it. Remedy: wait, or end the other run."""


class BackupRunning(Busy):
    """A backup of the same deployment is running on this host. Remedy: wait until it has ended."""


class StageFailed(BackupError):
    """A process or stage of a pipeline died. Remedy: what its last line of stderr says."""


class NotReady(BackupError):
    """Several things keep the work from beginning; `problems` has each. Remedy: what each of them says."""


class VerificationFailed(BackupError):
    """A check failed or could not be made. Remedy: see the checks in the result."""
