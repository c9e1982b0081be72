# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check all prerequisites of a drill host and report every problem at once.

Nothing is restored, unpacked or written. Only the manifest of a set and the first bytes of its objects are read. Mistakes that
would only appear in a step are found here by the code of that step. Problems of the set itself are findings of a drill, except
an unreadable manifest: without it, the needs of the host are unknown.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import typing as t

from .._ansible.boundary import Invocation
from .._crypto import recipients as age
from .._crypto.signing import Signer
from .._errors import BackupError, Busy, KeyProblem, MissingDependency, OptionError, TamperedData
from .._evidence import access, drill_set
from .._evidence.access import Opened
from .._evidence.drill_set import DrilledSet
from .._report import prometheus
from .._repository import layout
from .._sandbox.info import Layout
from .._sets import rehearsal
from .._sets.rehearsal import Problem
from .._storage.local import LocalStore
from .drill_options import DrillOptions

if t.TYPE_CHECKING:
    from .._images.cache import Save
    from .._repository.services import RecordedService
    from .drill_state import DrillStepResult
    from .server_images import Server
    from .service_option import ServiceStart

WHAT = "a drill cannot run"
SECRETS = "secrets"
SANDBOX = "sandbox"


def run(
    invocation: Invocation[DrillOptions],
    check_settings: t.Callable[[DrillOptions], None],
    choose: t.Callable[[Invocation[DrillOptions]], str],
) -> DrillStepResult:
    """Run all checks, with `choose` as the function that selects the set.

    Raises the problem that was found, or NotReady for several problems.
    """
    host = _Host(invocation)
    host.look("settings", lambda: check_settings(host.given))
    opened = host.look("repository", host.repository)
    host.look("keys", lambda: host.signer(opened))
    host.look("keys", lambda: age.load(host.given.recipients.recipients, host.given.recipients.recipients_files))
    identities = host.identities()
    host.report()
    chosen = host.look("set", lambda: host.chosen(opened, choose)) if opened else None
    if chosen and identities:
        host.look("set", lambda: host.opens(chosen, host.given.identities, lambda assets: assets != SECRETS))
        others = host.given.secrets_identities
        host.look("set", lambda: host.opens(chosen, others, lambda assets: assets == SECRETS))
    host.look(SANDBOX, lambda: host.place(chosen))
    host.look(SANDBOX, host.production)
    host.look(SANDBOX, lambda: host.sandbox(chosen))
    host.look(SANDBOX, host.isolation)
    host.look("redis", lambda: host.redis(chosen))
    host.services(chosen)
    host.files()
    rehearsal.refuse(host.problems, WHAT)
    found = t.cast("_Chosen", chosen)
    return {"changed": False, "drill": "", "set_id": found.drilled.record.set_id, "checks": []}


@dataclasses.dataclass(frozen=True)
class _Chosen:
    opened: Opened
    drilled: DrilledSet

    @property
    def services(self) -> list[RecordedService]:
        """The services that ran when the set was created, according to the set."""
        found = self.drilled.open_set
        return t.cast("list[RecordedService]", [dataclasses.asdict(one) for one in found.manifest.services]) if found else []

    @property
    def images(self) -> list[str]:
        """The IDs of the images that the set contains."""
        found = self.drilled.open_set
        return [one.image_id for one in found.manifest.images] if found else []

    @property
    def data_bytes(self) -> int:
        found = self.drilled.open_set
        return found.manifest.data_size if found else 0


T = t.TypeVar("T")


class _Host:
    """The checks of a host. Each is tried, regardless of the results of the others."""

    def __init__(self, invocation: Invocation[DrillOptions]) -> None:
        self.given = invocation.options
        self._invocation = invocation
        self.problems: list[Problem] = []

    def look(self, asset: str, at: t.Callable[[], T]) -> T | None:
        try:
            return at()
        except BackupError as exc:
            # A drill that is running in this directory is not a problem of the host.
            if asset == SANDBOX and isinstance(exc, Busy):
                self._invocation.warn(exc.msg)
            else:
                self.problems.append((asset, exc))
            return None

    def repository(self) -> Opened:
        opened = access.open_repository(self.given.access)
        opened.store.check_writable(probe=False)
        opened.mark.check_writable()
        return opened

    def signer(self, opened: Opened | None) -> None:
        if not self.given.signing_key:
            raise OptionError("signing_key is missing; set it to the key of drill@<deployment>")
        if opened:
            access.signer(opened, self.given.access.deployment, self.given.signing_key, layout.DRILL)
        else:
            Signer(self.given.signing_key, layout.principal(layout.DRILL, self.given.access.deployment))

    def identities(self) -> bool:
        """Return True if all configured identities can be read."""
        named = [*self.given.identities, *self.given.secrets_identity_files]
        read = [self.look("keys", functools.partial(age.load_identities, [path])) for path in dict.fromkeys(named)]
        return all(read)

    def report(self) -> None:
        if path := self.given.report.report_dir:
            self.look("report", lambda: LocalStore(os.path.abspath(path)).check_writable(probe=False))
        if metrics := self.given.metrics_file:
            self.look("report", lambda: prometheus.check_place(metrics))

    def chosen(self, opened: Opened, choose: t.Callable[[Invocation[DrillOptions]], str]) -> _Chosen:
        return _Chosen(opened, drill_set.whole(opened, choose(self._invocation)))

    def opens(self, chosen: _Chosen, identity_files: t.Sequence[str], wanted: t.Callable[[str], bool]) -> None:
        """Check that an identity decrypts each class of assets, using the first bytes of its objects. Raises KeyProblem."""
        facts = drill_set.facts(chosen.opened, chosen.drilled, identity_files)
        for one in facts.recipients or []:
            if not wanted(one["assets"]) or one["opened_by"]:
                continue
            if one["opened_by"] is None:
                raise TamperedData(f"cannot read {one['assets']} of set {facts.id}; verify the repository")
            raise KeyProblem(
                f"none of {', '.join(identity_files)} decrypts {one['assets']} of set {facts.id}, which is encrypted for "
                f"{', '.join(one['sealed_to'])}; provide one of their identities, or back up for this host's recipients and drill that set"
            )

    def place(self, chosen: _Chosen | None) -> None:
        from .._sandbox import preflight
        from . import drill_state
        from .steps import sandbox

        drill_state.refuse_another(self.given)
        found = Layout.of(self.given.sandbox_directory)
        room = sandbox.room(self.given, chosen.data_bytes if chosen else 0)
        preflight.check_room(found, room << 20, preflight.state_of(found, ""))

    def production(self) -> None:
        from .._sandbox import probe

        for one in self.given.production:
            probe.parse(one)

    def sandbox(self, chosen: _Chosen | None) -> None:
        from .._sandbox import lifecycle, tools
        from . import server_images
        from .steps import sandbox

        def foresee() -> None:
            # The free space was checked already.
            lifecycle.predict(sandbox.spec(self.given, None, minimum_free=0, token=""))

        self._server(server_images.DATABASE, self.given.pg_bin, chosen, foresee)
        tools.refuse_lacking(self.given.isolation)

    def isolation(self) -> None:
        """Check that isolation works.

        To find the version of a server of this host, it was started inside. A server of an image does not exist here yet.
        """
        from .._sandbox import tools

        tools.refuse_unable(self.given.isolation)

    def redis(self, chosen: _Chosen | None) -> None:
        from .._sandbox import redis_program
        from . import server_images

        named = self.given.redis_server
        self._server(server_images.REDIS, named, chosen, lambda: redis_program.find(named))

    def _server(self, server: Server, named: str | None, chosen: _Chosen | None, find: t.Callable[[], object]) -> None:
        """Check that there is a server on this host, or else an image that ran when the set was created.

        Raises the error of `find` if both are missing. Without a set, images are unknown and nothing is raised.
        """
        from . import service_images

        ran = [one for one in (chosen.services if chosen else []) if one["service"] == server.service]
        try:
            find()
        except MissingDependency as exc:
            if named or (chosen and not ran):
                raise
            if not chosen:
                return
            try:
                self._image(service_images.image_of(ran[0]), chosen)
            except BackupError as other:
                raise MissingDependency.caused_by(other, f"{exc.msg}; for the image of the set: {other.msg}") from other

    def services(self, chosen: _Chosen | None) -> None:
        """Check the services in the settings, or else those that ran when the set was created."""
        from .._sandbox import programs
        from . import service_images, service_option

        wanted = list(self.given.services) or service_images.recorded(chosen.services if chosen else [])
        if not wanted and chosen:
            words = (
                f"set {chosen.drilled.record.set_id} does not record which services "
                "ran; set caracal_drill_services to programs of this host"
            )
            self.problems.append(("services", OptionError(words)))
        for one in wanted:
            self.look("services", functools.partial(service_option.check, one))
            if one.image:
                self.look("services", functools.partial(self._image, one, chosen))
            self.look("services", functools.partial(programs.look, one.name, [] if one.image else one.command, one.readable))

    def _image(self, one: ServiceStart, chosen: _Chosen | None) -> None:
        from .._images import options as images

        found = images.sources(self.given.images)
        kept: dict[str, Save] = {image: _never for image in (chosen.images if chosen else [])}
        dataclasses.replace(found, kept=kept).look(one.image, *one.reference.split("@", 1))

    def files(self) -> None:
        """Check the files that are read only after the restore."""
        from .._audit.chains import audit_chain_verify
        from .._checks import migration_verify
        from .._drivers.secrets import files

        for path in self.given.audit_hmac_key_files:
            self.look("evidence", functools.partial(audit_chain_verify.hmac_keys, [path]))
        if self.given.release_table:
            self.look("migrations", functools.partial(migration_verify.user_table, self.given.release_table))
        if secret := self.given.application.get("client_secret_file"):
            self.look("canary", functools.partial(files.named, "client_secret", secret))


def _never() -> t.NoReturn:
    raise AssertionError("nothing is fetched here")
