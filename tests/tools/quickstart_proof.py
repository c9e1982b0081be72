# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Functions of a deployment before its loss, which must work after its restore, recorded and compared.

Recorded are the last link of each audit chain, an admin token that only its owner has, and the keys with which each
zone signs its tokens. Those keys are encrypted with a secret of the deployment.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import typing as t
import urllib.error
import urllib.request
from pathlib import Path

import psycopg2

from tools import quickstart_project
from tools.quickstart_project import Project

HEADS = """
SELECT DISTINCT ON (zone_id) zone_id, chain_seq, content_sha256 FROM public.audit_events
WHERE chain_seq > 0 ORDER BY zone_id, chain_seq DESC
"""
LINK = "SELECT content_sha256 FROM public.audit_events WHERE zone_id = %s AND chain_seq = %s"


def note(made: Project) -> dict[str, t.Any]:
    """Create an admin token; return it with the heads of the chains and the public keys of the zones that have any."""
    with _database(made) as connection, connection.cursor() as cursor:
        cursor.execute(HEADS)
        heads = [list(row) for row in cursor.fetchall()]
    status, answer = _asked(_tokens(made), _secret(made, "caracalAdminToken"), {"name": "quickstart"})
    if status != 201:
        raise RuntimeError(f"the API made no token: {status} {answer}")
    return {"heads": heads, "token": answer["token"], "keys": _keys(made, heads)}


def compare(made: Project, noted: t.Mapping[str, t.Any]) -> list[str]:
    """Return the differences from the recorded state; an empty list if there are none."""
    lost = []
    with _database(made) as connection, connection.cursor() as cursor:
        for zone, seq, digest in noted["heads"]:
            cursor.execute(LINK, [zone, seq])
            if cursor.fetchall() != [(digest,)]:
                lost.append(f"zone {zone} has no such audit event at {seq} any more")
    status, _answer = _asked(_tokens(made), noted["token"])
    if status != 200:
        lost.append(f"the admin token is refused: {status}")
    keys = _keys(made, noted["heads"])
    return lost + [f"zone {zone} signs with other keys" for zone in noted["keys"] if keys.get(zone) != noted["keys"][zone]]


def _database(made: Project) -> t.ContextManager[t.Any]:
    host, port = made.address("postgres", 5432).split(":")
    password = _secret(made, "postgresPassword")
    return contextlib.closing(psycopg2.connect(host=host, port=port, user="caracal", password=password, dbname="caracal"))


def _secret(made: Project, name: str) -> str:
    return (made.directory / "secrets" / name).read_text(encoding="ascii")


def _tokens(made: Project) -> str:
    return f"http://{made.address('api', 3000)}/v1/admin-tokens"


def _keys(made: Project, heads: t.Sequence[t.Sequence[t.Any]]) -> dict[str, t.Any]:
    sts = made.address("sts", 8080)
    answers = {zone: _asked(f"http://{sts}/.well-known/jwks.json?zone_id={zone}") for zone, _seq, _digest in heads}
    return {zone: body for zone, (status, body) in answers.items() if status == 200}


def _asked(url: str, token: str = "", body: t.Any = None) -> tuple[int, t.Any]:
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(300).decode("utf-8", "replace")


def main(arguments: t.Sequence[str] | None = None) -> str | None:
    parser = argparse.ArgumentParser(prog="quickstart_proof", description=__doc__)
    parser.add_argument("step", choices=("note", "compare"))
    parser.add_argument("--directory", required=True, type=Path, help="of the quickstart")
    options = parser.parse_args(arguments)
    made, place = quickstart_project.of(options.directory), options.directory / "noted.json"
    if options.step == "note":
        with open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(note(made), file)
        return None
    noted = json.loads(place.read_text(encoding="utf-8"))
    if lost := compare(made, noted):
        return "; ".join(lost)
    print(f"{len(noted['heads'])} audit chains, an admin token, the signing keys of {len(noted['keys'])} zones")
    return None


if __name__ == "__main__":
    sys.exit(main())
