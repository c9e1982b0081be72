# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The locale of a restored database: the recorded one, or the closest one that the server has."""

from __future__ import annotations

from ..._inventory import DatabaseSettings
from .server import Session
from .tables import literal

FALLBACK = "C.UTF-8"

# Locale providers other than libc: the option with the locale, and a query whether the server has it.
_PROVIDERS = {
    "icu": ("ICU_LOCALE", "SELECT icu_unicode_version() IS NOT NULL AND %s <> ''"),
    "builtin": ("BUILTIN_LOCALE", "SELECT 1 FROM pg_collation WHERE collprovider = 'b' AND colllocale = %s"),
}


def of(session: Session, recorded: DatabaseSettings) -> tuple[str, list[str]]:
    """Return the locale clauses for CREATE DATABASE, and the recorded locales that the server does not have."""
    wanted = {category: recorded[category] for category in ("collate", "ctype")}
    missing = [locale for locale in dict.fromkeys(wanted.values()) if not _has_locale(session, locale)]
    provider = "libc"
    if recorded["provider"] in _PROVIDERS:
        (option, query), locale = _PROVIDERS[recorded["provider"]], recorded["locale"]
        if locale is not None and session.value(query, (locale,)):
            provider = f"{recorded['provider']} {option} {literal(locale)}"
        else:
            wanted = {category: FALLBACK for category in wanted}
            missing = [f"{locale} of {recorded['provider']}"]
    collate, ctype = (literal(FALLBACK if locale in missing else locale) for locale in wanted.values())
    return f"LOCALE_PROVIDER {provider} LC_COLLATE {collate} LC_CTYPE {ctype}", [f"locale {one}" for one in missing]


def _has_locale(session: Session, locale: str) -> bool:
    if locale in ("C", "POSIX"):
        return True
    short = locale.lower().replace("-", "")
    names = [
        row[0].lower().replace("-", "")
        for row in session.rows("SELECT collcollate FROM pg_collation WHERE collprovider = 'c' AND collcollate IS NOT NULL")
    ]
    default = str(session.value("SELECT datcollate FROM pg_database WHERE datname = 'template0'")).lower().replace("-", "")
    return short in names or short == default
