# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""RECOVERY.md of a set with every artifact. The text is the same for a directory and a bucket: it includes the download."""

from __future__ import annotations

import datetime
import hashlib

from ansible_collections.caracal_ops.backup.plugins.module_utils._assets import recovery
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import artifact, layout, manifest
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.artifact import Artifact
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.images import Image, Layer
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.services import Service
from tools.snapshots import Snapshot

SET_ID = "20261125T020000Z-k3f9"
TAKEN = datetime.datetime(2026, 11, 25, 2, 0, tzinfo=datetime.timezone.utc)
OPENER, OTHER = "SHA256:database-host", "SHA256:escrow"
DIGEST = hashlib.sha256(b"rows").hexdigest()
CONFIG, *LAYERS = (f"sha256:{one * 64}" for one in "e12")


def sealed(kind: str, path: str, recipients: tuple[str, ...] = (OPENER, OTHER), **of: str) -> Artifact:
    return Artifact(path, kind, 1000, hashlib.sha256(path.encode()).hexdigest(), "zstd", recipients, **of)


ARTIFACTS = (
    sealed(artifact.DUMP, layout.dump_key(SET_ID, "caracal"), database="caracal"),
    sealed(artifact.SCHEMA, layout.schema_key(SET_ID, "caracal"), database="caracal"),
    sealed(
        artifact.LEAF,
        layout.leaf_key("public.audit_events_y2026m10", DIGEST, SET_ID),
        database="caracal",
        leaf="public.audit_events_y2026m10",
    ),
    sealed(artifact.DUMP, layout.dump_key(SET_ID, "caracal_auth"), database="caracal_auth"),
    sealed(artifact.SCHEMA, layout.schema_key(SET_ID, "caracal_auth"), database="caracal_auth"),
    sealed(artifact.INVENTORY, layout.inventory_key(SET_ID)),
    Artifact(layout.blocks_key(SET_ID), artifact.BLOCKS, 500, hashlib.sha256(b"blocks").hexdigest(), "zstd"),
    sealed(artifact.SECRETS, layout.secrets_key("key-set-1", SET_ID), (OTHER,)),
    sealed(artifact.SECRETS, layout.secrets_key("key-set-2", SET_ID), (OTHER,)),
    sealed(artifact.REPLAY, layout.replay_key(SET_ID, "sts-1", 1), source="sts-1"),
    sealed(artifact.REPLAY, layout.replay_key(SET_ID, "sts-1", 2), source="sts-1"),
    sealed(artifact.REDIS, layout.redis_key(SET_ID, 1), source="redis"),
    sealed(artifact.IMAGE, layout.image_key(CONFIG, SET_ID, layer=False), source=CONFIG),
    *(sealed(artifact.IMAGE, layout.image_key(one, SET_ID, layer=True), source=one) for one in LAYERS),
)
FULL = manifest.Manifest(
    set_id=SET_ID,
    repository="5a0ae1d6-2f0e-4d0c-a4c5-6a3d2b1c9e77",
    deployment="prod",
    created=TAKEN,
    previous=None,
    family="secret_store",
    release="v1.0.0",
    sources=(
        manifest.Source("caracal", "7711914040412184586", 170010, TAKEN, "0/1", False),
        manifest.Source("caracal_auth", "7711914040412184586", 170010, TAKEN + datetime.timedelta(seconds=1), "0/2", False),
    ),
    artifacts=ARTIFACTS,
    pairing=manifest.Pairing("pass", "the set's own secrets open it"),
    left_out={"replay of gateway-2": "the host was down"},
    services=tuple(
        Service(name, "1", f"registry.example/caracal-{image}:v1.0.0", f"sha256:{'d' * 64}", f"sha256:{'e' * 64}", (), "/")
        for name, image in (("api", "node"), ("sts", "go"))
    ),
    images=(Image(CONFIG, (CONFIG,), tuple(Layer(one, 1024) for one in LAYERS)),),
)


def test_recovery_file_matches_the_snapshot(snapshot: Snapshot) -> None:
    snapshot("recovery.md", recovery.render(FULL).decode("utf-8"))
