# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paths of all objects of a repository, and the names and IDs in them. Keys are relative to the repository."""

from __future__ import annotations

import base64
import datetime
import re

from .._errors import OptionError

FORMAT = 1
# A document with content that format 1 does not support has a later format. It names the first release of the collection that reads it.
NEWEST = 2
REQUIRES = {2: "1.0.0"}

NAMESPACE_SET = "set@caracal-ops"
NAMESPACE_JOURNAL = "journal@caracal-ops"
NAMESPACE_DRILL = "drill@caracal-ops"
NAMESPACE_REPOSITORY = "repository@caracal-ops"
NAMESPACE_PART = "part@caracal-ops"

BACKUP, DRILL, PRUNE, OPERATOR = "backup", "drill", "prune", "operator"

REPOSITORY = "repository.json"
REPOSITORY_SIGNATURE = "repository.json.sig"
JOURNAL = "journal"
# The number of the first entry in a journal.
GENESIS_SEQUENCE = 1
SETS = "sets"
OBJECTS = "objects"
IMAGES = f"{OBJECTS}/images"
DRILLS = "drills"
CHECKPOINTS = "checkpoints"

# Some Python versions accept hour 24 as midnight of the next day.
_ID = re.compile(r"[0-9]{8}T(?!24)[0-9]{6}Z-[a-z0-9]{4}\Z")
DEPLOYMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")
_ENTRY = re.compile(r"journal/([0-9]{10})\.json\Z")
_TIMESTAMP = ".tsr"
_LAYER, _DOCUMENT = ".tar.zst.age", ".json.zst.age"
_UNSAFE = re.compile(rb"[^A-Za-z0-9._-]")
_TIME = "%Y%m%dT%H%M%SZ"


def format_fields(number: int) -> dict[str, int | str]:
    """Return the `format` field of a document, and `requires` for formats after the first."""
    return {"format": number, **({"requires": REQUIRES[number]} if number in REQUIRES else {})}


def new_set_id(now: datetime.datetime, entropy: bytes) -> str:
    """Return a set ID `YYYYMMDDTHHMMSSZ-xxxx`, given a time with a zone and at least 3 random bytes.

    IDs of drills and checkpoints have the same form.
    """
    tail = base64.b32encode(entropy[:5]).decode().lower()[:4]
    return check_id(f"{now.astimezone(datetime.timezone.utc).strftime(_TIME)}-{tail}")


def is_id(text: str) -> bool:
    try:
        return bool(_ID.match(text) and _time(text))
    except ValueError:
        return False


def id_time(text: str) -> datetime.datetime:
    """Return the start time of the set or drill. Unlike the current time, it is the same in every retry. Raises OptionError."""
    return _time(check_id(text))


def _time(text: str) -> datetime.datetime:
    """Raise ValueError for an invalid time. A journal has hundreds of thousands of IDs, and `strptime` needs ten times as long."""
    day, clock = f"{text[:4]}-{text[4:6]}-{text[6:8]}", f"{text[9:11]}:{text[11:13]}:{text[13:15]}"
    return datetime.datetime.fromisoformat(f"{day}T{clock}+00:00")


def check_id(text: str) -> str:
    """Return the ID of a set or drill if it is valid. Raises OptionError."""
    if not is_id(text):
        raise OptionError(f"{text[:60]!a} is not a valid set ID; give one such as 20261125T020000Z-k3f9")
    return text


def check_deployment(text: str) -> str:
    """Return the deployment name if it is valid. Raises OptionError for names that are ambiguous in a principal or a path."""
    if not DEPLOYMENT.match(text):
        raise OptionError(f"deployment {text[:80]!a} may have only letters, digits, '.', '_' and '-', and at most 63 characters")
    return text


def principal(role: str, deployment: str) -> str:
    """Return the principal of a signer, as in `allowed_signers`."""
    return f"{role}@{check_deployment(deployment)}"


def safe(name: str) -> str:
    """Encode a source name (database or table) for use in a key. Bytes other than letters, digits, `.`, `_`, `-` become `~XX`."""
    quoted = _UNSAFE.sub(lambda found: b"~%02X" % found[0][0], name.encode("utf-8")).decode("ascii")
    return f"~{ord('.'):02X}{quoted[1:]}" if quoted.startswith(".") else quoted


def entry_key(sequence: int) -> str:
    return f"{JOURNAL}/{sequence:010d}.json"


def before_entry(sequence: int) -> str:
    """Return a string that sorts before all keys of entry `sequence` and after all keys of earlier entries."""
    return f"{JOURNAL}/{sequence:010d}"


def entry_signature_key(sequence: int, sha256: str) -> str:
    return f"{JOURNAL}/{sequence:010d}-{sha256[:16]}.sig"


def entry_timestamp_key(sequence: int, sha256: str) -> str:
    """Return the key of the entry's RFC 3161 timestamp. The timestamp is optional."""
    return f"{JOURNAL}/{sequence:010d}-{sha256[:16]}{_TIMESTAMP}"


def is_timestamp(key: str) -> bool:
    """Return whether the key belongs to a timestamp of any entry."""
    return key.startswith(f"{JOURNAL}/") and key.endswith(_TIMESTAMP)


def entry_sequence(key: str) -> int | None:
    """Return the number of the entry stored at `key`, or None if it is not the key of an entry."""
    found = _ENTRY.match(key)
    return int(found[1]) if found else None


def set_folder(set_id: str) -> str:
    return f"{SETS}/{check_id(set_id)}"


def manifest_key(set_id: str) -> str:
    return f"{set_folder(set_id)}/manifest.json"


def recovery_key(set_id: str) -> str:
    return f"{set_folder(set_id)}/RECOVERY.md"


def signatures_folder(set_id: str) -> str:
    return f"{set_folder(set_id)}/signatures"


def backup_signature_key(set_id: str) -> str:
    return f"{signatures_folder(set_id)}/backup.sig"


def countersignature_key(set_id: str, drill_id: str) -> str:
    return f"{signatures_folder(set_id)}/drill-{check_id(drill_id)}.sig"


def inventory_key(set_id: str) -> str:
    return f"{set_folder(set_id)}/inventory.json.zst.age"


def blocks_key(set_id: str) -> str:
    return f"{set_folder(set_id)}/audit-blocks.tsv.zst"


def parts_folder(set_id: str) -> str:
    return f"{set_folder(set_id)}/parts"


def part_key(set_id: str, name: str) -> str:
    return f"{parts_folder(set_id)}/{name}.json"


def postgres_folder(set_id: str) -> str:
    return f"{set_folder(set_id)}/postgres"


def dump_key(set_id: str, database: str) -> str:
    return f"{postgres_folder(set_id)}/{safe(database)}.dump.zst.age"


def schema_key(set_id: str, database: str) -> str:
    return f"{postgres_folder(set_id)}/{safe(database)}.schema.zst.age"


def leaf_folder(leaf: str) -> str:
    return f"{OBJECTS}/audit/{safe(leaf)}"


def leaf_key(leaf: str, digest: str, set_id: str) -> str:
    """Return the key of one audit partition's rows. Several sets can refer to the object; `set_id` is the set that created it."""
    return f"{leaf_folder(leaf)}/{digest}.{check_id(set_id)}.copy.zst.age"


def leaf_digest(key: str) -> str:
    """Return the content digest in a key created by `leaf_key`."""
    return key.rpartition("/")[2].partition(".")[0]


def replay_key(set_id: str, source: str, reading: int) -> str:
    """Return the key of pass 1 or 2 over the replay directory `source` (such as `sts-1`)."""
    return f"{set_folder(set_id)}/replay/{safe(source)}.{reading}.tar.zst.age"


def redis_key(set_id: str, reading: int) -> str:
    """Return the key of pass 1 or 2 over the Redis streams. The object contains the commands that rebuild them."""
    return f"{set_folder(set_id)}/redis/streams.{reading}.resp.zst.age"


def details_key(key: str) -> str:
    """Return the key of the encrypted inventory that belongs to the artifact at `key`."""
    folder, _slash, name = key.rpartition("/")
    return f"{folder}/{name.removesuffix('.zst.age').rpartition('.')[0]}.json.zst.age"


def maker_of(key: str) -> str | None:
    """Return the set that created a shared object, or None for any other key."""
    parts = key.rpartition("/")[2].split(".")
    return parts[1] if key.startswith(f"{OBJECTS}/") and len(parts) > 1 and is_id(parts[1]) else None


def secrets_key(key_set: str, set_id: str) -> str:
    """Return the key of one state of the secrets. Several sets can refer to the object; `set_id` is the set that created it."""
    return f"{OBJECTS}/secrets/{key_set}.{check_id(set_id)}.tar.zst.age"


def image_key(digest: str, set_id: str, *, layer: bool) -> str:
    """Return the key of a layer or a document of an image, given its digest `sha256:...`.

    A document lists other objects of the image. Several sets can refer to the object; `set_id` is the set that created
    it.
    """
    return f"{IMAGES}/{digest.removeprefix('sha256:')}.{check_id(set_id)}{_LAYER if layer else _DOCUMENT}"


def is_layer(key: str) -> bool:
    """Return whether a key created by `image_key` belongs to a layer."""
    return key.endswith(_LAYER)


def checkpoint_key(checkpoint_id: str) -> str:
    """Return the key of a checkpoint's audit blocks. A checkpoint ID has the form of a set ID."""
    return f"{CHECKPOINTS}/{check_id(checkpoint_id)}/audit-blocks.tsv.zst"


def drill_folder(drill_id: str) -> str:
    return f"{DRILLS}/{check_id(drill_id)}"


def drill_report_key(drill_id: str) -> str:
    return f"{drill_folder(drill_id)}/report.json"


def drill_report_signature_key(drill_id: str) -> str:
    return f"{drill_report_key(drill_id)}.sig"


def drill_html_key(drill_id: str) -> str:
    return f"{drill_folder(drill_id)}/report.html"


def drill_junit_key(drill_id: str) -> str:
    return f"{drill_folder(drill_id)}/junit.xml"


def drill_details_key(drill_id: str) -> str:
    return f"{drill_folder(drill_id)}/details.json.zst.age"


def drill_of(report_key: str) -> str | None:
    """Return the ID of the drill with this report key, or None if it is not the key of a report."""
    folder, _slash, name = report_key.rpartition("/")
    drill_id = folder.removeprefix(f"{DRILLS}/")
    return drill_id if name == "report.json" and folder.startswith(f"{DRILLS}/") and is_id(drill_id) else None
