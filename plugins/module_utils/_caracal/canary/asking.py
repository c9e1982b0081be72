# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests to the services of a copy. Answers are shortened for reports and contain no token or secret."""

from __future__ import annotations

import dataclasses
import json
import os
import typing as t
import urllib.parse

from ..._reasons import NO_ANSWER, because
from ..._report.text import one_line

STS, GATEWAY, API, COORDINATOR = "sts", "gateway", "api", "coordinator"
SERVICES = (STS, GATEWAY, API, COORDINATOR)
TEXT_LIMIT = 200  # characters of text from a service


class Reply(t.Protocol):
    """A reply. If the service did not answer, `status` is None and `error` has the reason. Names in `headers` are in lower case."""

    @property
    def status(self) -> int | None: ...
    @property
    def headers(self) -> t.Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...
    @property
    def error(self) -> str: ...


class Ask(t.Protocol):
    """Send a request. Network errors do not raise an exception."""

    def __call__(self, method: str, url: str, headers: t.Mapping[str, str], body: bytes | None, /) -> Reply: ...


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer of a service. `content` is its JSON or None. It may contain secrets, so it is never reported."""

    service: str
    status: int | None
    error: str = ""
    description: str = ""
    content: t.Any = dataclasses.field(default=None, repr=False)
    headers: t.Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    text: str = dataclasses.field(default="", repr=False)

    @property
    def facts(self) -> dict[str, object]:
        """The answer for the `details` of a check."""
        facts: dict[str, object] = {"service": self.service, "status": self.status, "error": self.error, "description": self.description}
        return facts if self.status is not None else {**facts, **because(NO_ANSWER)}

    def __str__(self) -> str:
        if self.status is None:
            return f"{self.service} did not answer ({self.description})"
        words = " ".join(word for word in (self.error, f'"{self.description}"' if self.description else "") if word)
        return f"{self.service} answered {self.status}{f' {words}' if words else ''}"

    def is_(self, status: int, description: str) -> bool:
        return self.status == status and self.description == description


class Refused(Exception):
    """A step received an unexpected answer."""

    def __init__(self, step: str, answer: Answer) -> None:
        super().__init__(f"{step}: {answer}")
        self.step = step
        self.answer = answer


class Services:
    """The services by their base URLs. Code that learns a secret passes it to `hide`, so that no reported answer contains it."""

    def __init__(self, ask: Ask, urls: t.Mapping[str, str], admin_token: str = "") -> None:
        self._ask = ask
        self._urls = urls
        self._admin_token = admin_token
        self._hidden = {admin_token} - {""}

    def has(self, service: str) -> bool:
        return service in self._urls

    def asking(self, ask: Ask) -> Services:
        """Return the same services with another function that sends the requests."""
        other = Services(ask, self._urls, self._admin_token)
        other._hidden = self._hidden
        return other

    def hide(self, secret: str) -> str:
        if secret:
            self._hidden.add(secret)
        return secret

    def api(self, method: str, path: str, body: t.Any = None) -> Answer:
        """Call the API with the administrator's token."""
        return self.call(API, method, path, token=self._admin_token, body=body)

    def call(
        self,
        service: str,
        method: str,
        path: str,
        *,
        token: str = "",
        body: t.Any = None,
        form: t.Sequence[tuple[str, str]] | None = None,
        headers: t.Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request. `path` starts with a slash and is already quoted. `body` is sent as JSON, `form` as form data."""
        if not self.has(service):
            return Answer(service, None, description="its URL is not configured")
        sent = {"Accept": "application/json", **(headers or {})}
        content = None
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            content, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        if form is not None:
            content, sent["Content-Type"] = urllib.parse.urlencode(form).encode(), "application/x-www-form-urlencoded"
        return self._answer(service, self._ask(method, self._urls[service].rstrip("/") + path, sent, content))

    def _answer(self, service: str, reply: Reply) -> Answer:
        if reply.status is None:
            return Answer(service, None, description=self._reported(reply.error))
        content = _json(reply.body)
        named = content if isinstance(content, dict) else {}
        words = named.get("error_description", named.get("reason", named.get("message", "")))
        return Answer(
            service,
            reply.status,
            self._reported(named.get("error", "")),
            self._reported(words),
            content,
            reply.headers,
            reply.body.decode("utf-8", "replace"),
        )

    def _reported(self, words: object) -> str:
        """Return text from a service as one short line without any known secret."""
        if not isinstance(words, str):
            return ""
        for secret in self._hidden:
            words = words.replace(secret, "(secret)")
        return one_line(words)[:TEXT_LIMIT]


def expect(step: str, answer: Answer, status: int, *names: str) -> tuple[str, ...]:
    """Return the text fields `names` of an answer. Raises Refused if the status is not `status` or a field is missing."""
    content = answer.content if isinstance(answer.content, dict) else {}
    found = tuple(content.get(name) for name in names)
    if answer.status != status or not all(isinstance(one, str) and one for one in found):
        raise Refused(step, answer)
    return t.cast("tuple[str, ...]", found)


def quoted(name: str) -> str:
    """Quote an ID for use in a path."""
    return urllib.parse.quote(name, safe="")


def request_id() -> str:
    """Return a new ID for one request. It identifies the request's audit rows and log lines."""
    return f"caracal-ops-{os.urandom(8).hex()}"


def _json(body: bytes) -> t.Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
