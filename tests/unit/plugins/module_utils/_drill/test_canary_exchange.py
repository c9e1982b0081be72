# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Canaries against the twin's services in a sandbox: the checks that pass on a whole copy, and the result of each fault."""

from __future__ import annotations

import hashlib
import json
import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary import dialect, facts, self_made
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary.asking import Services, expect
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import canary_exchange as case
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import canary_keys, canary_place
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError, KeyProblem, OptionError
from ansible_collections.caracal_ops.backup.plugins.modules import canary_exchange
from harness.fixtures import NOW, make_twin
from scenes.drilled_services import Drilled, drill
from scenes.scripted_services import Line, Script, play
from scenes.twin_database import TwinCluster
from twin import keys
from twin.facts import SECRET_STORE
from twin.spec import Spec

Result = dict[str, t.Any]
YOUNG = """UPDATE {table} SET status = 'revoked', expires_at = now() + interval '1 hour' WHERE id = (
             SELECT a.id FROM {table} a JOIN zones z ON z.id = a.zone_id ORDER BY a.id LIMIT 1)"""
OTHER_KEY = hashlib.sha256(b"another key").hexdigest()


def options(**given: t.Any) -> dict[str, t.Any]:
    """Return the options as the use case gets them, with defaults. Raise if the module would refuse them."""
    checked = complete(canary_exchange.Options, {"require_valid": False, **given})
    return checked


def run(drilled: Drilled, *, check_mode: bool = False, **given: t.Any) -> Result:
    """Return the result with its checks by ID. It must not contain a secret."""
    usual = {"sandbox": drilled.cluster.info.directory, "secrets_directory": str(drilled.secrets)}
    result = case.run(Invocation(options(**{**usual, **given}), check_mode, lambda _text: None))
    text = json.dumps(result)
    hidden = [path.read_text().strip() for path in drilled.secrets.iterdir()]
    assert not [secret for secret in (*hidden, "cs_", "eyJ", "Bearer ") if secret in text]
    assert not [one for one in result["checks"] if "\n" in one["message"] or one["message"] != one["message"].strip()]
    return {**result, "by_id": {one["id"]: one for one in result["checks"]}}


def bad(result: Result) -> dict[str, str]:
    """Return the checks that did not pass."""
    return {one["id"]: one["verdict"] for one in result["checks"] if one["verdict"] != "pass"}


def services_of(drilled: Drilled) -> Services:
    """Return the services with the module's addresses and token."""
    where = canary_place.of({}, drilled.cluster.info.directory, drilled.family)
    return Services(where.ask, where.urls, canary_keys.read(str(drilled.secrets), drilled.family).admin_token)


def signing_keys(drilled: Drilled) -> list[dict[str, t.Any]]:
    """Return the signing keys in the copy, in the form of `envelope_verify`."""
    secrets = canary_keys.read(str(drilled.secrets), drilled.family)
    with Session(drilled.cluster.server, "caracal") as session:
        found = canary_keys.SigningKeys(session, drilled.family, secrets.keyring, None).expected
    return [{"kid": one.kid, "zone": one.zone, "version": 1, "x": one.x, "y": one.y, "crv": "P-256"} for one in found]


@pytest.fixture(scope="module")
def drilled(server_install: t.Any) -> t.Iterator[Drilled]:
    """Yield all services of the newest release, on a copy with a recently revoked session."""
    with make_twin(server_install, Spec(events=300, seed="canary", now=NOW)) as cluster, drill(cluster) as made:
        cluster.execute("SET session_replication_role = replica", YOUNG.format(table="authority_records"))
        made.start()
        yield made


def operators(drilled: Drilled, folder: Path) -> dict[str, t.Any]:
    """Create an application as an operator does, in a new zone of its own."""
    with Session(drilled.cluster.server, "caracal") as session:
        how = dialect.detect(session, drilled.family)
    made = self_made.make(services_of(drilled), how, "http://out.of.reach.invalid/", [])
    (folder / "canary.secret").write_text(f"{made.secret}\n")
    scopes, labels = list(made.scopes), list(made.labels)
    named = {"zone": made.zone, "id": made.id, "resource": made.resource, "scopes": scopes, "labels": labels, "path": "/x"}
    return {**named, "client_secret_file": str(folder / "canary.secret")}


@pytest.fixture(scope="module")
def application(drilled: Drilled, tmp_path_factory: pytest.TempPathFactory) -> dict[str, t.Any]:
    """Return an application in a zone with a key and events."""
    made = operators(drilled, tmp_path_factory.mktemp("operator"))
    run(drilled, application=made)
    return made


@pytest.fixture
def other_secrets(drilled: Drilled, tmp_path: Path) -> Path:
    """Return a copy of the secrets directory, which the test may change."""
    return Path(shutil.copytree(drilled.secrets, tmp_path / "secrets"))


@pytest.mark.no_false_alarm
def test_a_whole_copy_passes(drilled: Drilled) -> None:
    result = run(drilled, self_made=True, signing_keys=signing_keys(drilled))
    assert (result["verdict"], bad(result)) == ("pass", {})
    assert list(result["by_id"]) == [
        *("canary.jwks", "canary.zones", "canary.policy_active", "canary.audit_query", "canary.refused.no_token"),
        *("canary.refused.revoked_session", "canary.self_made", "canary.exchange", "canary.gateway"),
        *("canary.refused.replayed_token", "canary.audit_row"),
    ]
    assert (result["changed"], result["family"], result["release"]) == (True, "secret_store", "v1.0.0")
    rows = result["by_id"]["canary.audit_row"]["details"]["rows"]
    assert {row["request_id"] for row in rows} == set(result["request_ids"]) and len(result["request_ids"]) == 3
    assert {row["decision"] for row in rows} == {"allow", "deny"} and {row["head_before"] > 0 for row in rows} == {True, False}
    ours = "SELECT count(*) FILTER (WHERE archived_at IS NULL), count(*) FROM zones WHERE name LIKE 'caracal-ops canary%'"
    left = drilled.cluster.execute(ours)
    live = drilled.cluster.execute(f"SELECT count(*) FROM sessions WHERE status = 'active' AND started_at > '{NOW}'")
    assert left == [(0, 1)] and live == [(0,)]


@pytest.mark.no_false_alarm
def test_an_older_release_passes(server_install: t.Any) -> None:
    with make_twin(server_install, Spec(events=100, seed="old", now=NOW, release="v2026.06.21")) as cluster, drill(cluster) as older:
        cluster.execute("SET session_replication_role = replica", "UPDATE sessions SET status = 'revoked', expires_at = now()")
        older.start()
        result = run(older, self_made=True)
        assert bad(result) == {"canary.refused.replayed_token": "not_applicable"} and result["verdict"] == "pass"


@pytest.mark.no_false_alarm
def test_an_application_of_the_operator(drilled: Drilled, tmp_path: Path) -> None:
    application = operators(drilled, tmp_path)
    result = run(drilled, application=application)
    # Its zone has no key and no event yet, so it contains nothing from a backup.
    assert bad(result) == {"canary.exchange": "unproven", "canary.audit_row": "unproven"}
    again = run(drilled, application=application)
    assert (again["verdict"], bad(again)) == ("pass", {})


def test_policy_refusal_is_distinguished_from_broken_sts(drilled: Drilled, application: dict[str, t.Any], tmp_path: Path) -> None:
    asked = services_of(drilled)
    with Session(drilled.cluster.server, "caracal") as session:
        zone = facts.active_sets(session)[0].zone
        resource = session.value("SELECT identifier FROM public.resources WHERE zone_id = %s AND upstream_url IS NOT NULL LIMIT 1", (zone,))
    answer = asked.api("POST", f"/v1/zones/{zone}/applications", {"name": "without a grant", "registration_method": "managed"})
    app, secret = expect("application", answer, 201, "id", "client_secret")
    (tmp_path / "secret").write_text(secret)
    named = {"zone": zone, "id": app, "resource": resource, "client_secret_file": str(tmp_path / "secret")}
    result = run(drilled, application={**application, **named})
    assert bad(result) == {"canary.exchange": "warn", "canary.gateway": "unproven", "canary.refused.replayed_token": "unproven"}
    assert result["verdict"] == "unproven" and "the STS is not broken" in result["by_id"]["canary.exchange"]["message"]
    # Labels and scopes of the operator that the policy does not contain.
    result = run(drilled, application={**application, "labels": ["no-role"]})
    assert bad(result)["canary.gateway"] == "unproven" and "application.labels" in result["by_id"]["canary.gateway"]["message"]


@pytest.mark.mutation
def test_another_client_secret(drilled: Drilled, application: dict[str, t.Any], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("cs_of_somebody_else")
    result = run(drilled, application={**application, "client_secret_file": str(tmp_path / "secret")})
    assert bad(result)["canary.exchange"] == "fail" and "client secret is wrong" in result["by_id"]["canary.exchange"]["message"]
    assert result["verdict"] == "fail" and result["msg"].startswith("verdict fail: canary.exchange: ")


def test_check_mode_writes_nothing(drilled: Drilled) -> None:
    count = "SELECT (SELECT count(*) FROM zones), (SELECT count(*) FROM audit_events), (SELECT count(*) FROM applications)"
    before = drilled.cluster.execute(count)
    result = run(drilled, self_made=True, check_mode=True)
    assert drilled.cluster.execute(count) == before
    assert result["changed"] is True and result["request_ids"] == [] and result["verdict"] == "pass"
    assert bad(result) == dict.fromkeys(("canary.exchange", "canary.gateway", "canary.audit_row"), "unproven")


def test_without_an_application_only_what_writes_nothing_and_the_revoked_session(drilled: Drilled) -> None:
    result = run(drilled)
    assert result["verdict"] == "pass" and result["by_id"]["canary.refused.revoked_session"]["verdict"] == "pass"
    assert bad(result) == dict.fromkeys(("canary.exchange", "canary.gateway", "canary.audit_row"), "unproven")


@pytest.mark.mutation
def test_a_key_that_the_backup_had_not(drilled: Drilled) -> None:
    known = signing_keys(drilled)
    result = run(drilled, signing_keys=known[1:])
    assert bad(result)["canary.jwks"] == "fail" and result["by_id"]["canary.jwks"]["details"]["reason"] == "new_key"
    result = run(drilled, signing_keys=[{**known[0], "x": "another"}, *known[1:]])
    assert result["by_id"]["canary.jwks"]["details"]["reason"] == "other_database"


@pytest.mark.mutation
def test_audit_rows_by_another_key(drilled: Drilled, application: dict[str, t.Any], other_secrets: Path) -> None:
    (other_secrets / "auditHmacKey").write_text(OTHER_KEY)
    result = run(drilled, application=application, secrets_directory=str(other_secrets))
    assert bad(result) == {"canary.audit_row": "fail"}
    assert result["by_id"]["canary.audit_row"]["details"]["reason"] == "audit_key"


@pytest.mark.mutation
def test_another_admin_token(drilled: Drilled, other_secrets: Path) -> None:
    (other_secrets / "caracalAdminToken").write_text(OTHER_KEY)
    result = run(drilled, self_made=True, secrets_directory=str(other_secrets))
    faults = ("canary.zones", "canary.policy_active", "canary.audit_query", "canary.self_made")
    assert {name: verdict for name, verdict in bad(result).items() if verdict == "fail"} == dict.fromkeys(faults, "fail")
    assert all("invalid_admin_token" in result["by_id"][name]["message"] for name in faults)


@pytest.mark.mutation
def test_services_with_a_wrong_kek(drilled: Drilled) -> None:
    name, right = "secretStoreKek", keys.for_seed(drilled.cluster.spec.seed).secret_store_kek.hex()
    drilled.stop("sts")
    drilled.put(name, OTHER_KEY)
    try:
        drilled.start("sts")
        drilled.put(name, right)
        result = run(drilled, self_made=True)
    finally:
        drilled.put(name, right)
        drilled.stop("sts")
        drilled.start("sts")
    jwks = result["by_id"]["canary.jwks"]
    assert jwks["verdict"] == "fail" and jwks["details"]["reason"] == "wrong_kek" and jwks["details"]["status"] == 500
    # A new zone works with any KEK, so only the keys of the backup show the fault.
    assert result["by_id"]["canary.exchange"]["verdict"] == "pass" and result["verdict"] == "fail"


@pytest.mark.mutation
def test_an_audit_service_that_takes_no_events(drilled: Drilled, application: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case, "AUDIT_SECONDS", 2.0)
    drilled.stop("audit")
    try:
        result = run(drilled, application=application)
    finally:
        drilled.start("audit")
    assert bad(result) == {"canary.audit_row": "fail"}
    assert "within 2 s" in result["by_id"]["canary.audit_row"]["message"]
    assert result["by_id"]["canary.audit_row"]["details"]["reason"] == "not_landed"


@pytest.mark.mutation
def test_a_gateway_that_is_gone(drilled: Drilled, application: dict[str, t.Any]) -> None:
    result = run(drilled, application=application, urls={"gateway": "http://127.0.0.1:9"})
    found = bad(result)
    assert found["canary.gateway"] == "fail" and found["canary.refused.no_token"] == "unproven"
    assert found["canary.refused.revoked_session"] == found["canary.refused.replayed_token"] == "unproven"
    assert "Connection refused" in result["by_id"]["canary.gateway"]["message"]


# ---- after a real restore, and refusals


def after_a_restore(cluster: TwinCluster, secrets: Path, *lines: Line, **given: t.Any) -> tuple[Result, Script]:
    """Return the result without a drill, only with addresses and a login."""
    script = Script(*lines)
    with play(script) as urls:
        login = {"login_unix_socket": cluster.info.socket_dir, "login_port": cluster.info.port}
        usual = {"urls": {name: urls[name] for name in ("sts", "gateway")}, "secrets_directory": str(secrets), **login}
        result = case.run(Invocation(options(**{**usual, **given}), False, lambda _text: None))
    return {**result, "by_id": {one["id"]: one for one in result["checks"]}}, script


@pytest.fixture
def restored_secrets(caracal_database: TwinCluster, tmp_path: Path) -> Path:
    for name, content in keys.for_seed(caracal_database.spec.seed).as_files(SECRET_STORE).items():
        (tmp_path / name).write_text(content)
    return tmp_path


def test_after_a_real_restore_only_reading_is_done(caracal_database: TwinCluster, restored_secrets: Path) -> None:
    result, script = after_a_restore(caracal_database, restored_secrets)
    assert result["changed"] is False and list(result["by_id"]) == [
        *("canary.jwks", "canary.refused.no_token", "canary.exchange", "canary.gateway", "canary.audit_row")
    ]
    assert {one.method for one in script.asked} == {"GET"}
    assert result["verdict"] == "fail" and result["by_id"]["canary.jwks"]["details"]["status"] == 404


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ({"self_made": True}, OptionError, "self_made adds rows, so it needs a sandbox"),
        ({"urls": {"sts": "nowhere"}}, OptionError, "urls.sts is not the address"),
        ({"secrets_directory": "/nowhere"}, KeyProblem, "/nowhere/caracalAdminToken: No such file"),
        ({"database": "postgres"}, BackupError, "not a Caracal database"),
    ],
)
def test_invalid_canary_options_are_refused(
    caracal_database: TwinCluster, restored_secrets: Path, given: dict[str, t.Any], kind: type[BackupError], words: str
) -> None:
    with pytest.raises(kind) as raised:
        after_a_restore(caracal_database, restored_secrets, **given)
    assert words in raised.value.msg and "\n" not in raised.value.msg


def test_secrets_that_are_none(caracal_database: TwinCluster, restored_secrets: Path) -> None:
    for name, words in (("caracalAdminToken", "is empty"), ("auditHmacKey", "is empty"), ("secretStoreKek", "is empty")):
        kept = (restored_secrets / name).read_text()
        (restored_secrets / name).write_text("\n")
        with pytest.raises(OptionError, match=words):
            after_a_restore(caracal_database, restored_secrets)
        (restored_secrets / name).write_text(kept)


def test_two_ways_to_the_same(drilled: Drilled, application: dict[str, t.Any]) -> None:
    with pytest.raises(OptionError, match="are mutually exclusive"):
        run(drilled, application=application, self_made=True)
    Path(application["client_secret_file"]).with_name("empty").write_text("\n")
    with pytest.raises(OptionError, match="is empty"):
        run(drilled, application={**application, "client_secret_file": str(Path(application["client_secret_file"]).with_name("empty"))})
