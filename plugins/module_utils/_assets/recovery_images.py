# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The section of RECOVERY.md that creates an archive for `docker load` from the images in a set."""

from __future__ import annotations

import json

from .._repository import images, layout
from .._repository.images import Image
from .._repository.manifest import Manifest

_IMAGES = """
## {number}. Images

The images of the services. The ID of an image is the SHA-256 of its configuration, or of a document with the SHA-256 of the
configuration; the commands below verify all of them. On the host of the services, load `images.tar` with `docker load --input` or
`podman load --input`. Then give each image its name from the table at the end with `docker tag`. A different container engine can
show another ID for the same image.

```sh
test -d "$RESTORED"
mkdir "$RESTORED"/images
while read -r path name; do
  age --decrypt --identity "$IDENTITY" "$path" | zstd --decompress --stdout > "$RESTORED/images/$name"
done <<'END'
{objects}
END
(cd "$RESTORED"/images && sha256sum --check --strict --quiet) <<'END'
{sums}
END
cat > "$RESTORED"/images/manifest.json <<'END'
{manifest}
END
tar --create --file "$RESTORED"/images.tar --directory "$RESTORED"/images .
```
"""


def sections(manifest: Manifest, number: int) -> list[str]:
    """Return the section with this number if the set contains images."""
    if not manifest.images:
        return []
    there = images.objects(manifest.artifacts)
    names = {digest: _name(digest, layer=layout.is_layer(one.path)) for digest, one in sorted(there.items())}
    return [
        _IMAGES.format(
            number=number,
            objects="\n".join(f"{there[digest].path} {name}" for digest, name in names.items()),
            sums="\n".join(f"{digest.removeprefix('sha256:')}  {name}" for digest, name in names.items()),
            manifest=json.dumps([_described(one) for one in manifest.images]),
        )
    ]


def _described(image: Image) -> dict[str, object]:
    layers = [_name(one.digest, layer=True) for one in image.layers]
    return {"Config": _name(image.documents[-1], layer=False), "RepoTags": None, "Layers": layers}


def _name(digest: str, *, layer: bool) -> str:
    return f"{digest.removeprefix('sha256:')}.{'tar' if layer else 'json'}"
