# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A timestamp authority (RFC 3161) with keys of its own. Tests can make it give wrong answers."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import http.server
import ipaddress
import ssl
import threading
import time
import typing as t
from pathlib import Path

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

YEAR = datetime.timedelta(days=365)
POLICY = "1.2.3.4.1"


@dataclasses.dataclass(frozen=True)
class Signed:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        form = serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def certificate(name: str, issuer: Signed | None = None, *, usage: t.Sequence[x509.ObjectIdentifier] | None = None) -> Signed:
    """Return a CA certificate, or with `usage` a certificate for that use only. It is three years old, and valid for one more."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder(subject_name=subject, issuer_name=issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 3 * YEAR)
        .not_valid_after(now + YEAR)
        .add_extension(x509.BasicConstraints(ca=usage is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        # From Python 3.13 on, a server's certificate must identify its signer's key, and a CA certificate its permitted uses.
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key((issuer.key if issuer else key).public_key()), critical=False)
        .add_extension(_key_usage(signs=usage is None), critical=True)
    )
    if usage:
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        made = made.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        made = made.add_extension(x509.ExtendedKeyUsage(usage), critical=True)
    return Signed(made.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def _key_usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


class Authority:
    """A root, an intermediate and the signing certificate. Set an attribute to make the next answers wrong."""

    def __init__(self, name: str = "Test", usage: t.Sequence[x509.ObjectIdentifier] = (ExtendedKeyUsageOID.TIME_STAMPING,)) -> None:
        self.root = certificate(f"{name} Root")
        self.between = certificate(f"{name} Intermediate", self.root)
        self.stamper = certificate(f"{name} Stamper", self.between, usage=usage)
        self.time: datetime.datetime | None = None
        self.digest: bytes | None = None
        self.algorithm: str | None = None
        self.nonce: int | None = None
        self.status = "granted"
        self.words: str | None = None
        self.certificates: t.Sequence[Signed] = (self.stamper, self.between)

    def roots(self, folder: Path, *more: Signed) -> str:
        """Write a PEM file with its root, and other given certificates."""
        path = folder / f"{self.root.certificate.serial_number}-{len(more)}.pem"
        path.write_bytes(b"# certificates of the authority\n" + b"".join(one.pem for one in (self.root, *more)))
        return str(path)

    def stamp(self, data: bytes) -> bytes:
        """Return a timestamp of `data` without a request over the network."""
        imprint = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": hashlib.sha256(data).digest()}
        return self.answer(tsp.TimeStampReq({"version": "v1", "message_imprint": imprint}).dump())

    def answer(self, request: bytes) -> bytes:
        """Return the authority's answer to a request, in DER."""
        status: dict[str, t.Any] = {"status": self.status}
        if self.words is not None:
            status["status_string"] = [self.words]
        if self.status != "granted":
            return bytes(_Refusal({"status": status}).dump())
        token = cms.ContentInfo({"content_type": "signed_data", "content": self._signed(tsp.TimeStampReq.load(request))})
        return bytes(tsp.TimeStampResp({"status": status, "time_stamp_token": token}).dump())

    def _signed(self, request: tsp.TimeStampReq) -> cms.SignedData:
        content = self._info(request).dump()
        stamper = asn1_x509.Certificate.load(self.stamper.der)
        reference = tsp.SigningCertificateV2({"certs": [{"cert_hash": hashlib.sha256(self.stamper.der).digest()}]})
        attributes = cms.CMSAttributes(
            [
                cms.CMSAttribute({"type": "content_type", "values": ["tst_info"]}),
                cms.CMSAttribute({"type": "message_digest", "values": [hashlib.sha256(content).digest()]}),
                cms.CMSAttribute({"type": "signing_certificate_v2", "values": [reference]}),
            ]
        )
        signer = cms.SignerInfo(
            {
                "version": "v1",
                "sid": {"issuer_and_serial_number": {"issuer": stamper.issuer, "serial_number": stamper.serial_number}},
                "digest_algorithm": {"algorithm": "sha256"},
                "signed_attrs": attributes,
                "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"}),
                "signature": self.stamper.key.sign(attributes.dump(), ec.ECDSA(hashes.SHA256())),
            }
        )
        return cms.SignedData(
            {
                "version": "v3",
                "digest_algorithms": [{"algorithm": "sha256"}],
                "encap_content_info": {"content_type": "tst_info", "content": core.ParsableOctetString(content)},
                "certificates": [asn1_x509.Certificate.load(one.der) for one in self.certificates],
                "signer_infos": [signer],
            }
        )

    def _info(self, request: tsp.TimeStampReq) -> tsp.TSTInfo:
        digest = self.digest or request["message_imprint"]["hashed_message"].native
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        return tsp.TSTInfo(
            {
                "version": "v1",
                "policy": POLICY,
                "message_imprint": {"hash_algorithm": {"algorithm": self.algorithm or "sha256"}, "hashed_message": digest},
                "serial_number": x509.random_serial_number(),
                "gen_time": self.time or now,
                "nonce": self.nonce if self.nonce is not None else request["nonce"].native,
            }
        )


class _Refusal(core.Sequence):
    """An answer without a timestamp, which the library's own class cannot represent."""

    _fields: t.ClassVar = [("status", tsp.PKIStatusInfo)]


class Server(http.server.ThreadingHTTPServer):
    """A server at `url`, with TLS if `tls` is a file with certificate and key.

    `asked` are the requests. If `body` is set, it is the answer. `pause` is the delay before each of two halves.
    """

    daemon_threads = True

    def __init__(self, authority: Authority, tls: Path | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.authority = authority
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.server_address[1]}/tsr"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.asked: list[tuple[t.Mapping[str, str], bytes]] = []
        self.code, self.headers = 200, {"Content-Type": "application/timestamp-reply"}
        self.body: bytes | None = None
        self.pause = 0.0


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        request = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((dict(self.headers), request))
        body = self.server.authority.answer(request) if self.server.body is None else self.server.body
        time.sleep(self.server.pause)
        self.send_response(self.server.code)
        for name, value in {**self.server.headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):  # the client may have disconnected
            self.wfile.write(body[:10])
            time.sleep(self.server.pause)
            self.wfile.write(body[10:])

    def log_message(self, *_args: t.Any) -> None:
        pass


@contextlib.contextmanager
def serve(authority: Authority, tls: Path | None = None) -> t.Iterator[Server]:
    with Server(authority, tls) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
