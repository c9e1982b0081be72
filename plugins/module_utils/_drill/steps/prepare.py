# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prepare the copy before the first service starts. After this step the copy differs from the backup."""

from __future__ import annotations

import dataclasses
import functools
import os
import typing as t

from ..._caracal import replay
from ..._files import paths
from ..._files.folder import PRIVATE, Owner
from ..._options.shared import RedisOptions
from ..._reasons import MISSING_PARTITION, because
from ..._report.check import FAIL, PASS, Check, CheckResult
from .step import REPLAY, Made, Step, Work

if t.TYPE_CHECKING:
    from ..._images.cache import Unpacked
    from ..._sandbox.bundle import Bundle
    from ..._sandbox.redis_server import RedisInfo

# The current month, and the months for which the product creates partitions in advance.
MONTHS = 4
SERVICES = ("sts", "gateway")


class Prepare(Step):
    name = "prepare"
    needs = ("restore",)

    def take(self, work: Work) -> Made:
        from ..._restore import outbox_reopen

        # First, so that no event is stored in the default partition.
        partitions = _partitions(work)
        # Events that were in progress at the time of the snapshot are sent again.
        work.call(outbox_reopen.run, outbox_reopen.Options(access=work.given.access, copy=work.copy))
        streams = _redis(work)
        _replay(work)
        return Made([partitions, *streams])


def _partitions(work: Work) -> CheckResult:
    from ..._restore import audit_partition_ensure

    found = work.call(audit_partition_ensure.run, audit_partition_ensure.Options(access=work.given.access, copy=work.copy))
    there, made = len(found["present"]), len(found["made"])
    verdict = PASS if there + made >= MONTHS else FAIL
    words = f"partitions of this month and the next three months: {there} existed, {made} were created"
    details = {} if verdict == PASS else because(MISSING_PARTITION)
    return Check("prepare.partitions", verdict, words, details=details).to_result()


def _redis(work: Work) -> list[CheckResult]:
    """Start a Redis with the streams of the set, and with the consumer groups that services expect from the first entry on."""
    from ..._assets.streams import redis_stream_restore
    from .. import server_images
    from . import image_sources

    bundle, named, services = work.bundle, work.given.redis_server, work.kept.get("services", [])
    make, sources = functools.partial(_started, bundle, named), functools.partial(image_sources.of, work)
    redis = server_images.start(server_images.REDIS, services, named, make, sources)
    server_check = server_images.server_check(server_images.REDIS, redis.version, redis.image)
    groups = redis_stream_restore.Options(
        access=work.given.access,
        stored=work.stored,
        sandbox=work.given.sandbox_directory,
        redis=RedisOptions(redis_unix_socket=redis.unix_socket, redis_password_file=redis.password_file),
        identity_files=work.given.identities,
        groups_only=True,
    )
    restored: list[CheckResult] = []
    if work.assets["redis"]:
        whole = dataclasses.replace(groups, groups_only=False, confirm=(confirmation(bundle),))
        restored = work.call(redis_stream_restore.run, whole)["checks"]
    return [server_check.to_result(), *restored, *work.call(redis_stream_restore.run, groups)["checks"]]


def _started(bundle: Bundle, named: str | None, image: Unpacked | None) -> RedisInfo:
    from ..._sandbox import redis_server

    redis, _new = redis_server.start(bundle, named, None if image is None else lambda: image)
    return redis


def confirmation(bundle: Bundle) -> str:
    """Return the value of `confirm` for a restore into the sandbox's Redis."""
    from ..._drivers.redis import preflight
    from ..._sandbox import before

    with before.redis(bundle) as session:
        return f"{session.address}@{preflight.examine(session).run_id}"


def _replay(work: Work) -> None:
    """Restore replay directories. The drill runs one replica of each service, which gets the files of all replicas."""
    from ..._assets.replay import replay_volume_restore

    uid, gid = work.sandbox.uid, work.group
    _make_folders(work, uid, gid)
    for source in work.assets["replay"]:
        service = source.split("-")[0]
        volume = replay_volume_restore.VolumeOptions(
            service="sts" if service == "sts" else "gateway",
            from_=source,
            path=_volume(work, service),
            quarantine=work.path("quarantine"),
        )
        options = replay_volume_restore.Options(
            access=work.given.access,
            stored=work.stored,
            recorded=work.recorded,
            identity_files=work.given.identities,
            volumes=(volume,),
            owner=uid,
            group=gid,
        )
        work.call(replay_volume_restore.run, options)


def _make_folders(work: Work, uid: int, gid: int) -> None:
    volumes = [_volume(work, name) for name in SERVICES]
    folders = [work.path(REPLAY), *volumes, *(os.path.join(one, replay.FOLDER) for one in volumes)]
    for path in folders:
        paths.make(path).close()
    # The innermost first, so that no directory has another owner while directories are still created in it.
    for path in reversed(folders):
        with paths.folder(path) as folder:
            folder.settle(PRIVATE, Owner(uid, gid))


def _volume(work: Work, service: str) -> str:
    return work.path(REPLAY, service)
