# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of RECOVERY.md that get a set out of a bucket, and that tell whether it is the one that was signed."""

from __future__ import annotations

from .._repository import layout as keys
from .._repository.manifest import Manifest
from .recovery_quoting import shell

_DOWNLOAD = """\
## If the set is in a bucket

It is downloaded first, into `$REPOSITORY`, with the command line of AWS. `BUCKET` names the bucket, and `PREFIX`, which ends with its
slash, what stands before each key; AWS's `AWS_PROFILE`, and `AWS_ENDPOINT_URL` for another server, say how the bucket is reached. Of each
object the **oldest** version counts: who may write can put another one or a delete marker on top. If step 1 refuses a file all the same,
take its next version. Only what was verified says what else to download.

```bash
set -euo pipefail
: "$REPOSITORY" "$BUCKET" "${{PREFIX=}}"
test -r "$ALLOWED_SIGNERS"
download() {{
  mkdir --parents "$REPOSITORY/${{1%/*}}"
  oldest=$(aws s3api list-object-versions --bucket "$BUCKET" --prefix "$PREFIX$1" --output json \\
    --query "sort_by(reverse(Versions[?Key=='$PREFIX$1']), &LastModified)[0].VersionId" | tr --delete '"') ||
    {{ echo "$1 is not in the bucket" >&2; false; }}
  aws s3api get-object --bucket "$BUCKET" --key "$PREFIX$1" --version-id "$oldest" "$REPOSITORY/$1" > /dev/null
}} < /dev/null
for name in {manifest} {signature} {recovery}; do download "$name"; done
(
  cd "$REPOSITORY"
{verify}
)
sed --regexp-extended --quiet 's#^[0-9a-f]{{64}}  ([A-Za-z0-9_~-][A-Za-z0-9._~-]*(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*)$#\\1#p' \\
  "$REPOSITORY/{recovery}" | while read -r name; do download "$name"; done
```
"""

_VERIFY = """\
ssh-keygen -Y verify -f "$ALLOWED_SIGNERS" -I {principal} -n {namespace} -s {signature} < {manifest}
text=$(sha256sum < {recovery} | cut -c 1-64)
grep --quiet "\\"$text\\"" {manifest} || {{ echo "{recovery} is not what was signed" >&2; false; }}"""


def download(manifest: Manifest) -> str:
    """Of all that the set names. Only the first three names are in the block; the others come from what it has verified."""
    return _DOWNLOAD.format(**_keys(manifest), verify=verify(manifest))


def verify(manifest: Manifest) -> str:
    """Commands in the folder of the repository: is the manifest signed, and does it name this RECOVERY.md?"""
    principal = shell(keys.principal(keys.BACKUP, manifest.deployment))
    return _VERIFY.format(**_keys(manifest), principal=principal, namespace=keys.NAMESPACE_SET)


def _keys(manifest: Manifest) -> dict[str, str]:
    return {
        "signature": keys.backup_signature_key(manifest.set_id),
        "manifest": keys.manifest_key(manifest.set_id),
        "recovery": keys.recovery_key(manifest.set_id),
    }
