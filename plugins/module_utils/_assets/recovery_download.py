# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of RECOVERY.md that download a set from a bucket, and that verify its signature."""

from __future__ import annotations

from .._repository import layout as keys
from .._repository.manifest import Manifest
from .recovery_quoting import shell

_DOWNLOAD = """\
## If the set is in a bucket

Download the set to `$REPOSITORY` first, with the AWS command line:

- Set `BUCKET` to the bucket, and `PREFIX` to the prefix of all keys, with a slash at its end.
- Configure access with `AWS_PROFILE`, and with `AWS_ENDPOINT_URL` for a server other than AWS.

The commands download the **oldest** version of each object, because anyone with write access can add a newer version or a delete
marker. If step 1 still refuses a file, download its next version. Further names come only from the verified file.

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
grep --quiet "\\"$text\\"" {manifest} || {{ echo "{recovery} does not match the signed manifest" >&2; false; }}"""


def download(manifest: Manifest) -> str:
    """Return the commands that download everything in the set.

    The block contains only the first three names. The other names are from the verified file.
    """
    return _DOWNLOAD.format(**_keys(manifest), verify=verify(manifest))


def verify(manifest: Manifest) -> str:
    """Return commands, for the repository's directory, that verify the manifest's signature and that it lists this RECOVERY.md."""
    principal = shell(keys.principal(keys.BACKUP, manifest.deployment))
    return _VERIFY.format(**_keys(manifest), principal=principal, namespace=keys.NAMESPACE_SET)


def _keys(manifest: Manifest) -> dict[str, str]:
    return {
        "signature": keys.backup_signature_key(manifest.set_id),
        "manifest": keys.manifest_key(manifest.set_id),
        "recovery": keys.recovery_key(manifest.set_id),
    }
