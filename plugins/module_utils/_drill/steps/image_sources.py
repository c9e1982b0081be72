# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sources of a drill's images: first the set itself, which needs no registry and no engine."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ..._images import options as images
from .step import Work

if t.TYPE_CHECKING:
    from ..._assets.images import kept_images
    from ..._images.sources import Sources


def of(work: Work) -> Sources:
    """Return the sources for each step that starts an image. An image that is already unpacked on this host is not fetched."""
    from ..._assets.images import kept_images

    source = kept_by(work)
    kept = {one["image_id"]: functools.partial(kept_images.saved, source, one["image_id"]) for one in work.kept.get("images", [])}
    return dataclasses.replace(images.sources(work.given.images), kept=kept)


def kept_by(work: Work) -> kept_images.Source:
    """Return the set as a source of images, which this host decrypts with its identities."""
    from ..._assets.images import kept_images

    return kept_images.Source(work.given.access, work.state.set_id, work.given.identities)
