# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pages generated from code, the front page, and the README's links to the site."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

import pytest
import yaml
from sphinx.util.inventory import InventoryFile

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.causes import diagnosis
from tools import docs_pages, docs_site
from tools.rules import tree

SITE = "https://caracal-ops.github.io/backup/"


def test_lists_every_setting_of_every_role() -> None:
    text = docs_pages.pages(tree.ROOT)["settings"]
    specs = [yaml.safe_load((tree.ROOT / path).read_text()) for path in tree.files(tree.ROOT, "roles/*/meta/argument_specs.yml")]
    names = {name for spec in specs for name in spec["argument_specs"]["main"].get("options", {})}
    assert len(names) > 100 and {name for name in names if f"\n``{name}``: " not in text} == set()


def test_lists_every_cause() -> None:
    text = docs_pages.pages(tree.ROOT)["causes"]
    assert [one.id for one in diagnosis.CAUSES if f"\n``{one.id}``\n" not in text] == []


def test_the_front_page_lists_every_guide(tmp_path: Path) -> None:
    shutil.copytree(tree.ROOT / "docs", tmp_path / "docs")
    shutil.copytree(tree.ROOT / "roles", tmp_path / "roles")
    sections = docs_site.prepare(tmp_path)
    assert docs_site.prepare(tmp_path) == sections
    text = docs_pages.front_page(sections, {"Roles": ["one_role"]})
    guides = [path.stem for path in (tmp_path / docs_site.DOCSITE / "rst").glob("*.rst")]
    assert len(guides) > 30 and [name for name in guides if f"   docsite/{name}\n" not in text] == []
    assert "   one_role\n" in text


def test_labels_of_other_pages_are_read_by_sphinx() -> None:
    file = io.BytesIO(docs_site.inventory({"a_label": "b.html#c"}))
    found = InventoryFile.load(file, "https://example.org", lambda *parts: "/".join(parts))
    assert found["std:label"]["a_label"].uri == "https://example.org/b.html#c"


def missing(text: str) -> list[str]:
    """Return pages of the site that a text links to and that no guide creates."""
    names = re.findall(rf"{re.escape(SITE)}docsite/(\w+)\.html", text)
    return [name for name in names if not (tree.ROOT / docs_site.DOCSITE / "rst" / f"{name}.rst").is_file()]


def test_links_of_the_readme_lead_to_pages() -> None:
    text = (tree.ROOT / "README.md").read_text(encoding="utf-8")
    assert SITE in text and missing(text) == []


@pytest.mark.mutation
def test_finds_a_link_to_a_missing_page() -> None:
    assert missing(f"{SITE}docsite/guide_gone.html") == ["guide_gone"]
