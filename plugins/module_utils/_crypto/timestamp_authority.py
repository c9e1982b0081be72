# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests to a timestamp authority over HTTP. The answer is trusted because of its signature, so the transport needs no trust."""

from __future__ import annotations

import http.client
import queue
import threading
import typing as t
import urllib.error
import urllib.parse
import urllib.request

from .._errors import BackupError, OptionError, Unreachable
from .._report.text import one_line
from . import timestamps
from .timestamps import Anchors, Stamp

TIMEOUT = 30.0
_HEADERS = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
_OTHER = "check timestamp_url, or use another authority"


def check_url(url: str) -> str:
    """Return the address if it is valid. Raises OptionError."""
    try:
        parts = urllib.parse.urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and url.isprintable() and " " not in url
    except ValueError:
        fits = False
    if not fits or "@" in parts.netloc:
        raise OptionError(
            "timestamp_url is not the address of an authority; give one such as https://tsa.example.org/tsr, without user or password"
        )
    return url


def ask(url: str, data: bytes, sha256: str, anchors: Anchors, timeout: float = TIMEOUT) -> tuple[bytes, Stamp]:
    """Return the authority's answer and the verified timestamp of `data`, within `timeout` seconds. `sha256` is the digest of `data`.

    Raises Unreachable if the authority returns no timestamp, and TamperedData or KeyProblem if the timestamp proves
    nothing.
    """
    question = timestamps.question(data)
    answer = _in_time(url, question.data, timeout)
    why = timestamps.refusal(answer)
    if why:
        raise Unreachable(f"{_place(url)} returned no timestamp: {why}; {_OTHER}")
    return answer, anchors.verify(answer, sha256, f"the answer of {_place(url)}", question.nonce)


def _place(url: str) -> str:
    """Return the URL without its query, which contains a key for some authorities."""
    return url.partition("?")[0]


def _in_time(url: str, body: bytes, timeout: float) -> bytes:
    """Send the request in a thread, and abandon the thread after the timeout: socket timeouts start again with each byte."""
    answers: queue.SimpleQueue[bytes | BackupError] = queue.SimpleQueue()
    threading.Thread(target=lambda: answers.put(_post(url, body, timeout)), daemon=True).start()
    try:
        found = answers.get(timeout=timeout)
    except queue.Empty:
        found = _late(url, timeout)
    if isinstance(found, BackupError):
        raise found
    return found


def _post(url: str, body: bytes, timeout: float) -> bytes | BackupError:
    try:
        request = urllib.request.Request(url, body, _HEADERS, method="POST")
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout) as reply:
            answer: bytes = reply.read(timestamps.SIZE_LIMIT + 1)
    except urllib.error.HTTPError as exc:
        redirect = ", a redirect, which is not followed" if 300 <= exc.code < 400 else ""
        return Unreachable(f"{_place(url)} answered with HTTP status {exc.code}{redirect}; {_OTHER}")
    except (OSError, http.client.HTTPException, ValueError) as exc:
        inner = exc.reason if isinstance(exc, urllib.error.URLError) and isinstance(exc.reason, Exception) else exc
        if isinstance(inner, TimeoutError):
            return _late(url, timeout)
        return Unreachable(f"{_place(url)} does not answer: {_reason(inner)}; check the network, or use another authority")
    if len(answer) > timestamps.SIZE_LIMIT:
        return Unreachable(
            f"{_place(url)} answered with more than {timestamps.SIZE_LIMIT >> 20} MiB, so it cannot be a timestamp; {_OTHER}"
        )
    return answer


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: an attacker in between could redirect to a third party, or to a service of the local network."""

    def redirect_request(self, *_about: t.Any) -> None:
        return None


def _late(url: str, timeout: float) -> Unreachable:
    return Unreachable(f"{_place(url)} did not answer within {timeout:g} s; check the network, or use another authority")


def _reason(exc: Exception) -> str:
    words = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
    return one_line(words)[:200] or type(exc).__name__
