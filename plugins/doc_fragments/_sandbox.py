# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """A copy in a sandbox instead of a server."""

    DOCUMENTATION = r"""
options:
  sandbox:
    description:
      - Directory of the sandbox that contains the copy. Without it, O(login_host) and the other C(login_*) options determine the server.
        Mutually exclusive with O(login_host) and O(login_unix_socket).
    type: path
"""
