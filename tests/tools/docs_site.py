# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the documentation as a site in `build/docs/html`: guides, generated pages, and a page for each module, role and filter.

antsibull-docs writes the pages of modules and roles, Sphinx the site. A warning of Sphinx is an error.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import typing as t
import zlib
from pathlib import Path

import yaml

from tools import docs_pages
from tools.rules import tree

DOCSITE = Path("docs/docsite")
COLLECTION = "caracal_ops.backup"
# Captions of the lists of pages that antsibull-docs writes, and the suffixes of their names.
KINDS = {"Roles": "role", "Modules": "module", "Filters": "filter"}
# Labels of Ansible's own documentation that pages refer to, and their paths below its address.
LABELS = {
    "action_plugins": "plugins/action.html#action-plugins",
    "ansible_configuration_settings": "reference_appendices/config.html#ansible-configuration-settings",
    "common_return_values": "reference_appendices/common_return_values.html#common-return-values",
    **{
        f"ansible_collections.ansible.builtin.{name}_module": f"collections/ansible/builtin/{name}_module.html"
        for name in ("copy", "fetch", "setup", "stat")
    },
}


class BuildFailed(Exception):
    """The site was not built."""


def inventory(labels: t.Mapping[str, str]) -> bytes:
    """Return the labels as an object inventory of Sphinx, version 2."""
    lines = "".join(f"{label} std:label -1 {address} {label}\n" for label, address in sorted(labels.items()))
    head = "# Sphinx inventory version 2\n# Project: ansible\n# Version: latest\n# The remainder of this file is compressed using zlib.\n"
    return head.encode() + zlib.compress(lines.encode())


def prepare(root: Path) -> list[dict[str, t.Any]]:
    """Write the generated pages next to the guides of this mirror, and list them in the reference; return the sections."""
    listed = root / DOCSITE / "extra-docs.yml"
    content = yaml.safe_load(listed.read_text(encoding="utf-8"))
    sections: list[dict[str, t.Any]] = content["sections"]
    reference = next(one["toctree"] for one in sections if one["title"] == "Reference")
    for name, text in docs_pages.pages(root).items():
        (root / DOCSITE / "rst" / f"{name}.rst").write_text(text, encoding="utf-8")
        if name not in reference:
            reference.append(name)
    listed.write_text(yaml.safe_dump(content, explicit_start=True), encoding="utf-8")
    return sections


def build(root: Path, target: Path) -> Path:
    """Build the site and return its folder. Raises BuildFailed."""
    sections = prepare(root)
    shutil.rmtree(target, ignore_errors=True)
    pages = target / "rst"
    pages.mkdir(parents=True, mode=0o700)
    labels = target / "ansible.inv"
    labels.write_bytes(inventory(LABELS))
    _run("antsibull-docs", "collection", "--use-current", "--squash-hierarchy", "--no-indexes", "--dest-dir", str(pages), COLLECTION)
    kinds = {caption: sorted(path.stem for path in pages.glob(f"*_{kind}.rst")) for caption, kind in KINDS.items()}
    releases = pages / "changelog.rst"
    if "\n===" in releases.read_text(encoding="utf-8"):
        kinds["Releases"] = [releases.stem]
    else:
        # Before the first release the page of releases has no title.
        releases.unlink()
    (pages / "index.rst").write_text(docs_pages.front_page(sections, kinds), encoding="utf-8")
    shutil.copy2(root / "docs/images" / docs_pages.PICTURE, pages)
    site = target / "html"
    options = ("-b", "html", "-W", "--keep-going", "-q", "-d", str(target / "doctrees"))
    _run("sphinx-build", *options, "-c", str(root / DOCSITE), str(pages), str(site), CARACAL_OPS_ANSIBLE_INVENTORY=str(labels))
    return site


def _run(*command: str, **variables: str) -> None:
    done = subprocess.run(command, env={**os.environ, **variables}, check=False)
    if done.returncode:
        raise BuildFailed(f"{command[0]} failed with status {done.returncode}")


def main() -> str | None:
    """Build the site; return the error in one line."""
    try:
        site = build(tree.ROOT, Path(os.environ["CARACAL_OPS_BUILD"]) / "docs")
    except BuildFailed as exc:
        return f"docs: {exc}"
    pages = sum(1 for _page in site.rglob("*.html"))
    print(f"docs: {pages} pages in {site}")
    return None


if __name__ == "__main__":
    sys.exit(main())
