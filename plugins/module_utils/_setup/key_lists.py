# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operator's lists of trusted signers and recipients, built from the public keys of the hosts."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .._ansible.boundary import Invocation
from .._crypto import recipients, signer_lists, sshsig
from .._crypto.allowed_signers import utc_now
from .._crypto.signer_lists import AllowedSigner
from .._errors import KeyProblem, OptionError
from .._files import trusted
from .._options import declared
from .._options.declared import Is, Path, Suboptions
from .._repository import layout
from . import said_by_hosts, whole_files

# Roles replace a list only if it has this line, so they never replace a list that another person wrote.
MARK = "# Kept by caracal_ops.backup.setup. The operator's copy is the one to change."


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecipientOptions(Suboptions):
    """Public keys of one host for a list of recipients."""

    list_: Path
    name: str
    recipients: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SignerOptions(Suboptions):
    """Public keys of the hosts of one role."""

    role: t.Literal["backup", "drill", "operator", "prune"]
    public_keys: t.Annotated[tuple[str, ...], Is(no_log=False)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    deployment: str
    allowed_signers: Path
    signers: tuple[SignerOptions, ...]
    recipients: tuple[RecipientOptions, ...] = ()


@dataclasses.dataclass
class _List:
    """A file before and after the change. `added` names the owner of each new line, with its fingerprint."""

    path: str
    lines: list[str]
    added: list[str] = dataclasses.field(default_factory=list)
    changed: bool = False

    @classmethod
    def read(cls, path: str) -> _List:
        try:
            with trusted.reading(path) as file:
                lines = file.read(signer_lists.SIZE_LIMIT).decode().split("\n")
        except FileNotFoundError:
            return cls(path, [MARK, ""], changed=True)
        except (OSError, UnicodeDecodeError) as exc:
            raise KeyProblem(f"{path} cannot be read; check its owner, and that it is a list of keys") from exc
        marked = MARK in lines
        return cls(path, lines if marked else [MARK, *lines], changed=not marked)

    def add(self, lines: t.Sequence[str], note: str) -> None:
        """Append lines. Existing lines are not moved."""
        self.lines = [*(self.lines if self.lines[-1] else self.lines[:-1]), *lines, ""]
        self.added.append(note)
        self.changed = True

    @property
    def keys(self) -> list[str]:
        return [line for line in self.lines if line.strip() and not line.lstrip().startswith("#")]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class ListsResult(t.TypedDict):
    """`added` has a line for each new key. `lists` has the text of each list by file name."""

    changed: bool
    added: list[str]
    lists: dict[str, str]
    diff: dict[str, str]


def run(invocation: Invocation[Options]) -> ListsResult:
    given = invocation.options
    lists = [_signers(given, invocation.check_mode), *_recipients(given, invocation.check_mode)]
    changed = [one for one in lists if one.changed]
    if not invocation.check_mode:
        for one in changed:
            whole_files.replace(one.path, one.text)
    added = [f"{os.path.basename(one.path)}: {note}" for one in lists for note in one.added]
    return {
        "changed": bool(changed),
        "added": added,
        "lists": {os.path.basename(one.path): one.text for one in lists},
        "diff": {"before": "", "after": "".join(f"{note}\n" for note in added)},
    }


def _signers(given: Options, check_mode: bool) -> _List:
    kept = _List.read(given.allowed_signers)
    known = signer_lists.read_allowed(kept.path) if kept.keys else []
    for one in given.signers:
        principal = layout.principal(one.role, given.deployment)
        keys = [said_by_hosts.public_key(text, principal) for text in _given(kept, one.public_keys, principal, check_mode)]
        for key, line in said_by_hosts.signer_lines(known, kept.path, one.role, principal, keys, utc_now).items():
            kept.add([line], f"{principal} {sshsig.fingerprint(key)}")
            known.append(AllowedSigner(principal, key))
    return kept


def _recipients(given: Options, check_mode: bool) -> list[_List]:
    lists = {path: _List.read(path) for path in dict.fromkeys(one.list_ for one in given.recipients)}
    for one in given.recipients:
        kept = lists[one.list_]
        texts = _given(kept, one.recipients, one.name, check_mode)
        for recipient, lines in said_by_hosts.recipient_lines(kept.lines, kept.path, one.name, texts).items():
            kept.add(lines, f"{one.name} {recipients.fingerprint(recipient)}")
    return list(lists.values())


def _given(kept: _List, texts: t.Sequence[str], owner: str, check_mode: bool) -> list[str]:
    """Return the keys from the hosts. In check mode, keys that a run would create are added to the diff instead."""
    if not check_mode and not (texts and all(texts)):
        raise OptionError(f"no key given for {owner}; run setup with the tag caracal_setup_keys first")
    for text in texts:
        if not text:
            kept.add([], f"{owner} (new)")
    return [text for text in texts if text]
