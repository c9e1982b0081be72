# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the services need before the first of them starts. From here on the copy is no longer what was backed up."""

from __future__ import annotations

import functools
import os

from ..._caracal import replay
from ..._files import paths
from ..._files.folder import PRIVATE, Owner
from ..._report.check import FAIL, PASS, Check
from .step import Made, Result, Step, Work

# This month, and those for which the product makes one ahead.
MONTHS = 4
SERVICES = ("sts", "gateway")


class Prepare(Step):
    name = "prepare"
    needs = ("restore",)

    def take(self, work: Work) -> Made:
        from .. import outbox_reopen

        # Before an event falls into the default partition.
        partitions = _partitions(work)
        # What was under way when the snapshot was taken is sent again.
        work.call(outbox_reopen.argument_spec(), outbox_reopen.run)
        streams = _redis(work)
        _replay(work)
        return Made([partitions, *streams])


def _partitions(work: Work) -> Result:
    from .. import audit_partition_ensure

    found = work.call(audit_partition_ensure.argument_spec(), audit_partition_ensure.run)
    there, made = len(found["present"]), len(found["made"])
    verdict = PASS if there + made >= MONTHS else FAIL
    words = f"{there} partitions of this month and the next three were there, {made} were made"
    return Check("prepare.partitions", verdict, words).to_result()


def _redis(work: Work) -> list[Result]:
    """A Redis with the streams of the set, and the groups that services expect, from the first entry on."""
    from ..._assets.streams import redis_stream_restore
    from ..._sandbox.modules import redis_sandbox
    from .. import server_images
    from . import image_sources

    services, named = work.kept.get("services", []), work.given["redis_server"]
    make = functools.partial(work.call, redis_sandbox.argument_spec(), redis_sandbox.run, redis_server=named)
    found = server_images.start(server_images.REDIS, work.given, services, named, make, functools.partial(image_sources.of, work))
    redis = found["redis"]
    told = server_images.told(server_images.REDIS, redis["version"], redis["image"])
    spec, restore = redis_stream_restore.argument_spec(), redis_stream_restore.run
    login = {"redis_unix_socket": redis["unix_socket"], "redis_password_file": redis["password_file"]}
    restored: list[Result] = []
    if work.assets["redis"]:
        restored = work.call(spec, restore, **login, confirm=[redis["confirmation"]])["checks"]
    return [told.to_result(), *restored, *work.call(spec, restore, **login, groups_only=True)["checks"]]


def _replay(work: Work) -> None:
    """The drill runs one replica of each service, which gets what all of them had."""
    from ..._assets.replay import replay_volume_restore

    uid, gid = work.sandbox.uid, work.group
    _make_folders(work, uid, gid)
    for source in work.assets["replay"]:
        service = source.split("-")[0]
        volume = {"service": service, "from": source, "path": _volume(work, service), "quarantine": work.path("quarantine")}
        work.call(replay_volume_restore.argument_spec(), replay_volume_restore.run, volumes=[volume], owner=uid, group=gid)


def _make_folders(work: Work, uid: int, gid: int) -> None:
    volumes = [_volume(work, name) for name in SERVICES]
    folders = [work.path("replay"), *volumes, *(os.path.join(one, replay.FOLDER) for one in volumes)]
    for path in folders:
        paths.make(path).close()
    # The innermost first: nobody else owns a folder in which we still make one.
    for path in reversed(folders):
        with paths.folder(path) as folder:
            folder.settle(PRIVATE, Owner(uid, gid))


def _volume(work: Work, service: str) -> str:
    return work.path("replay", service)
