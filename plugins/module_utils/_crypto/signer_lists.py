# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operator's lists of keys: OpenSSH's `allowed_signers`, and revoked keys, one per line.

Accepted lines have the same meaning for ssh-keygen. Features that only ssh-keygen supports are refused, not skipped.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime
import re

from .._errors import KeyProblem
from .._files import trusted
from . import sshsig

SIZE_LIMIT = 1 << 20
_KRL_MAGIC = b"SSHKRL\n"
_OPTION = re.compile(r'([A-Za-z-]+)(?:="([^"]*)")?(?:,|\Z)')
_LINE = re.compile(r'(?:"([^"]+)"|([^\s"]+))\s+(.+)\Z')
# An option value may contain spaces inside its quotes.
_WITH_OPTIONS = re.compile(r'((?:[^\s"]|"[^"]*")+)\s+(\S.*)\Z')
_TIMES = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


@dataclasses.dataclass(frozen=True)
class AllowedSigner:
    """One line: the principals of a key, its namespaces (None: all), and its validity period."""

    principals: str
    key: bytes
    namespaces: str | None = None
    valid_after: datetime.datetime | None = None
    valid_before: datetime.datetime | None = None

    def is_valid(self, at: datetime.datetime) -> bool:
        early = self.valid_after is not None and at < self.valid_after
        late = self.valid_before is not None and at > self.valid_before
        return not early and not late


def matches(name: str, patterns: str) -> bool:
    """Match a comma-separated list of patterns like ssh: `*`, `?`, and `!` before a pattern that must not match."""
    found = False
    for pattern in patterns.split(","):
        wanted = pattern.removeprefix("!")
        expression = re.escape(wanted).replace(r"\*", ".*").replace(r"\?", ".")
        if re.fullmatch(expression, name, re.DOTALL):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def read_allowed(path: str) -> list[AllowedSigner]:
    """Return all lines of an `allowed_signers` file. Raises KeyProblem that names the line."""
    found = []
    for number, line in _lines(path, "allowed_signers"):
        try:
            found.append(_parse_line(line, f"{path} line {number}"))
        except ValueError as exc:
            raise KeyProblem(f"{path} line {number}: {exc}; see ALLOWED SIGNERS in the manual page of ssh-keygen") from exc
    if not found:
        raise KeyProblem(f"{path} lists no signer; add a line such as 'backup@<deployment> ssh-ed25519 AAAA…'")
    return found


def read_revoked(path: str) -> frozenset[bytes]:
    """Return the revoked public keys, in SSH's encoding."""
    found = set()
    for number, line in _lines(path, "revoked_keys"):
        words = line.split()
        try:
            if len(words) < 2:
                raise ValueError("no public key was found")
            found.add(_blob(words[0], words[1]))
        except ValueError as exc:
            raise KeyProblem(f"{path} line {number}: {exc}; write one revoked public key per line") from exc
    return frozenset(found)


def _lines(path: str, option: str) -> list[tuple[int, str]]:
    try:
        with trusted.reading(path) as stream:
            data = stream.read(SIZE_LIMIT + 1)
    except OSError as exc:
        raise KeyProblem(f"{option} {path} cannot be read: {exc.strerror}; check the path and its owner") from exc
    if data.startswith(_KRL_MAGIC):
        raise KeyProblem(f"{option} {path} is a binary revocation list; give a text file with one revoked public key per line")
    if len(data) > SIZE_LIMIT:
        raise KeyProblem(f"{option} {path} is larger than {SIZE_LIMIT >> 10} KiB, so it cannot be a list of keys; check the path")
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as exc:
        raise KeyProblem(f"{option} {path} is not UTF-8 text; give a list of OpenSSH public keys") from exc
    numbered = ((number, line.strip()) for number, line in enumerate(lines, 1))
    return [(number, line) for number, line in numbered if line and not line.startswith("#")]


def _parse_line(line: str, where: str) -> AllowedSigner:
    found = _LINE.match(line)
    if not found:
        raise ValueError("expected principals and a public key")
    principals, rest = found[1] or found[2], found[3]
    options: dict[str, str] = {}
    if not _is_key_type(rest.split()[0]):
        split = _WITH_OPTIONS.match(rest)
        if not split:
            raise ValueError("expected a public key after the options")
        options, rest = _options(split[1]), split[2]
    words = rest.split()
    if len(words) < 2:
        raise ValueError("the public key is incomplete")
    key = _blob(words[0], words[1])
    sshsig.ed25519_point(key, where)
    after, before = _time(options.get("valid-after")), _time(options.get("valid-before"))
    if after and before and after >= before:
        raise ValueError("valid-after is not before valid-before")
    return AllowedSigner(principals, key, options.get("namespaces"), after, before)


def _is_key_type(word: str) -> bool:
    return word.startswith(("ssh-", "ecdsa-", "sk-", "rsa-")) and "=" not in word


def _blob(kind: str, text: str) -> bytes:
    try:
        blob = base64.b64decode(text, validate=True)
        if sshsig.WireReader(blob).string() != kind.encode():
            raise ValueError("the key type does not match its first word")
    except (binascii.Error, sshsig.WireError) as exc:
        raise ValueError("the public key is damaged") from exc
    return blob


def _options(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _OPTION.match(text, position)
        if not match:
            raise ValueError('an option has an invalid format, expected for example namespaces="a,b"')
        name, value = match[1].lower(), match[2]
        if name not in ("namespaces", "valid-after", "valid-before") or not value:
            raise ValueError(f"option {name} is not supported, only namespaces, valid-after and valid-before")
        if name in found:
            raise ValueError(f"option {name} is given twice")
        found[name] = value
        position = match.end()
    return found


def _time(text: str | None) -> datetime.datetime | None:
    """Parse a time like ssh-keygen: with Z in UTC, else in the time zone of this host."""
    if text is None:
        return None
    digits = text.removesuffix("Z")
    if not re.fullmatch(r"[0-9]+", digits) or len(digits) not in _TIMES:
        raise ValueError(f"{text[:20]!a} is not a time, expected YYYYMMDD[HHMM[SS]]Z")
    naive = datetime.datetime.strptime(digits, _TIMES[len(digits)])  # noqa: DTZ007 - the zone is set in the next line
    return naive.replace(tzinfo=datetime.timezone.utc) if text.endswith("Z") else naive.astimezone()
