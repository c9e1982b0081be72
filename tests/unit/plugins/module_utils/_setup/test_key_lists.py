# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operator's lists, built from the answers of honest and malicious hosts."""

from __future__ import annotations

import base64
import typing as t
from pathlib import Path

import pyrage
import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import signer_lists
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.sshsig import wire_string
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import KeyProblem, OptionError
from ansible_collections.caracal_ops.backup.plugins.module_utils._setup import key_lists


def line(number: int) -> str:
    """Return an Ed25519 public key."""
    return f"ssh-ed25519 {base64.b64encode(wire_string(b'ssh-ed25519') + wire_string(bytes([number]) * 32)).decode()}"


BACKUP, DRILL, OPERATOR, UNKNOWN, SECOND = (line(number) for number in (1, 2, 3, 4, 5))
OPENS, BREAK_GLASS, READER, ALSO_OPENS = (str(pyrage.x25519.Identity.generate().to_public()) for _number in range(4))


def call(
    folder: Path, check_mode: bool = False, opens: str | list[str] = OPENS, deployment: str = "prod", **keys: str | list[str]
) -> dict[str, t.Any]:
    """Run the module with the keys of one host of each role, or of as many hosts as there are keys."""
    signers = {"backup": BACKUP, "drill": DRILL, "operator": OPERATOR, **keys}
    sealed = str(folder / "database.recipients")
    given = {
        "deployment": deployment,
        "allowed_signers": str(folder / "allowed_signers"),
        "signers": [{"role": role, "public_keys": given if isinstance(given, list) else [given]} for role, given in signers.items()],
        "recipients": [
            {"list": sealed, "name": f"drill@{deployment}", "recipients": opens if isinstance(opens, list) else [opens]},
            {"list": sealed, "name": f"break-glass@{deployment}", "recipients": [BREAK_GLASS]},
        ],
    }
    checked = complete(key_lists.Options, given)
    return key_lists.run(Invocation(checked, check_mode, lambda _text: None))


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "lists"
    made.mkdir(mode=0o700)
    return made


def test_each_host_gets_its_own_name_and_what_it_may_sign(folder: Path) -> None:
    predicted = call(folder, check_mode=True)
    assert content(folder) == {}
    made = call(folder)
    assert predicted == made and made["changed"] and content(folder) == made["lists"]
    found = signer_lists.read_allowed(str(folder / "allowed_signers"))
    assert [(one.principals, one.namespaces) for one in found] == [
        ("backup@prod", "repository@caracal-ops,journal@caracal-ops,set@caracal-ops"),
        ("drill@prod", "drill@caracal-ops,journal@caracal-ops,set@caracal-ops"),
        ("operator@prod", "journal@caracal-ops"),
    ]
    assert made["lists"]["database.recipients"].split("\n")[1:] == ["# drill@prod", OPENS, "# break-glass@prod", BREAK_GLASS, ""]
    assert len(made["added"]) == 5
    again = call(folder)
    assert (again["changed"], again["added"], again["lists"]) == (False, [], made["lists"])


def test_a_first_run_in_check_mode_has_no_keys_yet(folder: Path) -> None:
    assert call(folder, check_mode=True, backup="", drill="", operator="", opens="")["changed"] and content(folder) == {}
    with pytest.raises(OptionError):
        call(folder, backup="")


def test_lines_of_the_operator_stay(folder: Path) -> None:
    own = {"allowed_signers": f"# mine\nprune@prod {UNKNOWN}", "database.recipients": f"# an auditor\n{READER}\n\n"}
    for name, text in own.items():
        (folder / name).write_text(text, encoding="utf-8")
    call(folder)
    for name, text in own.items():
        assert text.rstrip("\n") in content(folder)[name]
    assert len(signer_lists.read_allowed(str(folder / "allowed_signers"))) == 4


def test_a_key_that_the_operator_has_rotated_is_accepted(folder: Path) -> None:
    old, new = 'valid-before="20260101000000Z"', 'namespaces="journal@caracal-ops",valid-after="20260101000000Z"'
    (folder / "allowed_signers").write_text(f"backup@prod {old} {UNKNOWN}\nbackup@prod {new} {BACKUP}\n", encoding="ascii")
    assert not any("backup@prod" in one for one in call(folder)["added"])


def test_hosts_of_one_role_share_a_name_and_come_and_go(folder: Path) -> None:
    both: dict[str, t.Any] = {"drill": [DRILL, SECOND], "opens": [OPENS, ALSO_OPENS]}
    call(folder)
    made = call(folder, **both)
    assert len(made["added"]) == 2 and not call(folder, **both)["changed"] and not call(folder)["changed"]
    found = [one for one in signer_lists.read_allowed(str(folder / "allowed_signers")) if one.principals == "drill@prod"]
    assert len(found) == 2 and len({one.namespaces for one in found}) == 1
    assert made["lists"]["database.recipients"].split("\n")[-3:] == ["# drill@prod", ALSO_OPENS, ""]
    at_once = folder / "at_once"
    at_once.mkdir()
    assert len(call(at_once, **both)["added"]) == 7


def test_a_host_comes_after_another_was_rotated(folder: Path) -> None:
    old, new = 'valid-before="20260101000000Z"', 'valid-after="20260101000000Z"'
    (folder / "allowed_signers").write_text(f"drill@prod {old} {UNKNOWN}\ndrill@prod {new} {DRILL}\n", encoding="ascii")
    assert any("drill@prod" in one for one in call(folder, drill=[DRILL, SECOND])["added"])


@pytest.mark.mutation
def test_no_host_of_several_exchanges_its_key(folder: Path) -> None:
    both: dict[str, t.Any] = {"drill": [DRILL, SECOND], "opens": [OPENS, ALSO_OPENS]}
    call(folder)
    with pytest.raises(KeyProblem):
        call(folder, drill=[UNKNOWN, SECOND])
    with pytest.raises(KeyProblem):
        call(folder, opens=[READER, ALSO_OPENS])
    before = call(folder, **both)["lists"]
    lies: tuple[dict[str, t.Any], ...] = (
        {"drill": [DRILL, UNKNOWN]},
        {"drill": UNKNOWN},
        {"opens": [READER, ALSO_OPENS]},
        {"opens": READER},
    )
    for given in lies:
        with pytest.raises(KeyProblem) as caught:
            call(folder, **{**both, **given})
        assert caught.value.msg.count("SHA256:") >= 2
    assert content(folder) == before


@pytest.mark.mutation
def test_two_hosts_with_one_key_are_refused(folder: Path) -> None:
    """A host that repeats another host's key could make the key of a third host look new."""
    before = call(folder)["lists"]
    hosts: tuple[dict[str, t.Any], ...] = (
        {"drill": [DRILL, DRILL]},
        {"drill": [DRILL, DRILL, UNKNOWN]},
        {"opens": [OPENS, OPENS]},
        {"opens": [OPENS, OPENS, READER]},
    )
    for given in hosts:
        with pytest.raises(KeyProblem):
            call(folder, **given)
    assert content(folder) == before


def test_deployments_keep_apart(folder: Path) -> None:
    call(folder)
    with pytest.raises(KeyProblem):
        call(folder, deployment="other")


# Values that a host may report as its key, other than a key that belongs to another host.
LIES = {
    "nothing": " ",
    "two keys": f"{BACKUP}\n{UNKNOWN}",
    "a newline": f"{BACKUP}\n",
    "a comment": f"{BACKUP} operator@prod",
    "options": f'namespaces="drill@caracal-ops" {BACKUP}',
    "a principal": f"operator@prod {BACKUP}",
    "an authority": f"cert-authority {BACKUP}",
    "another type": BACKUP.replace("ssh-ed25519 ", "ssh-rsa "),
    "a key of another type": f"ssh-ed25519 {base64.b64encode(wire_string(b'ssh-rsa') + wire_string(bytes(32))).decode()}",
    "too short": BACKUP[:-8],
    "more behind it": f"ssh-ed25519 {base64.b64encode(base64.b64decode(BACKUP.split()[1]) + b'x').decode()}",
    "a carriage return": f"{BACKUP}\r",
    "a dictionary": "{'public_key': 1}",
    "another letter": BACKUP.replace("A", "\N{CYRILLIC CAPITAL LETTER A}", 1),
}


@pytest.mark.mutation
@pytest.mark.parametrize("name", LIES)
def test_value_that_is_not_one_public_key_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(KeyProblem):
        call(folder, backup=LIES[name])
    assert content(folder) == {}


@pytest.mark.mutation
@pytest.mark.parametrize(
    "lie",
    [f"{OPENS}\n{READER}", f"{OPENS}\n", f"{OPENS} ", BACKUP, "age1", f"# x\n{OPENS}", OPENS.upper()],
    ids=map(str, range(20)),
)
def test_value_that_is_not_one_recipient_is_refused(folder: Path, lie: str) -> None:
    with pytest.raises(KeyProblem):
        call(folder, opens=lie)
    assert content(folder) == {}


@pytest.mark.mutation
def test_another_key_under_a_listed_name_is_refused_with_both_fingerprints(folder: Path) -> None:
    before = call(folder)["lists"]
    for given in ({"backup": UNKNOWN}, {"drill": UNKNOWN}, {"operator": UNKNOWN}, {"opens": READER}):
        with pytest.raises(KeyProblem) as caught:
            call(folder, **given)
        assert caught.value.msg.count("SHA256:") == 2
    assert content(folder) == before


@pytest.mark.mutation
def test_a_key_of_another_host_is_refused(folder: Path) -> None:
    with pytest.raises(KeyProblem):
        call(folder, drill=BACKUP)
    assert content(folder) == {}
    call(folder)
    with pytest.raises(KeyProblem):
        call(folder, prune=OPERATOR)


@pytest.mark.mutation
def test_a_key_that_has_ended_is_refused(folder: Path) -> None:
    (folder / "allowed_signers").write_text(f'backup@prod valid-before="20200101000000Z" {BACKUP}\n', encoding="ascii")
    with pytest.raises(KeyProblem):
        call(folder)


@pytest.mark.mutation
def test_a_list_that_others_may_write_is_refused(folder: Path) -> None:
    call(folder)
    folder.chmod(0o777)
    with pytest.raises(KeyProblem):
        call(folder)


@pytest.mark.mutation
def test_a_name_that_would_be_a_line_of_its_own_is_refused(folder: Path) -> None:
    for deployment in ("a\nb", "a b", "*", 'a"'):
        with pytest.raises(OptionError):
            call(folder, deployment=deployment)
    assert content(folder) == {}
