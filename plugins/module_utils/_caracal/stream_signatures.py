# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Who signed what waits in the streams: `_sig` is HMAC-SHA256 under `STREAMS_HMAC_KEY` of the stream's name and the sorted fields.

A service drops and acknowledges an entry that another key signed. With the wrong key every revocation that waited is lost, and
every service is ready.
"""

from __future__ import annotations

import collections
import hmac
import typing as t

from .._report.check import FAIL, PASS, UNPROVEN, WARN, Check

CHECK_ID = "secrets.streams_key"
SIGNATURE = b"_sig"
Entry = tuple[str, t.Mapping[bytes, bytes]]


def signature(key: bytes, stream: str, fields: t.Mapping[bytes, bytes]) -> bytes:
    """Hex, as the field `_sig` holds it."""
    lines = [b"%b=%b\n" % (name, fields[name]) for name in sorted(fields) if name != SIGNATURE]
    return hmac.digest(key, b"".join([stream.encode() + b"\n", *lines]), "sha256").hex().encode()


def judge(entries: t.Iterable[Entry], key: bytes) -> Check:
    """Entries (stream, fields) of the restored streams against the restored key. Without a signed one nothing is proved."""
    signed: collections.Counter[str] = collections.Counter()
    other: collections.Counter[str] = collections.Counter()
    for stream, fields in entries:
        if SIGNATURE in fields:
            signed[stream] += 1
            other[stream] += not hmac.compare_digest(signature(key, stream, fields), fields[SIGNATURE])
    details = {"signed": dict(signed), "other_key": {stream: count for stream, count in other.items() if count}}
    total, wrong = signed.total(), other.total()
    if not total:
        return Check(CHECK_ID, UNPROVEN, "no entry of the restored streams is signed, so nothing proves the key", False, details)
    if wrong == total:
        return Check(
            CHECK_ID, FAIL, f"none of {total} entries of the restored streams is signed with the restored streamsHmacKey", details=details
        )
    if wrong:
        words = f"{wrong} of {total} entries of the restored streams are signed with another key than streamsHmacKey, as after a rotation"
        return Check(CHECK_ID, WARN, words, details=details)
    return Check(CHECK_ID, PASS, f"{total} entries of the restored streams are signed with the restored streamsHmacKey", details=details)
