# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Optional libraries: the import, the least version, and an error that says how to get them."""

from __future__ import annotations

import sys
import typing as t

from ._errors import MissingDependency

try:
    import psycopg2
    import psycopg2.extensions
except ImportError:
    psycopg2 = None

try:
    import pyrage
except ImportError:
    pyrage = None

try:
    import zstandard
except ImportError:
    zstandard = None  # type: ignore[assignment]

try:
    import redis
    import redis.backoff
    import redis.exceptions
    import redis.retry
except ImportError:
    redis = None  # type: ignore[assignment]

try:
    import cryptography
except ImportError:
    cryptography = None  # type: ignore[assignment]


def require_psycopg2() -> t.Any:
    """psycopg2 >= 2.9: snapshots, inventory, COPY streams."""
    return _require(psycopg2, "psycopg2", "psycopg2-binary>=2.9")


def require_pyrage() -> t.Any:
    """pyrage >= 1.3: the age format."""
    return _require(pyrage, "pyrage", "pyrage>=1.3")


def require_zstandard() -> t.Any:
    """zstandard >= 0.22: compression."""
    return _require(zstandard, "zstandard", "zstandard>=0.22")


def require_cryptography() -> t.Any:
    """cryptography >= 42: signature verification."""
    return _require(cryptography, "cryptography", "cryptography>=42")


def require_redis() -> t.Any:
    """redis >= 5.0: streams, groups and pending entries."""
    return _require(redis, "redis", "redis>=5.0")


def require_boto3() -> t.Any:
    """boto3 >= 1.36, which knows `If-None-Match` of multipart uploads. Imported here, since only a bucket needs it."""
    requirement = "boto3>=1.36"
    try:
        import boto3
    except ImportError:
        return _require(None, "boto3", requirement)
    if tuple(int(part) for part in boto3.__version__.split(".")[:2]) < (1, 36):
        raise MissingDependency(
            f"the Python library boto3 {boto3.__version__} is too old for safe uploads; update it: "
            f"{sys.executable} -m pip install '{requirement}'"
        )
    return boto3


def require_pyarrow() -> t.Any:
    """pyarrow >= 15.0, its `parquet` loaded: exports. Earlier ones verify no checksums of pages, and up to 14.0.0 a file can run code.

    Imported here and not above: it takes more time and memory than all others together, and few hosts have exports.
    """
    requirement = "pyarrow>=15.0"
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        return _require(None, "pyarrow", requirement)
    if int(pyarrow.__version__.partition(".")[0]) < 15:
        raise MissingDependency(
            f"the Python library pyarrow {pyarrow.__version__} is too old to read exports safely; update it: "
            f"{sys.executable} -m pip install '{requirement}'"
        )
    return pyarrow


def require_rfc3161() -> t.Any:
    """rfc3161-client >= 1.0.6: timestamps. Earlier ones can be made to believe another authority's. Imported here, since few have any."""
    requirement = "rfc3161-client>=1.0.6"
    try:
        import rfc3161_client
    except ImportError:
        return _require(None, "rfc3161-client", requirement)
    if not hasattr(rfc3161_client.SignerInfo, "issuer"):  # it does not say its version, and this came with the right one
        raise MissingDependency(
            f"the Python library rfc3161-client is too old to verify timestamps safely; update it: "
            f"{sys.executable} -m pip install '{requirement}'"
        )
    return rfc3161_client


def _require(module: t.Any, name: str, requirement: str) -> t.Any:
    if module is None:
        raise MissingDependency(
            f"the Python library {name} is missing on this host; install it: {sys.executable} -m pip install '{requirement}'"
        )
    return module
