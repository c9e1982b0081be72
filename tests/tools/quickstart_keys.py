# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create the keys of a backup host, a drill host and an operator, each in a separate directory.

Existing keys are kept. Secrets are only written to files of mode 0600; the output contains only public keys.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pyrage

BACKUP, DRILL, OPERATOR = "backup-host", "drill-host", "operator"
# Signatures that each signer may create. Only these pairs are trusted.
SIGNERS = {
    BACKUP: ("backup", "repository@caracal-ops,journal@caracal-ops,set@caracal-ops"),
    DRILL: ("drill", "drill@caracal-ops,journal@caracal-ops,set@caracal-ops"),
    OPERATOR: ("operator", "repository@caracal-ops,journal@caracal-ops"),
}
# Recipients of sets: the drill host every night, and the operator if all other identities are lost.
# Secrets have identities of their own.
IDENTITIES = {DRILL: "drill.identity", OPERATOR: "break-glass.identity"}
OF_SECRETS = {DRILL: "secrets.identity", OPERATOR: "break-glass-secrets.identity"}


def write(path: Path, text: str) -> None:
    """Write a file of mode 0600 that appears only when it is complete."""
    temporary = path.with_name(f".{path.name}.new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)


def signing_key(folder: Path, principal: str) -> str:
    """Return the public key of `signing_key` in the folder. The key is created if it does not exist."""
    key = folder / "signing_key"
    if not key.exists():
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", principal, "-f", str(key)]
        subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, text=True)
    return key.with_name("signing_key.pub").read_text(encoding="utf-8").strip()


def recipient(path: Path) -> str:
    """Return the recipient of the age identity in a file. The identity is created if it does not exist."""
    if not path.exists():
        identity = pyrage.x25519.Identity.generate()
        write(path, f"# public key: {identity.to_public()}\n{identity}\n")
    lines = path.read_text(encoding="utf-8").split("\n")
    return str(pyrage.x25519.Identity.from_str(next(line for line in lines if line.startswith("AGE-SECRET-KEY-"))).to_public())


def make(directory: Path, deployment: str) -> list[str]:
    """Create all keys and the lists of them; return the lines of `allowed_signers`."""
    os.umask(0o077)
    for host in SIGNERS:
        (directory / host).mkdir(parents=True, exist_ok=True)
    signers = []
    for host, (role, namespaces) in SIGNERS.items():
        principal = f"{role}@{deployment}"
        signers.append(f'{principal} namespaces="{namespaces}" {signing_key(directory / host, principal)}')
    for host in SIGNERS:
        write(directory / host / "allowed_signers", "".join(f"{line}\n" for line in signers))
    opens = {host: recipient(directory / host / name) for host, name in IDENTITIES.items()}
    write(directory / BACKUP / "database.recipients", "".join(f"# {host}\n{key}\n" for host, key in opens.items()))
    secrets = {host: recipient(directory / host / name) for host, name in OF_SECRETS.items()}
    write(directory / BACKUP / "secrets.recipients", "".join(f"# {host}\n{key}\n" for host, key in secrets.items()))
    write(directory / DRILL / "details.recipients", f"# {OPERATOR}\n{opens[OPERATOR]}\n")
    return signers


def main(arguments: t.Sequence[str] | None = None) -> str | None:
    parser = argparse.ArgumentParser(prog="quickstart_keys", description=__doc__)
    parser.add_argument("--directory", required=True, type=Path)
    parser.add_argument("--deployment", default="quickstart")
    options = parser.parse_args(arguments)
    try:
        print("\n".join(make(options.directory, options.deployment)))
    except FileNotFoundError as error:
        return f"quickstart_keys: {error.filename} is missing; install it, ssh-keygen comes with OpenSSH's client"
    except subprocess.CalledProcessError as error:
        return f"quickstart_keys: ssh-keygen: {' '.join((error.stderr or str(error)).split())}"
    except OSError as error:
        return f"quickstart_keys: {error}"
    return None


if __name__ == "__main__":
    sys.exit(main())
