# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The summary that `setup` prints at its end: the keys of each host, and the next steps for the operator."""

from __future__ import annotations

import typing as t

_ABSENT = "not created yet"
_NEXT = [
    "Next, with the same settings: ansible-playbook caracal_ops.backup.backup -e caracal_backup_create_repository=true",
    "Then: ansible-playbook caracal_ops.backup.restore_drill",
]


class KeySummary(t.TypedDict):
    """The input from the play `setup`. Fingerprints are by host."""

    deployment: str
    directory: str
    backup: t.Mapping[str, str]
    drill: t.Mapping[str, str]
    prune: t.Mapping[str, str]
    operator: str
    added: t.Sequence[str]
    break_glass: t.Sequence[str]


def lines(keys: KeySummary) -> list[str]:
    """Return one line for each key, then lines for changes and remaining steps. Fingerprints are by host, and empty if there is no key."""
    signed, drills, prunes = (_by_host(given) for given in (keys["backup"], keys["drill"], keys["prune"]))
    deployment, key = keys["deployment"], f"{keys['directory']}/operator_signing_key"
    found = [f"backup@{deployment} signs sets on {host}: {mark}" for host, mark in signed.items()]
    found += [f"drill@{deployment} decrypts sets and signs reports on {host}: {mark}" for host, mark in drills.items()]
    found += [f"prune@{deployment} deletes sets on {host}: {mark}" for host, mark in prunes.items()]
    found.append(f"operator@{deployment} signs restores on this host: {keys['operator'] or _ABSENT}, {key}.")
    found.append(f"Give the operator's key a passphrase: ssh-keygen -p -f {key}")
    added = [str(one) for one in keys["added"]]
    found += ["New keys; compare them with the keys on the hosts (ssh-keygen -l -f):", *added] if added else ["The lists did not change."]
    if keys["break_glass"]:
        files = ", ".join(str(one) for one in keys["break_glass"])
        found.append(f"Move to offline storage, off this host: {files}. They decrypt every set if all drill hosts are lost.")
    found += [_shared(host, "drill", "decrypt every set") for host in signed if host in drills]
    found += [_shared(host, "prune", "create and delete sets") for host in signed if host in prunes]
    return found + _NEXT


def _by_host(given: t.Mapping[str, str]) -> dict[str, str]:
    return {str(host): str(mark or _ABSENT) for host, mark in given.items()}


def _shared(host: str, role: str, harm: str) -> str:
    """Return a warning about a host with two roles."""
    return f"{host} is the backup host and a {role} host: an attacker who controls it can {harm}. Use two hosts."
