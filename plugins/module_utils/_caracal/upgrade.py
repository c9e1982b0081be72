# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check whether a release can run on a set of another release, and what its first start changes in the evidence."""

from __future__ import annotations

from .._errors import OptionError, TargetRefused
from .._report.check import PASS, UNPROVEN, WARN, Check
from .releases import RELEASES, Release

CHECK_ID = "restore.release"

# The audit service of a release with this migration rewrites the chain of every earlier event, with its current key.
REHASH = "0047_audit_chain_rehash"


def judge(recorded: str | None, family: str | None, wanted: str | None) -> Check:
    """Check whether a set of release `recorded` can be restored for a deployment of release `wanted`. None means the
    release of the set.

    Raises OptionError for an unknown release, and TargetRefused for a release that cannot run on the set.
    """
    if wanted is None or wanted == recorded:
        return Check(
            CHECK_ID,
            PASS,
            f"restored for release {recorded}" if recorded else "restored for the release of the set, which is not recorded",
        )
    into = _known(wanted)
    if family != into.family:
        raise TargetRefused(
            f"the set belongs to family {family}, but release {wanted} belongs to family {into.family}; no migration converts the set, "
            f"so restore it for {recorded}"
        )
    if recorded is None:
        return Check(CHECK_ID, UNPROVEN, f"the set's release is unknown, so the effect of the first start of {wanted} is unknown")
    before = _known(recorded).migrations
    if into.migrations[: len(before)] != before:
        why = (
            "is older than the set"
            if before[: len(into.migrations)] == into.migrations
            else "starts with other migrations, which cannot run on the set"
        )
        raise TargetRefused(f"release {wanted} {why}; the set is of {recorded}, so restore it for {recorded}")
    pending = into.migrations[len(before) :]
    words = f"the set is of {recorded}; the first start of {wanted} runs {len(pending)} migration(s): {', '.join(pending)}"
    if REHASH in pending:
        words += "; its audit service then recomputes every audit hash, so verify the audit chain first"
    return Check(CHECK_ID, WARN, words)


def _known(name: str) -> Release:
    for release in RELEASES:
        if release.name == name:
            return release
    raise OptionError(f"unknown release {name!r}; use one of {', '.join(release.name for release in RELEASES)}")
