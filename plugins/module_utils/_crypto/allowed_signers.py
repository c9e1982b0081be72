# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verification that stored bytes were signed by a key that the operator trusts for this purpose.

It has two steps, because the signed bytes often contain the time at which the signer must have been valid.
`authenticate` verifies the bytes, then `Authentic.signed_by` verifies the signer.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import typing as t

from .._errors import KeyProblem, TamperedData
from . import signer_lists, sshsig
from .signer_lists import AllowedSigner

Clock = t.Callable[[], datetime.datetime]


def utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


@dataclasses.dataclass(frozen=True)
class SignerInfo:
    """The signer: the principal as in the operator's file or as requested, and `SHA256:…` of the key."""

    principal: str
    fingerprint: str


@dataclasses.dataclass(frozen=True)
class Authentic:
    """Proof that a known, unrevoked key signed some bytes for this namespace. `lines` are the key's lines in the list."""

    name: str
    source: str
    fingerprint: str
    lines: tuple[AllowedSigner, ...]

    def signed_by(self, principal: str | None, at: datetime.datetime) -> SignerInfo:
        """Return the signer if the key belongs to `principal` (None: to any) and was valid at that time. Raises KeyProblem."""
        lines = [line for line in self.lines if principal is None or signer_lists.matches(principal, line.principals)]
        if not lines:
            raise KeyProblem(
                f"{self.name} is signed by {self.fingerprint}, which is not a key of {principal} in {self.source}; "
                "add it there if you trust it, otherwise find out who wrote this"
            )
        valid = [line for line in lines if line.is_valid(at)]
        if not valid:
            raise KeyProblem(
                f"{self.name} is signed by {self.fingerprint} ({lines[0].principals}), which was not valid at {at:%Y-%m-%dT%H:%M:%SZ} "
                f"according to {self.source}; sign with a valid key, or correct valid-after and valid-before"
            )
        return SignerInfo(principal or valid[0].principals, self.fingerprint)


class Verifier:
    """Verifies signatures with the operator's lists of keys. `clock` returns the current time in UTC."""

    def __init__(self, source: str, allowed: t.Sequence[AllowedSigner], revoked: frozenset[bytes], clock: Clock = utc_now) -> None:
        self.now = clock
        self._source = source
        self._allowed = tuple(allowed)
        self._revoked = revoked

    @classmethod
    def load(cls, allowed: str, revoked: str | None = None, clock: Clock = utc_now) -> Verifier:
        """Load an `allowed_signers` file and an optional text list of revoked keys. Raises KeyProblem."""
        return cls(allowed, signer_lists.read_allowed(allowed), signer_lists.read_revoked(revoked) if revoked else frozenset(), clock)

    @property
    def digest(self) -> str:
        """A digest of all data that results depend on.

        It covers the content of the lists as this host interprets them, in its time zone, but not their formatting.
        """
        times = ((one.valid_after, one.valid_before) for one in self._allowed)
        spans = [[at and at.astimezone(datetime.timezone.utc).isoformat() for at in pair] for pair in times]
        lines = [[one.principals, one.key.hex(), one.namespaces, *span] for one, span in zip(self._allowed, spans, strict=True)]
        return hashlib.sha256(json.dumps([lines, sorted(one.hex() for one in self._revoked)]).encode()).hexdigest()

    def authenticate(self, data: bytes, signature: bytes, namespace: str, name: str = "the document") -> Authentic:
        """Verify a signature. Raises TamperedData if it does not match the bytes, and KeyProblem if the key is unknown or revoked."""
        parsed = sshsig.parse(signature, f"the signature of {name}")
        if parsed.namespace != namespace.encode():
            actual = ascii(parsed.namespace.decode("utf-8", "replace")[:40])
            raise TamperedData(
                f"{name} has a signature for {actual}, not for {namespace}, so it is another kind of document; use another copy"
            )
        if not parsed.covers(data):
            raise TamperedData(
                f"{name} does not match its signature by {parsed.fingerprint}; use another copy and find out who altered this one"
            )
        if parsed.key in self._revoked:
            raise KeyProblem(f"{name} is signed by {parsed.fingerprint}, which is revoked; use a file that another key signed")
        known = [line for line in self._allowed if line.key == parsed.key]
        lines = tuple(line for line in known if line.namespaces is None or signer_lists.matches(namespace, line.namespaces))
        if not lines:
            what = f"may not sign for {namespace} by" if known else "is not in"
            raise KeyProblem(
                f"{name} is signed by {parsed.fingerprint}, which {what} {self._source}; "
                "add it there if you trust it, otherwise find out who wrote this"
            )
        return Authentic(name, self._source, parsed.fingerprint, lines)

    def remembered(self, fingerprint: str, namespace: str, name: str) -> Authentic:
        """Return the earlier result of `authenticate`, for callers that stored the fingerprint of the signing key.

        The lists must have the same `digest` as at that time.
        """
        lines = tuple(
            line
            for line in self._allowed
            if sshsig.fingerprint(line.key) == fingerprint and (line.namespaces is None or signer_lists.matches(namespace, line.namespaces))
        )
        return Authentic(name, self._source, fingerprint, lines)

    def principals_of(self, signature: sshsig.Signature, namespace: str) -> str | None:
        """Return the principals of the key in a signature, or None if the key may not sign for this namespace.

        The signature itself is not verified.
        """
        if signature.namespace != namespace.encode():
            return None
        lines = [line for line in self._allowed if line.key == signature.key]
        known = [line for line in lines if line.namespaces is None or signer_lists.matches(namespace, line.namespaces)]
        return known[0].principals if known else None

    def unknown_key(self, data: bytes, signature: bytes, namespace: str) -> str | None:
        """Return the fingerprint of the key that signed these bytes, if it is neither allowed nor revoked.

        It may be a new key of this deployment.
        """
        try:
            parsed = sshsig.parse(signature, "a signature")
        except (TamperedData, KeyProblem):
            return None
        judged = parsed.key in self._revoked or any(line.key == parsed.key for line in self._allowed)
        if judged or parsed.namespace != namespace.encode() or not parsed.covers(data):
            return None
        return parsed.fingerprint

    def verify(
        self,
        data: bytes,
        signature: bytes,
        namespace: str,
        principal: str | None = None,
        at: datetime.datetime | None = None,
        name: str = "the document",
    ) -> SignerInfo:
        """Do both steps for a time that is known beforehand (None: now)."""
        return self.authenticate(data, signature, namespace, name).signed_by(principal, at or self.now())
