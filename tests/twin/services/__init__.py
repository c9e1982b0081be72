# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stand-ins for the product's services, over a real PostgreSQL and a real Redis: `python -m twin.services.<name>`.

The names are sts, gateway, audit, api and coordinator. They are configured by the product's own variables alone, read which
family and release the database is of, and do what a drill can see of the real ones, failures included. Not played: Rego but
for one shape (see `common.documents`), approvals, users' consent to providers, external secret stores, exports, webhooks,
the API's internal zone, idempotency receipts, agents started in the older family, and cleaning up after ninety days.
"""
