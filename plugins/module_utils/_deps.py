# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Optional libraries: import, minimum version, and an error that explains how to install them.

Each library is imported only when it is needed. A module starts in a tenth of a second, and importing all libraries
takes three times as long.
"""

from __future__ import annotations

import sys
import typing as t

from ._errors import MissingDependency


def require_psycopg2() -> t.Any:
    """Return psycopg2 >= 2.9, for snapshots, inventory and COPY streams."""
    try:
        import psycopg2
        import psycopg2.extensions
    except ImportError:
        return _missing("psycopg2", "psycopg2-binary>=2.9")
    return psycopg2


def require_pyrage() -> t.Any:
    """Return pyrage >= 1.3, for the age format."""
    try:
        import pyrage
    except ImportError:
        return _missing("pyrage", "pyrage>=1.3")
    return pyrage


def require_zstandard() -> t.Any:
    """Return zstandard >= 0.22, for compression."""
    try:
        import zstandard
    except ImportError:
        return _missing("zstandard", "zstandard>=0.22")
    return zstandard


def require_cryptography() -> t.Any:
    """Return cryptography >= 42, for signature verification."""
    try:
        import cryptography
    except ImportError:
        return _missing("cryptography", "cryptography>=42")
    return cryptography


def require_redis() -> t.Any:
    """Return redis >= 5.0, for streams, groups and pending entries. The import takes a fifth of a second."""
    try:
        import redis
        import redis.backoff
        import redis.exceptions
        import redis.retry
    except ImportError:
        return _missing("redis", "redis>=5.0")
    return redis


def require_docker() -> t.Any:
    """Return docker >= 7.0 with its `errors`, for the API of Docker and of Podman."""
    try:
        import docker
        import docker.errors
    except ImportError:
        return _missing("docker", "docker>=7.0")
    return docker


def require_boto3() -> t.Any:
    """Return boto3 >= 1.36, which supports `If-None-Match` in multipart uploads."""
    requirement = "boto3>=1.36"
    try:
        import boto3
    except ImportError:
        return _missing("boto3", requirement)
    if tuple(int(part) for part in boto3.__version__.split(".")[:2]) < (1, 36):
        raise MissingDependency(
            f"the Python library boto3 {boto3.__version__} is too old for safe uploads; update it: "
            f"{sys.executable} -m pip install '{requirement}'"
        )
    return boto3


def require_pyarrow() -> t.Any:
    """Return pyarrow >= 15.0 with its `parquet`, for exports.

    Earlier versions do not verify checksums of pages, and up to 14.0.0 a file can run code. It needs more time and
    memory than all others together.
    """
    requirement = "pyarrow>=15.0"
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        return _missing("pyarrow", requirement, in_setup=False)
    if int(pyarrow.__version__.partition(".")[0]) < 15:
        raise MissingDependency(
            f"the Python library pyarrow {pyarrow.__version__} is too old to read exports safely; update it: "
            f"{sys.executable} -m pip install '{requirement}'"
        )
    return pyarrow


def require_rfc3161() -> t.Any:
    """Return rfc3161-client >= 1.0.6, for timestamps. Earlier versions can be tricked into trusting another authority."""
    requirement = "rfc3161-client>=1.0.6"
    try:
        import rfc3161_client
    except ImportError:
        return _missing("rfc3161-client", requirement)
    if not hasattr(rfc3161_client.SignerInfo, "issuer"):  # new in the required version; the library has no version number
        raise MissingDependency(
            f"the Python library rfc3161-client is too old to verify timestamps safely; update it: "
            f"{sys.executable} -m pip install '{requirement}'"
        )
    return rfc3161_client


def _missing(name: str, requirement: str, *, in_setup: bool = True) -> t.NoReturn:
    """Raise MissingDependency. `in_setup` is True if the playbook `setup` installs the library."""
    best = "run the playbook caracal_ops.backup.setup, which installs it, or " if in_setup else ""
    raise MissingDependency(
        f"the Python library {name} is missing on this host; {best}install it: {sys.executable} -m pip install '{requirement}'"
    )
