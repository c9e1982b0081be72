# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A canary created by the drill through the API: zone, application, provider, resource and policy. It adds rows, so it is
for sandboxes only.

A new zone has a new chain and a new key. To prove that the chain of a restored zone continues, the canary adds an
application to that zone. The application requests a resource that does not exist, and the refusal is an event of that
zone.
"""

from __future__ import annotations

import json
import os
import time
import typing as t

from ..._report.check import FAIL, PASS, Check
from . import exchange
from .asking import Answer, Refused, Services, expect, quoted
from .dialect import Dialect
from .exchange import DENIED, Application, Exchange

CHECK_ID = "canary.self_made"
RESOURCE, SCOPE, LABEL = "resource://caracal-ops-canary", "canary:read", "canary"
NOWHERE = "resource://caracal-ops-canary-nowhere"
LOADING_SECONDS = 90.0  # the STS checks for a new policy every 60 s if the stream does not report it
_EVERY = 0.5
STEPS = ("zone", "application", "provider", "resource", "policy", "policy set", "policy set version", "activation", "propagation")

_REGO = """package caracal.authz

import rego.v1

default result := {{"decision": "deny", "evaluation_status": "complete", "determining_policies": [], "diagnostics": []}}

result := {allow} if {{
  input.principal.id == {application}
  input.resource.identifier == {resource}
  every scope in input.context.requested_scopes {{
    scope == {scope}
  }}
}}
"""
_ALLOW = '{"decision": "allow", "evaluation_status": "complete", "determining_policies": [{"policy": "canary"}], "diagnostics": []}'
_DATA = """# caracal:data-document
package caracal.authz

import rego.v1

app_ids := {{{label}: {application}}}

grants := {{{resource}: {{"application": {label}, "roles": {{{label}: [{scope}]}}}}}}
"""


def policy(dialect: Dialect, application: str) -> str:
    """Return a policy that allows only the canary: Rego, or data for the product's own rules."""
    texts = {"application": application, "resource": RESOURCE, "scope": SCOPE, "label": LABEL}
    return (_DATA if dialect.contract else _REGO).format(allow=_ALLOW, **{name: json.dumps(text) for name, text in texts.items()})


def make(services: Services, dialect: Dialect, upstream_url: str, zone: list[str]) -> Application:
    """Run steps 1 to 9. The zone's ID is added to `zone` as soon as the zone exists. Raises Refused at the first step that fails."""
    name = f"caracal-ops canary {os.urandom(4).hex()}"
    zone += expect("zone", services.api("POST", "/v1/zones", {"name": name}), 201, "id")
    base = f"/v1/zones/{quoted(zone[0])}"

    def post(step: str, path: str, body: t.Any, *names: str, status: int = 201) -> tuple[str, ...]:
        return expect(step, services.api("POST", base + path, body), status, *names)

    application, secret = post(
        "application", "/applications", {"name": "caracal-ops canary", "registration_method": "managed"}, "id", "client_secret"
    )
    services.hide(secret)
    (provider,) = post("provider", "/providers", {"name": "caracal-ops canary", "kind": "none"}, "id")
    own = {"gateway_application_id": application} if dialect.bindings else {}
    own |= {"operation_enforcement": "transport_uniform"} if dialect.contract else {}
    resource = {"name": "caracal-ops canary", "identifier": RESOURCE, "upstream_url": upstream_url, "scopes": [SCOPE]}
    post("resource", "/resources", {**resource, "credential_provider_id": provider, **own}, "id")
    version = _policy_version(
        services.api("POST", f"{base}/policies", {"name": "caracal-ops canary", "content": policy(dialect, application)})
    )
    (policy_set,) = post("policy set", "/policy-sets", {"name": "caracal-ops canary"}, "id")
    path = f"/policy-sets/{quoted(policy_set)}"
    (set_version,) = post("policy set version", f"{path}/versions", {"manifest": [{"policy_version_id": version}]}, "id")
    (status_url,) = post("activation", f"{path}/activate", {"version_id": set_version}, "status_url", status=202)
    _loaded(services, status_url)
    return Application(zone[0], application, secret, RESOURCE, (SCOPE,), (LABEL,), "/canary", ours=True)


def _policy_version(answer: Answer) -> str:
    """Return the ID of the policy version. The first releases return it only inside `version`."""
    expect("policy", answer, 201, "id")
    version = answer.content.get("version")
    found = version.get("id") if isinstance(version, dict) else None
    if not isinstance(found, str):
        raise Refused("policy", answer)
    return found


def _loaded(services: Services, status_url: str) -> None:
    """Wait until the STS has loaded the policy."""
    until = time.monotonic() + LOADING_SECONDS
    while True:
        answer = services.api("GET", status_url)
        expect("propagation", answer, 200, "propagation_status")
        state = answer.content["propagation_status"]
        if state == "loaded":
            return
        if state == "failed" or time.monotonic() > until:
            raise Refused(f"propagation ({state})", answer)
        time.sleep(_EVERY)


def remove(services: Services, zone: str) -> Answer:
    """Run step 11: delete the zone."""
    return services.api("DELETE", f"/v1/zones/{quoted(zone)}")


def probe(services: Services, zone: str) -> Exchange:
    """Make a restored zone refuse a request, so that it must write an event to its chain. Raises Refused if it does not refuse."""
    body = {"name": f"caracal-ops canary {os.urandom(4).hex()}", "registration_method": "managed"}
    answer = services.api("POST", f"/v1/zones/{quoted(zone)}/applications", body)
    application, secret = expect("application in a restored zone", answer, 201, "id", "client_secret")
    made = exchange.ask(services, Application(zone, application, services.hide(secret), NOWHERE), "")
    if made.outcome != DENIED:
        raise Refused("refusal by a restored zone", made.answer)
    return made


def judge(failed: Refused | None, removed: Answer | None) -> Check:
    """Return the check for the steps."""
    if failed:
        details = {**failed.answer.facts, "step": failed.step}
        return Check(CHECK_ID, FAIL, f"the canary could not be created: {failed}", details=details)
    if removed is not None and removed.status != 204:
        return Check(CHECK_ID, FAIL, f"the canary's zone could not be removed: {removed}", details={**removed.facts, "step": "removal"})
    return Check(CHECK_ID, PASS, f"zone, application, resource and policy were created through the API and loaded in {len(STEPS)} steps")
