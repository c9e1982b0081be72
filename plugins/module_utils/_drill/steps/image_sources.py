# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the images of a drill come from: first of all from the set itself, which needs no registry and no engine."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ..._images import options as images
from .step import Work

if t.TYPE_CHECKING:
    from ..._images.sources import Sources


def of(work: Work) -> Sources:
    """For every step that starts something from an image. What is unpacked on this host already is not asked for."""
    from ..._assets.images import kept_images

    given, set_id = work.given, work.state.set_id
    kept = {one["image_id"]: functools.partial(kept_images.saved, given, set_id, one["image_id"]) for one in work.kept.get("images", [])}
    return dataclasses.replace(images.sources(given), kept=kept)
