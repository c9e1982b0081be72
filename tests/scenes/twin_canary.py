# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client of the twin's services: a canary that creates its own zone and sends requests to a resource through all services."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from harness.waiting import eventually
from scenes.twin_services import Answer, Deployment, secret_store

RESOURCE = "resource://canary"
SCOPE = "canary:read"
GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
DOCUMENT = """# caracal:data-document
package caracal.authz

import rego.v1

app_ids := {"canary": "%s"}

grants := {"resource://canary": {"application": "canary", "roles": {"canary": ["canary:read"]}}}
"""
REGO = """package caracal.authz

import rego.v1

default result := {"decision": "deny", "evaluation_status": "complete", "determining_policies": [], "diagnostics": []}

result := {"decision": "allow", "evaluation_status": "complete", "determining_policies": [{"policy": "canary"}], "diagnostics": []} if {
  input.principal.id == "%s"
  input.resource.identifier == "resource://canary"
  every scope in input.context.requested_scopes {
    scope == "canary:read"
  }
}
"""


@contextlib.contextmanager
def upstream() -> t.Iterator[str]:
    """Yield the address of a resource that returns the request that it received."""

    class Echo(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"path": self.path, "headers": {name.lower(): value for name, value in self.headers.items()}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: t.Any) -> None:
            """Do not log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/base/"
    server.shutdown()
    server.server_close()


@dataclasses.dataclass
class Canary:
    """The IDs of the created objects, and the requests that use them."""

    deployed: Deployment
    zone: str = ""
    application: str = ""
    secret: str = ""
    policy_set: str = ""
    version: str = ""
    activated: dict[str, t.Any] = dataclasses.field(default_factory=dict)

    def api(self, method: str, path: str, body: t.Any = None, request: str = "") -> Answer:
        identity = {"X_Request_Id": request} if request else {}
        bearer = f"Bearer {self.deployed.keys.admin_token}"
        return self.deployed["api"].call(method, f"/v1{path}", body, Authorization=bearer, **identity)

    def add(self, path: str, **body: t.Any) -> dict[str, t.Any]:
        status, found, _headers = self.api("POST", path, body)
        assert status in (201, 202), found
        return dict(found)

    def make(self, target: str) -> None:
        """Create zone, application, provider, resource, policy and policy set, and wait until the STS has loaded it."""
        newer = secret_store(self.deployed)
        self.zone = self.add("/zones", name="Canary")["id"]
        base = f"/zones/{self.zone}"
        application = self.add(f"{base}/applications", name="canary", registration_method="managed")
        self.application, self.secret = application["id"], application["client_secret"]
        provider = self.add(f"{base}/providers", name="No credential", kind="none")["id"]
        own = {"operation_enforcement": "transport_uniform"} if newer else {"gateway_application_id": self.application}
        about = {"name": "Canary", "identifier": RESOURCE, "upstream_url": target, "scopes": [SCOPE], "credential_provider_id": provider}
        self.add(f"{base}/resources", **about, **own)
        content = (DOCUMENT if newer else REGO) % self.application
        policy = self.add(f"{base}/policies", name="canary", content=content)["version"]["id"]
        self.policy_set = self.add(f"{base}/policy-sets", name="canary")["id"]
        manifest = [{"policy_version_id": policy}]
        self.version = self.add(f"{base}/policy-sets/{self.policy_set}/versions", manifest=manifest)["id"]
        self.activated = self.add(f"{base}/policy-sets/{self.policy_set}/activate", version_id=self.version)
        eventually(lambda: self.propagation() == "loaded")
        # Its bindings are loaded every half minute, and for every readiness request.
        eventually(lambda: self.deployed["gateway"].call("GET", "/ready")[0] == 200)

    def propagation(self) -> str:
        return str(self.api("GET", self.activated["status_url"].removeprefix("/v1"))[1]["propagation_status"])

    def exchange(self, request: str = "", **changes: str) -> Answer:
        """C1: request a session token, with changes to the form (an empty text leaves the field out)."""
        scope = "agent:lifecycle" if secret_store(self.deployed) else SCOPE
        form = {
            "grant_type": GRANT,
            "zone_id": self.zone,
            "application_id": self.application,
            "client_secret": self.secret,
            "resource": RESOURCE,
            "scope": scope,
            **changes,
        }
        identity = {"X_Request_Id": request} if request else {}
        return self.deployed["sts"].call("POST", "/oauth/2/token", [pair for pair in form.items() if pair[1]], **identity)

    def token(self) -> str:
        status, answer, _headers = self.exchange()
        assert status == 200, answer
        return str(answer["access_token"])

    def coordinator(self, method: str, path: str, token: str, body: t.Any = None) -> Answer:
        return self.deployed["coordinator"].call(method, f"/zones/{self.zone}{path}", body, Authorization=f"Bearer {token}")

    def delegate(self, token: str) -> tuple[str, str, str]:
        """Create two agents and a delegation between them; return source, target and edge."""
        start = {"application_id": self.application, "labels": ["canary"], "ttl_seconds": 600}
        source, target = (self.coordinator("POST", "/agents", token, start)[1]["agent_session_id"] for _turn in range(2))
        status, edge, _headers = self.coordinator(
            "POST",
            "/delegations",
            token,
            {
                "issuer_application_id": self.application,
                "receiver_application_id": self.application,
                "source_session_id": source,
                "target_session_id": target,
                "resource_id": RESOURCE,
                "scopes": [SCOPE],
                "ttl_seconds": 600,
            },
        )
        assert status == 201, edge
        return source, target, edge["delegation_edge_id"]

    def gateway_token(self) -> str:
        """Return a token that the gateway accepts: in the newer family a one-time token, which needs a delegation."""
        token = self.token()
        if not secret_store(self.deployed):
            return token
        _source, target, edge = self.delegate(token)
        status, answer, _headers = self.exchange(scope=SCOPE, agent_session_id=target, delegation_edge_id=edge)
        assert status == 200, answer
        return str(answer["access_token"])

    def fetch(self, token: str, request: str = "", path: str = "/probe") -> Answer:
        """C2: send a protected request."""
        given = {"X_Caracal_Resource": RESOURCE, **({"Authorization": f"Bearer {token}"} if token else {})}
        return self.deployed["gateway"].call("GET", path, None, **given, **({"X_Request_Id": request} if request else {}))

    def events(self, request: str) -> list[tuple[t.Any, ...]]:
        """C3: return the stored events of a request, in the order of the chain."""
        return self.deployed.sql(
            "SELECT event_type, decision, evaluation_status, chain_seq, determining_policies_json, diagnostics_json, metadata_json"
            f" FROM audit_events WHERE zone_id = '{self.zone}' AND request_id = '{request}' ORDER BY chain_seq"
        )


def made(deployed: Deployment, target: str) -> Canary:
    canary = Canary(deployed)
    canary.make(target)
    return canary
