# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The manifest: the public description of a set's content and source. It does not reveal how active a customer is."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._crypto import strict_json
from .._errors import TamperedData
from .._report.check import VERDICTS
from . import artifact as artifacts
from . import findings, images, layout, partitions, services
from .artifact import Artifact
from .fields import Fields, timestamp
from .findings import Recorded
from .images import Image
from .partitions import Partition
from .services import Service

TYPE = "backup-set"


@dataclasses.dataclass(frozen=True)
class PreviousSet:
    """The set before this one: its ID, the number of its journal entry and the SHA-256 of its manifest."""

    set_id: str
    sequence: int
    manifest_sha256: str


@dataclasses.dataclass(frozen=True)
class Source:
    """One database and its cluster (`server_version` as 170010). The snapshot time is from the database's clock."""

    database: str
    system_identifier: str
    server_version: int
    snapshot_time: datetime.datetime
    lsn: str
    standby: bool


@dataclasses.dataclass(frozen=True)
class Pairing:
    """The check of the set's secrets against its data: a verdict and a message."""

    verdict: str
    message: str


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The content of a manifest.

    `family` and `release` are None if unknown. `services` is empty if the services were not given, `images` if no image
    was saved. `key_ids` are the IDs of KEK and HMAC keys by name, `tools` are versions by name, and `timings` are
    seconds by step. `left_out` has the reasons by asset, and `findings` are problems of the source. `partitions` are the
    audit partitions, each with the proof of its rows.
    """

    set_id: str
    repository: str
    deployment: str
    created: datetime.datetime
    previous: PreviousSet | None
    family: str | None
    release: str | None
    sources: tuple[Source, ...]
    artifacts: tuple[Artifact, ...]
    pairing: Pairing
    key_ids: dict[str, str] = dataclasses.field(default_factory=dict)
    tools: dict[str, str] = dataclasses.field(default_factory=dict)
    timings: dict[str, float] = dataclasses.field(default_factory=dict)
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)
    services: tuple[Service, ...] = ()
    images: tuple[Image, ...] = ()
    findings: tuple[Recorded, ...] = ()
    partitions: tuple[Partition, ...] = ()

    @property
    def recovery(self) -> Artifact:
        return next(one for one in self.artifacts if one.kind == artifacts.RECOVERY)

    @property
    def size(self) -> int:
        """Bytes of all artifacts, including shared ones."""
        return sum(one.size for one in self.artifacts)

    @property
    def data_size(self) -> int:
        """Bytes of all artifacts except images. A restore does not need images, and their size is unrelated to the data."""
        return sum(one.size for one in self.artifacts if one.kind != artifacts.IMAGE)

    @property
    def recovery_point(self) -> datetime.datetime:
        """The time of the oldest snapshot. Later changes may be missing in the set."""
        return min((one.snapshot_time for one in self.sources), default=self.created)

    def to_bytes(self) -> bytes:
        """Return the bytes to sign. Raises TamperedData for content that `parse` would refuse."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        kept = [one.to_dict() for one in plain.pop("images")]
        wrong = [dataclasses.asdict(one) for one in plain.pop("findings")]
        proven = [one.to_dict() for one in plain.pop("partitions")]
        data = strict_json.dumps(
            {
                **plain,
                "type": TYPE,
                **layout.format_fields(layout.NEWEST if wrong or proven else layout.FORMAT),
                "created": timestamp(self.created),
                "previous": None if self.previous is None else dataclasses.asdict(self.previous),
                "sources": [{**dataclasses.asdict(one), "snapshot_time": timestamp(one.snapshot_time)} for one in self.sources],
                "artifacts": [one.to_dict() for one in self.artifacts],
                "pairing": dataclasses.asdict(self.pairing),
                "services": [dataclasses.asdict(one) for one in self.services],
                # Omit an empty list, so that an older release can read a set without images.
                **({"images": kept} if kept else {}),
                **({"findings": wrong} if wrong else {}),
                **({"partitions": proven} if proven else {}),
            }
        )
        parse(data)
        return data


def parse(data: bytes, name: str = "the manifest") -> Manifest:
    """Parse a manifest from bytes with a verified signature. Raises TamperedData, and VersionMismatch for a newer format."""
    fields = Fields(strict_json.loads(data, name), name)
    fields.head(TYPE, layout.NEWEST)
    set_id = fields.text("set_id")
    if not layout.is_id(set_id):
        raise fields.fault("has an invalid set_id")
    previous, pairing = fields.optional_inner("previous"), fields.inner("pairing")
    found = Manifest(
        set_id=set_id,
        repository=fields.text("repository"),
        deployment=fields.text("deployment", layout.DEPLOYMENT),
        created=fields.time("created"),
        previous=None if previous is None else _previous(previous),
        family=fields.optional_text("family"),
        release=fields.optional_text("release"),
        sources=tuple(_source(one) for one in fields.inners("sources")),
        artifacts=_artifacts(fields.array("artifacts"), name, set_id),
        pairing=Pairing(pairing.one_of("verdict", VERDICTS), pairing.text("message")),
        key_ids=fields.table("key_ids"),
        tools=fields.table("tools"),
        timings=fields.numbers("timings"),
        left_out=fields.table("left_out"),
        services=services.parse(fields.later_array("services"), name),
        images=images.parse(fields.later_array("images"), name),
        findings=findings.parse(fields.later_inners("findings")),
        partitions=partitions.parse(fields.later_inners("partitions")),
    )
    pairing.end()
    fields.end()
    images.check(found.images, found.artifacts, name)
    return found


def _previous(fields: Fields) -> PreviousSet:
    found = PreviousSet(fields.text("set_id"), fields.integer("sequence"), fields.sha256("manifest_sha256"))
    fields.end()
    return found


def source(fields: Fields) -> Source:
    """Parse a source. The caller may allow additional fields."""
    return Source(
        database=fields.text("database"),
        system_identifier=fields.text("system_identifier"),
        server_version=fields.integer("server_version"),
        snapshot_time=fields.time("snapshot_time"),
        lsn=fields.text("lsn"),
        standby=fields.flag("standby"),
    )


def _source(fields: Fields) -> Source:
    found = source(fields)
    fields.end()
    return found


def _artifacts(values: t.Sequence[object], name: str, set_id: str) -> tuple[Artifact, ...]:
    found = tuple(artifacts.parse(value, f"artifacts[{number}] of {name}", set_id) for number, value in enumerate(values))
    if len({one.path for one in found}) != len(found):
        raise TamperedData(f"{name} names an artifact twice; it was not written by this software: use another copy")
    if sum(one.kind == artifacts.RECOVERY for one in found) != 1:
        raise TamperedData(f"{name} does not name exactly one RECOVERY.md; it was not written by this software: use another copy")
    return found
