# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The errors of this collection: one class for each kind of remedy.

Every message is one line with the affected thing and the remedy. `details` is JSON-safe and never contains a secret.
The module boundary adds it to the result.
"""

from __future__ import annotations

import errno
import typing as t

from ._reasons import NO_ROOM, Reason, because


def printable(text: str) -> str:
    """Return the text on one line, with unprintable characters (such as control characters and lone surrogates) as escapes."""
    return text if text.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


Raised = t.TypeVar("Raised", bound="BackupError")


class BackupError(Exception):
    """The base of all errors. Raise a subclass. `msg` is one line: the affected thing, the problem, the remedy.

    Names in `msg` may come from an untrusted party, so unprintable characters are escaped. So no name can move a
    terminal's cursor or forge a log line.
    """

    # The default reason of a class.
    REASON: t.ClassVar[Reason | None] = None

    def __init__(self, msg: str, *, reason: Reason | None = None, **details: t.Any) -> None:
        self.msg = printable(msg)
        super().__init__(self.msg)
        # For the check of the drill step that failed with this error.
        self.reason = reason or self.REASON
        self.details = details

    @classmethod
    def caused_by(cls: type[Raised], error: BackupError, msg: str, **details: t.Any) -> Raised:
        """Return an error of this class that quotes another one, with its reason and details."""
        return cls(msg, reason=error.reason, **{**error.details, **details})

    def reworded(self: Raised, msg: str) -> Raised:
        """Return the same error with another message."""
        return type(self).caused_by(self, msg)

    def to_result(self) -> dict[str, object]:
        """Return the fields of a module result that describe the error."""
        return {"msg": self.msg, "error": type(self).__name__, **because(self.reason), **self.details}


class OptionError(BackupError):
    """The value of an option cannot work. Remedy: change the option."""


class MissingDependency(BackupError):
    """A library or tool is missing or too old. Remedy: install it."""


class Unreachable(BackupError):
    """A server does not answer or refuses the login. Remedy: check address, credentials, network."""


class PermissionMissing(BackupError):
    """A role or user lacks a right. Remedy: the grant in the message."""


class VersionMismatch(BackupError):
    """Two versions are incompatible. Remedy: use the version in the message."""


class KeyProblem(BackupError):
    """A key, recipient, identity or signer does not match. Remedy: use the correct key."""


class WrongIdentity(KeyProblem):
    """No identity of this host decrypts the data, or the identity cannot be used. Remedy: use the identity of a recipient."""


class TamperedData(BackupError):
    """Stored bytes differ from the signed ones, or no trusted key signed them. Remedy: investigate, use another copy."""


class StorageError(BackupError):
    """The store refuses an operation or is full. Remedy: check space, permissions, path."""


class NoRoom(StorageError):
    """A disk or quota is full, or would be. Remedy: free space, or use another location."""

    REASON = NO_ROOM


def storage_error(exc: OSError) -> type[StorageError]:
    """Return the error class for a system error: NoRoom for missing space, otherwise StorageError."""
    return NoRoom if exc.errno in (errno.ENOSPC, errno.EDQUOT) else StorageError


class UnsafePath(StorageError):
    """Another user could redirect a write to another location. Remedy: correct the path or the owner in the message."""


class ObjectMissing(StorageError):
    """A required key does not exist."""


class NoObject(StorageError):
    """A link, pipe or other special file is at the location of an object. Remedy: remove it, and find out who created it."""


class ObjectExists(StorageError):
    """A key that must be new already exists."""


class TargetRefused(BackupError):
    """A destructive operation lacks a confirmation that names its target. Remedy: the confirmation in the message."""


class Busy(BackupError):
    """Another run is in progress. Remedy: wait for it, or stop it."""


class BackupRunning(Busy):
    """A backup of the same deployment is running on this host. Remedy: wait until it has ended."""


class StageFailed(BackupError):
    """A process or pipeline stage failed. Remedy: see the last line of its stderr."""


class NotReady(BackupError):
    """Several problems prevent the start. `problems` lists each. Remedy: resolve each of them."""


class VerificationFailed(BackupError):
    """A check failed or could not be run. Remedy: see the checks in the result."""
