# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stand-ins for the product's services, with a real PostgreSQL and a real Redis: `python -m twin.services.<name>`.

The names are sts, gateway, audit, api, coordinator and web. They are configured only with the product's own variables
and detect the family and release of the database. They behave, as far as a drill can see, like the real services,
failures included.

Not implemented in any service: Rego except for one shape (see `common.documents`), approvals, users' consent to
providers, external secret stores, exports and webhooks.

Not implemented in the API and the coordinator: the API's internal zone, idempotency receipts, starting agents in the
older family, and the cleanup after ninety days.
"""
