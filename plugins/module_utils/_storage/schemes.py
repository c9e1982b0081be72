# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Selection of the store for a location."""

from __future__ import annotations

import os
import re

from .._errors import OptionError
from .._options.shared import BucketOptions
from . import s3_lock
from .base import Store
from .local import LocalStore

_SCHEMES = ("file", "s3")
# The rules of AWS, plus underscores and capitals, which other stores allow.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}\Z")
_PREFIX = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9._-]*(/|\Z))*\Z")


def open_store(location: str, options: BucketOptions | None = None) -> Store:
    """Return the store at `/absolute/path`, `file:///absolute/path` or `s3://bucket/prefix`.

    The store is not accessed yet. Raises OptionError.
    """
    if not location:
        raise OptionError("no repository is set; set repository, or caracal_ops_repository for the roles")
    scheme, separator, rest = location.partition("://")
    if not separator:
        return _local(location)
    if scheme not in _SCHEMES:
        raise OptionError(f"repository has the unknown scheme {scheme[:20]}://; give an absolute path or s3://bucket/prefix")
    return _local(rest) if scheme == "file" else _s3(rest, options or BucketOptions())


def _local(path: str) -> Store:
    if not path.startswith("/") or re.search(r"[\x00-\x1f\x7f]", path):
        raise OptionError(f"repository {path!r} is not an absolute path; give one such as /srv/backup/caracal")
    return LocalStore(os.path.normpath("/" + path.lstrip("/")))


def _s3(rest: str, options: BucketOptions) -> Store:
    # Imported here: half the code of this package, which a call with a directory does not need.
    from .s3 import S3Store
    from .s3_client import Connection

    bucket, _slash, prefix = rest.partition("/")
    prefix = prefix.rstrip("/")
    if not _BUCKET.match(bucket) or not _PREFIX.match(prefix):
        raise OptionError(
            "repository is not a bucket with a prefix of letters, digits, '.', '_' and '-'; give one such as s3://caracal-backup/prod"
        )
    connection = Connection(
        endpoint=options.s3_endpoint,
        region=options.s3_region,
        path_style=options.s3_path_style,
        plain_http=options.s3_plain_http,
        ca_bundle=options.s3_ca_bundle,
        profile=options.s3_profile,
        credentials_file=options.s3_credentials_file,
        role_arn=options.s3_role_arn,
    )
    if connection.endpoint and not re.match(r"https?://[^\s@/]+/?\Z", connection.endpoint):
        raise OptionError("s3_endpoint is not the address of a server; give one such as https://s3.example.org, without user or password")
    lock = s3_lock.make(options.lock_mode, options.lock_days, options.lock_days_max)
    return S3Store(bucket, prefix, connection, lock, probe=options.lock_probe)
