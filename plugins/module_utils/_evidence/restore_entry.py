# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The journal entry of a restore into a real environment. A restore into a drill's sandbox has none."""

from __future__ import annotations

import os
import typing as t

from .._crypto.signing import Signer
from .._errors import BackupError, ObjectMissing, TargetRefused
from .._options.shared import RecordedOptions
from .._repository import entry as entries
from .._repository import journal as journals
from .._repository import layout as keys
from .._sandbox import marker
from .._sandbox.info import Layout
from . import access
from .access import Opened
from .sealed_set import SealedSet


def signer(opened: Opened, deployment: str, signing_key: str) -> Signer:
    """Return the signer of the entry.

    Call it before the first change. It checks that readers would accept the signature, and that this host can update its
    high-water mark.
    """
    found = access.signer(opened, deployment, signing_key, keys.OPERATOR)
    opened.mark.check_writable()
    return found


def signer_unless_inside(opened: Opened, deployment: str, given: RecordedOptions, targets: t.Sequence[str]) -> Signer | None:
    """Return the signer, or None for a restore into a sandbox, which must contain all paths of `targets`.

    Raises TargetRefused, ObjectMissing.
    """
    if not given.sandbox:
        return signer(opened, deployment, given.signing_key or "")
    layout = Layout.of(given.sandbox)
    if marker.read(layout) is None:
        raise ObjectMissing(f"{layout.root} contains no sandbox; run the playbook restore_drill, which creates one")
    outside = [one for one in targets if not os.path.realpath(one).startswith(layout.root + os.sep)]
    if outside:
        raise TargetRefused(
            f"{outside[0]} is not inside the sandbox {layout.root}; restore into the sandbox, or leave sandbox out and set signing_key"
        )
    return None


def enter(opened: Opened, by: Signer, the_set: SealedSet, body: t.Mapping[str, object]) -> None:
    """Append the entry, with the set's ID in its body. If that fails, the restored data remains."""
    subjects = [entries.subject(keys.manifest_key(the_set.set_id), the_set.open_set.record.manifest_sha256)]
    content = {"set": the_set.set_id, **body}
    try:
        journals.append(
            opened.repository, opened.journal, by, entries.RESTORE, subjects, content, time=access.times(), machine=access.machine()
        )
    except BackupError as exc:
        raise exc.reworded(f"set {the_set.set_id} is restored, but the restore was not entered into the journal: {exc.msg}") from exc
