# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections to a bucket, and the translation of their errors. Credentials come from boto3's usual sources or from a file."""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import os
import typing as t
import urllib.parse

from .._deps import require_boto3
from .._errors import (
    BackupError,
    ObjectExists,
    ObjectMissing,
    OptionError,
    PermissionMissing,
    StorageError,
    Unreachable,
)
from .._files import paths
from .._stream import secret_files

ATTEMPTS = 6
CONNECTIONS = 16
CONNECT_SECONDS = 10
READ_SECONDS = 60
SESSION_NAME = "caracal-backup"
_REGION = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301", "307")
_LOGIN = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidClientTokenId", "InvalidToken", "InvalidSecurity")
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired")
_BUSY = ("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "Throttling", "500", "502", "503", "504")
_DIGEST = ("BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch", "InvalidPart")
_MISSING = ("NoSuchKey", "NoSuchVersion", "404")
_FORBIDDEN = ("AccessDenied", "AllAccessDisabled", "AccountProblem", "403")


@dataclasses.dataclass(frozen=True)
class Connection:
    """Connection settings of a store. `endpoint` None means AWS, and `plain_http` allows an endpoint without TLS.

    Without `role_arn`, the credentials are used directly.
    """

    endpoint: str | None = None
    region: str | None = None
    path_style: bool = False
    plain_http: bool = False
    ca_bundle: str | None = None
    profile: str | None = None
    credentials_file: str | None = None
    role_arn: str | None = None


def connect(where: str, to: Connection) -> t.Any:
    """Return a boto3 client. Raises Unreachable, OptionError, MissingDependency."""
    boto3 = require_boto3()
    import botocore.config
    import botocore.session

    config = botocore.config.Config(
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=CONNECTIONS,
        s3={"addressing_style": "path" if to.path_style else "auto"},
    )
    with translated_errors(where):
        session = botocore.session.Session(profile=to.profile)
        if to.credentials_file:
            session.set_config_variable("credentials_file", to.credentials_file)
        _refuse_shared(session.get_config_variable("credentials_file"))
        if to.region:
            session.set_config_variable("region", to.region)
        if to.role_arn:
            _assume(session, to)
        found = boto3.Session(botocore_session=session)
        client = found.client("s3", endpoint_url=to.endpoint, verify=to.ca_bundle, config=config)
    _check_transport(where, client.meta.endpoint_url, to.plain_http)
    return client


def _refuse_shared(credentials: str) -> None:
    """Raise KeyProblem if other users can read the credentials file."""
    path = os.path.expanduser(credentials)
    with contextlib.suppress(OSError), paths.reading(path) as stream:
        secret_files.refuse_shared(stream.fileno(), "credentials file", path)


def _check_transport(where: str, address: str, plain_http: bool) -> None:
    """Check the address that is really used: a profile or the environment can set it too."""
    parts = urllib.parse.urlsplit(address)
    if parts.scheme == "https" or plain_http or _is_loopback(parts.hostname or ""):
        return
    raise OptionError(
        f"{where}: {address} is not an https:// address, so anyone on the network can read and alter requests; give an https:// "
        "address, or set s3_plain_http if the network itself is encrypted"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _assume(session: t.Any, to: Connection) -> None:
    """Use credentials of the role that are renewed before they expire."""
    import botocore.credentials

    source = session.get_credentials()
    if source is None:
        raise Unreachable(f"no credentials to assume the role {to.role_arn}; set s3_profile or s3_credentials_file")
    fetcher = botocore.credentials.AssumeRoleCredentialFetcher(
        session.create_client, source, to.role_arn, extra_args={"RoleSessionName": SESSION_NAME}
    )
    # There is no public way to give a session credentials that are renewed.
    session._credentials = botocore.credentials.DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")


@contextlib.contextmanager
def translated_errors(where: str) -> t.Iterator[None]:
    """Convert all errors of boto3 to a one-line message that names `where` and the remedy."""
    require_boto3()
    import botocore.exceptions as known

    try:
        yield
    except known.ClientError as exc:
        raise _refused(where, exc) from exc
    except (known.NoCredentialsError, known.PartialCredentialsError, known.CredentialRetrievalError) as exc:
        raise Unreachable(
            f"{where}: there are no usable credentials; set s3_profile or s3_credentials_file, or give this host a role"
        ) from exc
    except known.ProfileNotFound as exc:
        raise OptionError(f"{where}: the profile is not in the credentials file; correct s3_profile or s3_credentials_file") from exc
    except known.SSLError as exc:
        raise Unreachable(f"{where}: the TLS certificate is not trusted; set s3_ca_bundle to the CA that signed it") from exc
    except known.FlexibleChecksumError as exc:
        raise StorageError(f"{where}: the store sent bytes that do not match its own checksum; try again, or use another copy") from exc
    except (known.HTTPClientError, known.IncompleteReadError, known.ConnectionError) as exc:
        raise Unreachable(f"{where}: no answer after {ATTEMPTS} tries ({type(exc).__name__}); check s3_endpoint and the network") from exc
    except (known.BotoCoreError, ValueError) as exc:
        message = " ".join(str(exc).split())[:200]
        raise OptionError(f"{where}: {message}; correct the s3_ options") from exc


def code(exc: t.Any) -> str:
    return str(exc.response.get("Error", {}).get("Code", ""))


def answered(error: BackupError) -> str:
    """Return the error code of the store's answer from which `translated_errors` created this error; empty if there was no answer."""
    return code(error.__cause__) if hasattr(error.__cause__, "response") else ""


def _refused(where: str, exc: t.Any) -> BackupError:
    what, status = code(exc), str(exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    for codes, kind, remedy in _REMEDIES:
        if what in codes:
            return kind(f"{where}: {remedy.format(action=exc.operation_name)}")
    for codes, kind, remedy in _REMEDIES:
        if status in codes:
            return kind(f"{where}: {remedy.format(action=exc.operation_name)}")
    message = " ".join(str(exc.response.get("Error", {}).get("Message", "")).split())[:200]
    if "ObjectLockConfiguration" in what or "Object Lock" in message:
        return StorageError(f"{where}: the bucket has no Object Lock; create a bucket with Object Lock, or set lock_mode to none")
    return StorageError(f"{where}: the store refused {exc.operation_name}: {what} {message}".rstrip() + "; see the store's documentation")


_REMEDIES: tuple[tuple[tuple[str, ...], type[BackupError], str], ...] = (
    (("NoSuchBucket",), StorageError, "the bucket does not exist; correct the address, or create the bucket with Object Lock"),
    (_MISSING, ObjectMissing, "does not exist; check the address, or use another copy of the repository"),
    (("PreconditionFailed", "412"), ObjectExists, "already exists; a repository never overwrites an object"),
    (_EXPIRED, Unreachable, "the credentials have expired; use credentials that are renewed (s3_role_arn, s3_profile), and try again"),
    (_LOGIN, Unreachable, "the store does not accept these credentials; correct s3_profile or s3_credentials_file"),
    (("RequestTimeTooSkewed",), StorageError, "the clocks of this host and the store differ; synchronize this host's clock by NTP"),
    (_REGION, OptionError, "the bucket is in another region; set s3_region to that region"),
    (("NoSuchUpload",), StorageError, "the upload was aborted while it ran; try again, and find out who aborted it"),
    (("ConditionalRequestConflict", "OperationAborted"), StorageError, "another writer keeps writing this object; try again"),
    (_DIGEST, StorageError, "the store received other bytes than were sent; try again, and check memory and network"),
    (_FORBIDDEN, PermissionMissing, "{action} is not allowed; give this identity the policy in the S3 guide"),
    (_BUSY, StorageError, f"the store is overloaded or broken, even after {ATTEMPTS} tries; try again later"),
)
