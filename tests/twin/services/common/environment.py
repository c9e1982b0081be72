# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The environment of a service, as the product reads it: `NAME` takes precedence over `NAME_FILE`, keys are hex."""

from __future__ import annotations

import itertools
import os
import string
import typing as t
from pathlib import Path


class StartError(Exception):
    """The service cannot start; the message is the product's log message."""


class Environment:
    """The variables of a service. Raises StartError for missing or malformed ones."""

    def __init__(self, variables: t.Mapping[str, str] | None = None) -> None:
        self._variables = os.environ if variables is None else variables

    def optional(self, name: str, default: str = "") -> str:
        """Return the value of the variable or of the file that `NAME_FILE` names, or the default if neither is set."""
        if value := self._variables.get(name):
            return value
        if path := self._variables.get(f"{name}_FILE"):
            return _content(name, path)
        return default

    def text(self, name: str) -> str:
        if value := self.optional(name):
            return value
        raise StartError(f"{name} is required")

    def number(self, name: str, default: int) -> int:
        value = self.optional(name, str(default))
        if not value.lstrip("-").isdigit():
            raise StartError(f"{name} must be a number")
        return int(value)

    def flag(self, name: str) -> bool:
        return self.optional(name).lower() in ("1", "true", "yes")

    def names(self, name: str) -> frozenset[str]:
        """Return a comma-separated list, in lower case."""
        return frozenset(part.strip().lower() for part in self.optional(name).split(",") if part.strip())

    @property
    def published(self) -> bool:
        """Return whether the service runs as released. Only the mode `dev` accepts missing keys."""
        return self.optional("CARACAL_MODE", "stable") != "dev"

    def hmac_key(self, name: str, required: bool = True) -> bytes | None:
        """Return a key of at least 32 bytes, or None if it is optional and missing."""
        value = self.optional(name)
        if not value:
            if required and self.published:
                raise StartError(f"{name} is required when CARACAL_MODE=rc or CARACAL_MODE=stable")
            return None
        key = _hex(value)
        if key is None or len(key) < 32:
            raise StartError(f"{name} must be hex-encoded with at least 32 bytes")
        return key

    def kek(self, name: str, required: bool = True) -> bytes | None:
        """Return a key of exactly 32 bytes without an obvious pattern."""
        value = self.optional(name)
        if not value:
            if required:
                raise StartError(f"kek: {name} is required")
            return None
        key = _hex(value)
        if key is None:
            raise StartError(f"kek: {name}: encoding/hex: invalid byte")
        if len(key) != 32:
            raise StartError(f"kek: {name} must be 32 bytes, got {len(key)}")
        if weakness := _weakness(key):
            raise StartError(f"kek: {name} must not {weakness}")
        return key


def _content(name: str, path: str) -> str:
    try:
        value = Path(path).read_text(encoding="utf-8").rstrip(" \t\r\n")
    except OSError as error:
        raise StartError(f"read secret file {name}_FILE={path}: {error.strerror}") from error
    if not value:
        raise StartError(f"secret file empty: {name}_FILE={path}")
    return value


def _hex(value: str) -> bytes | None:
    if len(value) % 2 or not set(value) <= set(string.hexdigits):
        return None
    return bytes.fromhex(value)


def _weakness(key: bytes) -> str | None:
    steps = {(after - before) % 256 for before, after in itertools.pairwise(key)}
    if not any(key):
        return "be all zeros"
    if steps == {0}:
        return "repeat the same byte"
    if steps in ({1}, {255}):
        return "use a sequential byte pattern"
    return "use a repeating byte pattern" if key == key[:2] * 16 else None
