# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""RFC 3161 timestamps: proof that an authority trusted by the operator has seen a digest at a certain time."""

from __future__ import annotations

import dataclasses
import datetime
import re
import typing as t

from .._deps import require_cryptography, require_rfc3161
from .._errors import KeyProblem, TamperedData
from .._files import trusted
from .._report.text import one_line

SIZE_LIMIT = 1 << 20
_SHA256 = "2.16.840.1.101.3.4.2.1"
_CHAIN = re.compile(r'"Verify error: ?([^"]+)"')
_ALTERED = "find out who altered it"


@dataclasses.dataclass(frozen=True)
class Stamp:
    """The time at which an authority saw a digest, by its own clock, and the subject of its signing certificate."""

    time: datetime.datetime
    authority: str


@dataclasses.dataclass(frozen=True)
class Question:
    """A request in DER, and the number that the answer must repeat."""

    data: bytes
    nonce: int


def question(data: bytes) -> Question:
    """Create a request for a timestamp of the SHA-256 of `data`, with the authority's certificates. Raises MissingDependency."""
    library = require_rfc3161()
    made = library.TimestampRequestBuilder(data=data, hash_algorithm=library.HashAlgorithm.SHA256, nonce=True, cert_req=True).build()
    return Question(made.as_bytes(), made.nonce)


def _bounded(answer: bytes) -> bytes:
    if len(answer) > SIZE_LIMIT:
        raise ValueError(f"more than {SIZE_LIMIT} bytes")
    return answer


def refusal(answer: bytes) -> str | None:
    """Return the reason why an answer has no timestamp, in the authority's own words if it gives any. None if it has one."""
    library = require_rfc3161()
    try:
        parsed = library.decode_timestamp_response(_bounded(answer))
        status = library.PKIStatus(parsed.status)
        words = one_line(" ".join(parsed.status_string))[:200]
    except ValueError:
        return "the answer is not from a timestamp authority"
    if status == library.PKIStatus.GRANTED:
        return None
    return f"{status.name.lower().replace('_', ' ')}{f' ({words})' if words else ''}"


@dataclasses.dataclass(frozen=True)
class Anchors:
    """Certificates of trusted authorities: each chain must end at one of `roots`. `source` is the file."""

    source: str
    roots: tuple[t.Any, ...]
    intermediates: tuple[t.Any, ...]

    @classmethod
    def load(cls, path: str) -> Anchors:
        """Load a file with PEM certificates. Raises KeyProblem, MissingDependency."""
        require_cryptography()
        require_rfc3161()
        from cryptography import x509

        try:
            with trusted.reading(path) as stream:
                data = stream.read(SIZE_LIMIT + 1)
        except OSError as exc:
            raise KeyProblem(f"timestamp_roots {path} cannot be read: {exc.strerror}; check the path and its owner") from exc
        try:
            found = x509.load_pem_x509_certificates(data[:SIZE_LIMIT])
        except ValueError as exc:
            raise KeyProblem(
                f"timestamp_roots {path} contains no valid PEM certificate; download the authority's root certificate again"
            ) from exc
        roots = tuple(one for one in found if one.issuer == one.subject)
        if not roots:
            raise KeyProblem(f"timestamp_roots {path} has only intermediate certificates; add the root certificate of the authority")
        return cls(path, roots, tuple(one for one in found if one not in roots))

    def verify(self, answer: bytes, sha256: str, name: str, nonce: int | None = None) -> Stamp:
        """Verify a timestamp of this digest and return its content.

        Certificates must have been valid when the timestamp was created, and may have expired since. Raises
        TamperedData if it is not a timestamp or is about other data, and KeyProblem if its chain does not end at a
        trusted root.
        """
        library = require_rfc3161()
        verifier = library.VerifierBuilder(roots=list(self.roots), intermediates=list(self.intermediates), nonce=nonce).build()
        try:
            parsed = library.decode_timestamp_response(_bounded(answer))
            imprint = parsed.tst_info.message_imprint
            about = imprint.hash_algorithm.dotted_string == _SHA256 and imprint.message == bytes.fromhex(sha256)
            if about:
                verifier.verify(parsed, imprint.message)
                return Stamp(parsed.tst_info.gen_time, _signer(parsed))
        except library.VerificationError as exc:
            raise self._problem(str(exc), name) from exc
        except Exception as exc:  # foreign parsers of untrusted bytes can raise any exception
            raise TamperedData(f"{name} is not a valid timestamp; {_ALTERED}") from exc
        raise TamperedData(f"{name} is a timestamp of other data; {_ALTERED}")

    def _problem(self, message: str, name: str) -> KeyProblem | TamperedData:
        chain = _CHAIN.search(message)
        if chain:
            return KeyProblem(
                f"{name} is not signed by an authority in {self.source} ({chain[1]}); if you trust its authority, add its root and "
                "intermediate certificates there, otherwise find out who created it"
            )
        if "nonce" in message.lower():
            return TamperedData(f"{name} answers another request; {_ALTERED}")
        return TamperedData(f"{name} has no valid signature; {_ALTERED}")


def _signer(parsed: t.Any) -> str:
    """Return the subject of the signing certificate. Other certificates are included unsigned, so an ambiguous match raises ValueError."""
    from cryptography import x509

    (signer,) = parsed.signed_data.signer_infos
    certificates = [x509.load_der_x509_certificate(one) for one in parsed.signed_data.certificates]
    (found,) = [one for one in certificates if (one.issuer, one.serial_number) == (signer.issuer, signer.serial_number)]
    return one_line(found.subject.rfc4514_string())[:200]
