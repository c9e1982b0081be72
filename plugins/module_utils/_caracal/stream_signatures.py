# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verify the signatures of entries that wait in the streams, and decide whether entries were forged or the key is a
different one.

Services sign an entry as a whole: `_sig` is HMAC-SHA256 under `STREAMS_HMAC_KEY` of the stream's name and the sorted
fields. Entries of audit events also have `sig`, HMAC-SHA256 under `AUDIT_HMAC_KEY` of `data`. A service drops and
acknowledges an entry that is signed with another key. So with a wrong key, every waiting revocation is lost although
every service is ready.

If no entry matches a key, the key is wrong. If some match, the key is correct. Other entries from before the key came
into use were signed with the previous key; later ones were forged or damaged.
"""

from __future__ import annotations

import collections
import dataclasses
import hmac
import typing as t

from .._report.check import FAIL, PASS, UNPROVEN, WARN, Check
from . import outbox
from .chains import chain_switch

CHECK_ID, FORGED = "secrets.streams_key", "redis.forged_frames"
SIGNATURE, AUDIT_SIGNATURE, DATA = b"_sig", b"sig", b"data"
STREAMS_KEY, AUDIT_KEY = "streamsHmacKey", "auditHmacKey"
SHOWN = 50
Fields = t.Mapping[bytes, bytes]
Entry = tuple[str, Fields]


class Frame(t.NamedTuple):
    """An entry of a stream. `entry` is its ID, which starts with the milliseconds at which Redis received it."""

    stream: str
    entry: str
    fields: Fields

    @property
    def milliseconds(self) -> int:
        return int(self.entry.partition("-")[0])


def signature(key: bytes, stream: str, fields: Fields) -> bytes:
    """Return the value of the field `_sig`, in hex."""
    lines = [b"%b=%b\n" % (name, fields[name]) for name in sorted(fields) if name != SIGNATURE]
    return hmac.digest(key, b"".join([stream.encode() + b"\n", *lines]), "sha256").hex().encode()


def audit_signature(key: bytes, data: bytes) -> bytes:
    """Return the value of the field `sig` of an audit event, in hex."""
    return hmac.digest(key, data, "sha256").hex().encode()


@dataclasses.dataclass
class Signed:
    """Entries that should be signed with one key, split into matching and other ones. `secret` is the name of the key."""

    secret: str
    right: list[Frame] = dataclasses.field(default_factory=list)
    wrong: list[Frame] = dataclasses.field(default_factory=list)

    @property
    def total(self) -> int:
        return len(self.right) + len(self.wrong)

    def put(self, frame: Frame, given: bytes, wanted: bytes) -> None:
        (self.right if hmac.compare_digest(given, wanted) else self.wrong).append(frame)

    def forged(self) -> list[Frame]:
        """Return the wrong entries that arrived after every replica must have had the key. Returns none if no entry proves the key."""
        since = min((frame.milliseconds for frame in self.right), default=None)
        if since is None:
            return []
        return [frame for frame in self.wrong if frame.milliseconds > since + 1000 * chain_switch.WINDOW]


def judge(frames: t.Iterable[Frame], streams_key: bytes, audit_key: bytes | None) -> list[Check]:
    """Verify entries of the restored streams with the restored keys.

    Without a signed entry nothing is proven. `audit_key` is None if the restored secret is not a key.
    """
    streams, audit = Signed(STREAMS_KEY), Signed(AUDIT_KEY)
    for frame in frames:
        fields = frame.fields
        if SIGNATURE in fields:
            streams.put(frame, fields[SIGNATURE], signature(streams_key, frame.stream, fields))
        if audit_key and frame.stream == outbox.AUDIT_EVENTS and AUDIT_SIGNATURE in fields:
            audit.put(frame, fields[AUDIT_SIGNATURE], audit_signature(audit_key, fields.get(DATA, b"")))
    return [_key(streams), _forged((streams, audit))]


def _key(found: Signed) -> Check:
    signed = collections.Counter(frame.stream for frame in (*found.right, *found.wrong))
    other = collections.Counter(frame.stream for frame in found.wrong)
    details = {"signed": dict(signed), "other_key": dict(other)}
    earlier = len(found.wrong) - len(found.forged())
    if not found.total:
        return Check(CHECK_ID, UNPROVEN, "no entry of the restored streams is signed, so the key cannot be verified", False, details)
    if not found.right:
        words = f"none of {found.total} entries of the restored streams is signed with the restored {found.secret}"
        return Check(CHECK_ID, FAIL, words, details=details)
    if earlier:
        words = f"{earlier} of {found.total} entries of the restored streams are signed with an earlier key, as after a rotation"
        return Check(CHECK_ID, WARN, words, details=details)
    words = f"{len(found.right)} entries of the restored streams are signed with the restored {found.secret}"
    return Check(CHECK_ID, PASS, words, details=details)


def _forged(kinds: t.Sequence[Signed]) -> Check:
    forged = [(kind.secret, frame) for kind in kinds for frame in kind.forged()]
    proved = [kind for kind in kinds if kind.right]
    details = {
        "verified": {kind.secret: len(kind.right) for kind in kinds},
        "unproved": [kind.secret for kind in kinds if kind not in proved],
    }
    if forged:
        secret, first = forged[0]
        more = f" ({len(forged) - 1} more)" if len(forged) > 1 else ""
        words = (
            f"entry {first.entry} of {first.stream} is not signed with {secret}, "
            f"although earlier entries are: it is forged or damaged{more}"
        )
        entries = [{"stream": frame.stream, "entry": frame.entry, "secret": secret} for secret, frame in forged[:SHOWN]]
        return Check(FORGED, FAIL, words, details={**details, "count": len(forged), "entries": entries})
    if not proved:
        return Check(
            FORGED,
            UNPROVEN,
            "no entry of the restored streams matches a restored key, so forged entries cannot be detected",
            False,
            details,
        )
    total = sum(len(kind.right) for kind in proved)
    return Check(
        FORGED,
        PASS,
        f"{total} signatures with {', '.join(kind.secret for kind in proved)} are valid, and no entry is forged",
        details=details,
    )
