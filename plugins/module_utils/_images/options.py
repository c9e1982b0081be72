# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of modules that start programs of an image: the sources of images, and the directory for unpacked images."""

from __future__ import annotations

import typing as t

from .._options.shared import ImageOptions

if t.TYPE_CHECKING:
    from .sources import Sources


def sources(given: ImageOptions) -> Sources:
    from .sources import Sources

    return Sources(given.images_directory, given.engine, given.image_archives)
