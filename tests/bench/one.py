# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One use case in a separate process, so that its memory can be measured from outside."""

from __future__ import annotations

import os
import pathlib
import sys

from bench.scene import Scene


def main() -> None:
    place = Scene(pathlib.Path(os.environ["BENCH_FOLDER"]), os.environ["BENCH_SOCKET"], os.environ["BENCH_BINDIR"])
    {
        "backup": place.backup,
        "restore": place.restore,
        "chains": lambda: place.verify_chains(2),
        "replay": place.read_replay,
        "streams": lambda: place.read_streams(os.environ["BENCH_REDIS"]),
    }[sys.argv[1]]()


if __name__ == "__main__":
    main()
