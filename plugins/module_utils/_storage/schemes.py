# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which store a location means."""

from __future__ import annotations

import os
import re
import typing as t

from .._errors import OptionError
from . import s3_lock
from .base import Store
from .local import LocalStore

# As AWS has them, but for underscores and capitals, which other stores allow.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}\Z")
_PREFIX = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9._-]*(/|\Z))*\Z")
_CONNECTION = ("endpoint", "region", "path_style", "plain_http", "ca_bundle", "profile", "credentials_file", "role_arn")


def open_store(location: str, options: t.Mapping[str, t.Any] | None = None) -> Store:
    """The store at `/absolute/path`, `file:///absolute/path` or `s3://bucket/prefix`, with `options` of fragment `_repository`.

    Nothing is asked of it yet. Raises OptionError.
    """
    if not location:
        raise OptionError("no repository is named; set repository, or for the roles caracal_ops_repository")
    scheme, separator, rest = location.partition("://")
    if not separator:
        return _local(location, {})
    if scheme not in _SCHEMES:
        raise OptionError(f"repository: {scheme[:20]}:// is no kind of store; give an absolute path or s3://bucket/prefix")
    return _SCHEMES[scheme](rest, options or {})


def _local(path: str, _options: t.Mapping[str, t.Any]) -> Store:
    if not path.startswith("/") or re.search(r"[\x00-\x1f\x7f]", path):
        raise OptionError(f"repository {path!r} is no absolute path; give one such as /srv/backup/caracal")
    return LocalStore(os.path.normpath("/" + path.lstrip("/")))


def _s3(rest: str, options: t.Mapping[str, t.Any]) -> Store:
    # Half the code of this package, which a call with a directory does not read.
    from .s3 import S3Store
    from .s3_client import Connection

    bucket, _slash, prefix = rest.partition("/")
    prefix = prefix.rstrip("/")
    if not _BUCKET.match(bucket) or not _PREFIX.match(prefix):
        raise OptionError(
            "repository is no bucket with a prefix of letters, digits, '.', '_' and '-'; give one such as s3://caracal-backup/prod"
        )
    given: dict[str, t.Any] = {name: options.get(f"s3_{name}") for name in _CONNECTION}
    connection = Connection(**given)
    if connection.endpoint and not re.match(r"https?://[^\s@/]+/?\Z", connection.endpoint):
        raise OptionError("s3_endpoint is no address of a server; give one such as https://s3.example.org, without user or password")
    lock = s3_lock.make(
        options.get("lock_mode") or s3_lock.NONE, options.get("lock_days"), options.get("lock_days_max") or s3_lock.DAYS_MAX
    )
    return S3Store(bucket, prefix, connection, lock, probe=bool(options.get("lock_probe")))


_SCHEMES: dict[str, t.Callable[[str, t.Mapping[str, t.Any]], Store]] = {"file": _local, "s3": _s3}
