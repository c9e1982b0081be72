# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: run canary requests against the services of a copy."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t

from .._ansible.boundary import Invocation
from .._caracal import releases
from .._caracal.backlog import Backlog
from .._caracal.canary import api_checks, audit_rows, dialect, exchange, facts, gateway, journey, jwks, self_made
from .._caracal.canary.asking import API, Refused, Services
from .._caracal.canary.audit_rows import GATEWAY_REQUEST, TOKEN_EXCHANGE, Head, Row
from .._caracal.canary.exchange import BROKEN, Application, Exchange
from .._caracal.canary.gateway import Upstream
from .._caracal.canary.journey import Journey
from .._deps import require_cryptography
from .._drivers.postgres.server import Session
from .._drivers.secrets import files
from .._errors import ObjectMissing, OptionError, Unreachable
from .._evidence import place
from .._options import declared
from .._options.declared import Is, Path, Rules, Suboptions
from .._options.shared import CopyOptions
from .._reading import database_layout
from .._report.check import UNPROVEN, Check, VerdictResult, judged
from .._sandbox import before
from . import canary_keys, canary_place, groups
from .canary_keys import Secrets, SigningKeys
from .canary_place import Place

AUDIT_SECONDS = 60.0
POLICY_SECONDS = 60.0
_POLL = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class ApplicationOptions(Suboptions):
    """An application of the operator, and its request: a resource, scopes, and a path behind the Gateway."""

    zone: str
    id: str
    client_secret_file: Path
    resource: str
    scopes: tuple[str, ...]
    labels: tuple[str, ...] = ()
    path: str = "/"


@dataclasses.dataclass(frozen=True, kw_only=True)
class UrlsOptions(Suboptions):
    """Addresses of services."""

    sts: str | None = None
    gateway: str | None = None
    api: str | None = None
    coordinator: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    RULES = Rules(required_one_of=(("sandbox", "urls"),))

    copy: CopyOptions = dataclasses.field(default_factory=CopyOptions)
    urls: UrlsOptions | None = None
    database: str = "caracal"
    secrets_directory: Path
    signing_keys: t.Annotated[tuple[t.Mapping[str, t.Any], ...], Is(no_log=False)] | None = None
    application: ApplicationOptions | None = None
    self_made: bool = False
    require_valid: bool = True


class CanaryExchangeResult(VerdictResult):
    """The canary checks of a copy and the IDs of the requests."""

    family: str
    release: str | None
    request_ids: list[str]
    seconds: float


def run(invocation: Invocation[Options]) -> CanaryExchangeResult:
    """Run the read-only canaries, then those that write. Check mode runs only the read-only ones."""
    started = time.monotonic()
    given = invocation.options
    require_cryptography()
    if given.self_made and not given.copy.sandbox:
        raise OptionError("self_made adds rows, so it needs a sandbox; after a real restore, set application instead")
    if given.self_made and given.application:
        raise OptionError("application and self_made are mutually exclusive; set only one of them")
    server, _sandbox = place.server_of(given.copy)
    with Session(server, given.database) as session:
        layout = database_layout.read(session)
        detected = layout.detected or releases.detect(layout.public, ())
        where = canary_place.of(given.urls.flat() if given.urls else {}, given.copy.sandbox, detected.family)
        canaries = _Canaries(session, detected.family, where, canary_keys.read(given.secrets_directory, detected.family), given)
        checks = canaries.reading()
        checks += canaries.unasked("check mode") if invocation.check_mode else canaries.writing()
    return {
        **judged(checks, given.require_valid),
        "changed": bool(given.self_made or given.application or where.bundle),
        "family": detected.family,
        "release": detected.release,
        "request_ids": canaries.request_ids,
        "seconds": round(time.monotonic() - started, 3),
    }


@dataclasses.dataclass
class _Chain:
    """A zone's audit chain before the canaries, and the requests that must add rows to it."""

    head: Head
    wanted: dict[str, str] = dataclasses.field(default_factory=dict)
    rows: list[Row] = dataclasses.field(default_factory=list)


class _Canaries:
    """All canary checks of one copy."""

    def __init__(self, session: Session, family: str, where: Place, secrets: Secrets, given: Options) -> None:
        self._session = session
        self._dialect = dialect.detect(session, family)
        self._place = where
        self._secrets = secrets
        self._given = given
        self._services = Services(where.ask, where.urls, secrets.admin_token)
        self._keys = SigningKeys(session, family, secrets.keyring, given.signing_keys)
        self._zones = facts.zones(session)
        self._sets = facts.active_sets(session)
        self._newest = facts.newest_events(session, self._zones)
        self._groups = groups.Watch()
        self._ingest()
        self.request_ids: list[str] = []

    def _ingest(self) -> Backlog | None:
        """Return the backlog of the audit service, or None without a sandbox or without a Redis in it."""
        if self._place.bundle:
            with contextlib.suppress(ObjectMissing, Unreachable), before.redis(self._place.bundle) as redis:
                return self._groups.ingest(groups.read(redis))
        return None

    def reading(self) -> list[Check]:
        """Run the checks that write nothing."""
        without = sorted(set(self._zones) - self._keys.zones())
        found = [jwks.check(self._services, self._keys.expected, self._keys.new, without)]
        if self._services.has(API):
            found += [
                api_checks.zones(self._services, self._zones),
                api_checks.policy_active(self._services, self._sets, POLICY_SECONDS),
                api_checks.audit_query(self._services, self._newest),
            ]
        return [*found, gateway.without_token(self._services)]

    def writing(self) -> list[Check]:
        """Run the checks that add rows, at least audit events."""
        found = [self._revoked()] if self._place.bundle else []
        if self._given.self_made:
            return [*found, *self._self_made()]
        if self._given.application:
            return [*found, *self._asked(self._application(self._given.application))]
        return [*found, *self.unasked("no application is configured")]

    def unasked(self, why: str) -> list[Check]:
        """Return unproven checks in place of those that need an application."""
        unasked = (exchange.CHECK_ID, gateway.CHECK_ID, audit_rows.CHECK_ID)
        return [Check(check_id, UNPROVEN, f"not run: {why}", required=False) for check_id in unasked]

    def _revoked(self) -> Check:
        """Check that a revoked session is refused. Only a drill can do this, since it signs the token with the restored key."""
        found = facts.revoked(self._session, self._dialect.family)
        if found is None:
            words = "the copy contains no revocation that the Gateway still remembers; the Gateway forgets revocations after one day"
            return Check(gateway.REVOKED, UNPROVEN, words, required=False)
        token = self._keys.token(found, self._dialect)
        if token is None:
            return gateway.not_asked(gateway.REVOKED, f"the restored KEK does not decrypt the signing key of zone {found.zone}")
        return gateway.revoked(self._services, found.resource, self._services.hide(token), found.kind)

    def _application(self, given: ApplicationOptions) -> Application:
        """Return the operator's application."""
        secret = files.named("client_secret", given.client_secret_file).content.decode("utf-8", "replace").strip()
        if not secret:
            raise OptionError(f"client_secret_file {given.client_secret_file} is empty; write the application's client secret to it")
        return Application(given.zone, given.id, self._services.hide(secret), given.resource, given.scopes, given.labels, given.path)

    def _asked(self, application: Application) -> list[Check]:
        """Test the operator's application in its own zone, whose audit chain gets new rows."""
        chain = _Chain(facts.head(self._session, application.zone))
        upstream = None
        if self._place.bundle:
            port = self._place.free_port()
            facts.point(self._session, application.zone, application.resource, f"http://127.0.0.1:{port}/")
            upstream = self._place.upstream(port)
        return self._judged(application, upstream, [chain])

    def _self_made(self) -> list[Check]:
        zone: list[str] = []
        chains = [_Chain(facts.head(self._session, one)) for one in self._probed()]
        try:
            for chain in chains:
                self._want(chain, self_made.probe(self._services, chain.head.zone), TOKEN_EXCHANGE)
            port = self._place.free_port()
            application = self_made.make(self._services, self._dialect, f"http://127.0.0.1:{port}/", zone)
        except Refused as exc:
            if zone:
                self_made.remove(self._services, zone[0])
            return [self_made.judge(exc, None), *self.unasked(f"the canary could not be created ({exc.step})")]
        found = self._judged(application, self._place.upstream(port), [*chains, _Chain(Head(zone[0], 0, ""))])
        return [self_made.judge(None, self_made.remove(self._services, zone[0])), *found]

    def _probed(self) -> list[str]:
        """Return one restored zone with events, preferably one with an active policy. The list is empty if there is none."""
        bound = {one.zone for one in self._sets}
        return sorted(self._newest.keys() - facts.own_zones(self._session), key=lambda zone: (zone not in bound, zone))[:1]

    def _judged(self, application: Application, upstream: Upstream | None, chains: list[_Chain]) -> list[Check]:
        """Run the whole journey for an application in the zone of the last chain, and return its checks."""
        made = journey.go(self._services, application, self._dialect, upstream)
        if made.exchange.outcome != BROKEN:
            self._want(chains[-1], made.exchange, TOKEN_EXCHANGE)
        if made.gateway and gateway.audited(made.gateway):
            self._want(chains[-1], made.gateway, GATEWAY_REQUEST)
        self._follow(chains)
        reasons = audit_rows.reasons(chains[-1].rows, made.exchange.request_id)
        return [
            exchange.judge(made.exchange, application, self._keys.kids(application.zone), reasons),
            self._gateway(made, application, upstream),
            gateway.replayed(made.gateway, made.again, self._dialect),
            audit_rows.judge([(one.head, one.rows, one.wanted) for one in chains], self._secrets.mac, AUDIT_SECONDS, self._ingest()),
        ]

    def _gateway(self, made: Journey, application: Application, upstream: Upstream | None) -> Check:
        if made.stopped:
            return gateway.stopped(made.stopped, application)
        if made.gateway is None:
            return gateway.not_asked(gateway.CHECK_ID, "there is no token; see canary.exchange")
        return gateway.judge(made.gateway, application, upstream, made.left)

    def _want(self, chain: _Chain, made: Exchange | gateway.Asked, event: str) -> None:
        chain.wanted[made.request_id] = event
        self.request_ids.append(made.request_id)

    def _follow(self, chains: t.Sequence[_Chain]) -> None:
        """Wait until every expected row exists, at most `AUDIT_SECONDS`."""
        until = time.monotonic() + AUDIT_SECONDS
        while True:
            for chain in chains:
                chain.rows = facts.rows_after(self._session, chain.head)
            self._ingest()
            if all(audit_rows.landed(one.rows, one.wanted) for one in chains) or time.monotonic() > until:
                return
            time.sleep(_POLL)
