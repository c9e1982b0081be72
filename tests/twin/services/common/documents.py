# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Policies that this stand-in can read: data documents, and one simple shape of Rego.

There is no Rego engine here. A data document is read if every rule in it is given as JSON. The only shape of real Rego
is the one that a self-made canary of the older releases uses (an application, a resource, its scopes). Anything else
raises PolicyError, which becomes `policy_eval_failed`. The meaning of a policy is never guessed.
"""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t

MARK = "# caracal:data-document"
RULES = ("app_ids", "grants", "confinement", "restrict", "risk", "approval_tiers")
HEAD = re.compile(r"\s*package\s+caracal\.authz\s+(import\s+rego\.v1\s+)?")
RULE = re.compile(r"\s*([a-z_]+)\s*:=\s*")
# Strings are kept, comments are removed.
COMMENT = re.compile(r'("(?:[^"\\]|\\.)*")|#[^\n]*')
CANARY = re.compile(
    r"\s*package caracal\.authz\s+import rego\.v1\s+"
    r'default result := (?P<deny>\{.*?\})\s+result := (?P<allow>\{.*?\]\s*,\s*"diagnostics": \[\]\}) if \{\s*'
    r'input\.principal\.id == (?P<application>"[^"]*")\s+'
    r'input\.resource\.identifier == (?P<resource>"[^"]*")\s+'
    r"every scope in input\.context\.requested_scopes \{\s*scope (?:== (?P<scope>\"[^\"]*\")|in (?P<scopes>\[[^\]]*\]))\s*\}\s*\}\s*",
    re.DOTALL,
)


class PolicyError(Exception):
    """The policy cannot be read or evaluated."""


@dataclasses.dataclass(frozen=True)
class Canary:
    """A rule that allows one application these scopes on one resource."""

    application: str
    resource: str
    scopes: frozenset[str]
    policies: list[dict[str, str]]


def is_document(content: str) -> bool:
    return content.startswith(MARK)


def document(content: str) -> dict[str, t.Any]:
    """Return the rules of a data document by name. Raises PolicyError."""
    text = COMMENT.sub(lambda found: found.group(1) or "", content)
    head = HEAD.match(text)
    if head is None:
        raise PolicyError("no package caracal.authz")
    found: dict[str, t.Any] = {}
    position = head.end()
    while text[position:].strip():
        rule = RULE.match(text, position)
        if rule is None or rule.group(1) not in RULES:
            raise PolicyError(f"unsupported data rule at {text[position:].strip()[:40]!r}")
        try:
            found[rule.group(1)], position = json.JSONDecoder().raw_decode(text, rule.end())
        except ValueError:
            raise PolicyError(f"{rule.group(1)} is not given as JSON") from None
    return found


def merged(contents: t.Iterable[str]) -> dict[str, t.Any]:
    """Return the rules of all documents. Raises PolicyError if two documents give one rule different values."""
    found: dict[str, t.Any] = {}
    for content in contents:
        for name, value in document(content).items():
            if found.setdefault(name, value) != value:
                raise PolicyError(f"complete rules must not produce multiple outputs: {name}")
    return found


def canary(content: str) -> Canary:
    """Parse the one known shape of Rego. Raises PolicyError for any other."""
    found = CANARY.fullmatch(content)
    if found is None or json.loads(found["deny"]).get("decision") != "deny" or json.loads(found["allow"]).get("decision") != "allow":
        raise PolicyError("no policy of a shape that can be read without a Rego engine")
    scopes = [json.loads(found["scope"])] if found["scope"] else json.loads(found["scopes"])
    policies = json.loads(found["allow"])["determining_policies"]
    return Canary(json.loads(found["application"]), json.loads(found["resource"]), frozenset(scopes), policies)
