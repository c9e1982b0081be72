# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two commands of AWS's command line that RECOVERY.md uses, with only the arguments that it uses. Others are refused.

Like the real program, it applies the expression of `--query` to all pages. The program sends its call to this process,
because a set has many objects.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socketserver
import threading
import typing as t
from pathlib import Path

import jmespath

# It sends the arguments, each followed by NUL, and one more NUL at the end. The answer is the status on a line, then the output.
PROGRAM = """\
#!/usr/bin/env bash
exec 3<>/dev/tcp/127.0.0.1/{port}
printf '%s\\0' "$@" "" >&3
read -r status <&3
cat <&3
exit "$status"
"""


class _Server(socketserver.TCPServer):
    client: t.Any


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        data = b""
        while not data.endswith(b"\0\0"):
            piece = self.connection.recv(4096)
            # The shell may end its program before the request is complete.
            if not piece:
                return
            data += piece
        try:
            status, output = 0, act(self.server.client, data.decode().split("\0")[:-2])
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - whatever it was, the program fails
            status, output = 1, repr(exc)
        self.wfile.write(f"{status}\n{output}".encode())


def act(client: t.Any, arguments: list[str]) -> str:
    """Run the call; return its output."""
    given = _parser().parse_args(arguments)
    if given.action == "get-object":
        response = client.get_object(Bucket=given.bucket, Key=given.key, VersionId=given.version_id)
        Path(given.outfile).write_bytes(response.pop("Body").read())
        return json.dumps(response, default=str)
    pages = client.get_paginator("list_object_versions").paginate(Bucket=given.bucket, Prefix=given.prefix)
    # In an expression, times are text.
    return json.dumps(jmespath.search(given.query, json.loads(json.dumps(pages.build_full_result(), default=str))))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="aws", allow_abbrev=False)
    service = parser.add_subparsers(required=True).add_parser("s3api", allow_abbrev=False)
    actions = service.add_subparsers(dest="action", required=True)
    listing, getting = (actions.add_parser(name, allow_abbrev=False) for name in ("list-object-versions", "get-object"))
    for one, names in ((listing, ("prefix", "query")), (getting, ("key", "version-id"))):
        for name in ("bucket", *names):
            one.add_argument(f"--{name}", required=True)
    listing.add_argument("--output", required=True, choices=["json"])
    getting.add_argument("outfile")
    return parser


@contextlib.contextmanager
def start(client: t.Any, folder: Path) -> t.Iterator[None]:
    """Write `aws` into the folder. It works within the context."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.client = client
        program = folder / "aws"
        program.write_text(PROGRAM.format(port=server.server_address[1]), encoding="utf-8")
        program.chmod(0o755)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
