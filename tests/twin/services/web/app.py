# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The console, as far as a drill sees it: it starts with its secrets, and is ready while its own database answers."""

from __future__ import annotations

import typing as t

import psycopg2

from ..common.environment import Environment, StartError
from ..common.http import App, Request, Response
from ..common.postgres import Database

SECRETS = ("CARACAL_AUTH_SECRET", "CARACAL_ADMIN_TOKEN", "CARACAL_COORDINATOR_TOKEN")


class Web:
    """The service. Raises StartError for an invalid environment or database."""

    def __init__(self, environment: Environment) -> None:
        self.database = Database(environment.text("CARACAL_AUTH_DATABASE_URL"))
        for name in (*SECRETS, "CARACAL_API_URL", "CARACAL_COORDINATOR_URL"):
            environment.text(name)
        self._look()
        self.app = App()
        self.app.route("GET", "/health", lambda request: Response(200, {"status": "ok", "service": "caracal-auth"}))
        self.app.route("GET", "/ready", self.ready)

    def start(self) -> None:
        """Do nothing: this service has no background work."""

    def closers(self) -> list[t.Callable[[], None]]:
        return []

    def _look(self) -> None:
        """Check its database. A separate job creates the tables before the service starts."""
        found = self.database.row("SELECT to_regclass('public.user') IS NOT NULL AS there") or {}
        if not found.get("there"):
            raise StartError("the auth database has no tables; run its migration")

    def ready(self, request: Request) -> Response:
        try:
            self._look()
        except (StartError, psycopg2.Error):
            return Response(503, {"status": "unavailable"})
        return Response(200, {"status": "ready"})
