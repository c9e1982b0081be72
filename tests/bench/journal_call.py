# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One call on the journal of `bench.journal`, in a process that has imported only what the module imports.

A library that is imported for the bucket counts. Prints wall-clock and processor seconds.
"""

from __future__ import annotations

import json
import os
import sys
import time

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access
from ansible_collections.caracal_ops.backup.plugins.module_utils._sets import backup_set


def main() -> None:
    """Measure the call only. The start of the process is the start of any module, which has a figure of its own."""
    given = complete(backup_set.Options, json.loads(os.environ["BENCH_JOURNAL"]))
    started, used = time.monotonic(), time.process_time()
    if sys.argv[1] == "everything":
        opened = access.open_repository(given.access, everything=True)
        opened.mark.advance(opened.journal)
    else:
        backup_set.run(Invocation(given, False, lambda _text: None))
    print(json.dumps([time.monotonic() - started, time.process_time() - used]))


if __name__ == "__main__":
    main()
