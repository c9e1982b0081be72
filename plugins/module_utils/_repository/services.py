# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The services that ran when a set was created: their images and commands. None of this is secret."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .._errors import OptionError, TamperedData
from .._options.shared import ServiceOptions
from .fields import Fields

# One release of the product has about ten services, each with a few replicas.
LIMIT = 1000
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
# The limit of a line on a terminal or in a table.
_IMAGE = re.compile(r"[!-~]{1,500}\Z")
_PATH = re.compile(r"/[^\0-\x1f\x7f\ud800-\udfff]{0,4000}\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")


@dataclasses.dataclass(frozen=True)
class Service:
    """A service. `image` is the platform's name of the image.

    `digest` is the digest in a registry, or the same as `image_id`, the digest of the image configuration. `command` is
    empty if it contains more than paths, since other arguments can be secret.
    """

    service: str
    replica: str
    image: str
    digest: str
    image_id: str
    command: tuple[str, ...]
    working_directory: str


class RecordedService(t.TypedDict):
    """A `Service` in JSON."""

    service: str
    replica: str
    image: str
    digest: str
    image_id: str
    command: t.Sequence[str]
    working_directory: str


def paths_only(command: t.Iterable[str]) -> tuple[str, ...]:
    """Return the words of a command if all are absolute paths, else none."""
    words = tuple(command)
    return words if all(_PATH.match(word) for word in words) else ()


def path(text: str) -> str:
    """Return the text if it is an absolute path, else the root."""
    return text if _PATH.match(text) else "/"


def parse(values: t.Sequence[object], name: str) -> tuple[Service, ...]:
    """Parse the services of a document. Raises TamperedData."""
    found = [_parsed(Fields(one, f"services[{number}] of {name}")) for number, one in enumerate(values[: LIMIT + 1])]
    if len(found) > LIMIT:
        raise Fields({}, name).fault(f"names more than {LIMIT} services")
    return tuple(found)


def given(values: t.Sequence[ServiceOptions]) -> tuple[Service, ...]:
    """Parse the services of an option. Raises OptionError."""
    try:
        return parse([one.flat() for one in values[: LIMIT + 1]], "the option services")
    except TamperedData as exc:
        raise OptionError.caused_by(exc, f"{exc.msg.partition(';')[0]}; give the services that deployment_info returned") from exc


def _parsed(fields: Fields) -> Service:
    command = fields.array("command")
    if not all(isinstance(word, str) and _PATH.match(word) for word in command):
        raise fields.fault("has an invalid command")
    found = Service(
        service=fields.text("service", _NAME),
        replica=fields.text("replica", _NAME),
        image=fields.text("image", _IMAGE),
        digest=fields.text("digest", _DIGEST),
        image_id=fields.text("image_id", _DIGEST),
        command=tuple(command),
        working_directory=fields.text("working_directory", _PATH),
    )
    fields.end()
    return found
