# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Let `ansible-test` create the environments of its tests with the package index as the only source.

It creates environments without pip and then runs a script. It downloads the script from a separate host unless the
script is in a cache below the home folder. This module writes a script to that cache that runs the pip wheel of the wanted
version. Because `ansible-test` does not pass `PIP_*` variables on, pip's settings are written to that home folder too.
"""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
from pathlib import Path

SCRIPT = '''\
"""Install packages with pip straight out of its wheel."""

import runpy
import sys

WHEEL = {wheel!r}
sys.path.insert(0, WHEEL)
arguments = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
sys.argv = ["pip", "install", *arguments]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
'''


class GetPipFailed(Exception):
    """Preparing the script failed, so ansible-test could not create its environments."""


def wanted_version(site_packages: Path) -> str:
    """Return the version of pip that the installed ansible-test requires."""
    source = (site_packages / "ansible_test/_internal/python_requirements.py").read_text(encoding="utf-8")
    found = re.search(r"\bpip='([0-9.]+)'", source)
    if found is None:
        raise GetPipFailed("this ansible-test does not name the pip that it needs; update tests/tools/get_pip.py")
    return found.group(1)


def prepare(venv: Path, home: Path) -> Path:
    """Write the script, its wheel and pip's settings below `home`; return the path of the script."""
    version = wanted_version(next(venv.glob("lib/python*/site-packages")))
    _write_settings(venv, home / ".config/pip/pip.conf")
    cache = home / ".ansible/test/cache"
    script = cache / f"get_pip_{version.replace('.', '_')}.py"
    if not script.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        command = [str(venv / "bin/python"), "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(cache), f"pip=={version}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = sorted(cache.glob(f"pip-{version}-*.whl"))
        if done.returncode != 0 or not wheels:
            raise GetPipFailed(f"cannot download pip {version}, which ansible-test wants: {done.stderr.strip()[-300:]}")
        script.write_text(SCRIPT.format(wheel=str(wheels[0])), encoding="utf-8")
    return script


def settings_of(python: Path) -> dict[str, dict[str, str]]:
    """Return the output of `pip config list` by section. Settings from environment variables count as `global`."""
    done = subprocess.run([str(python), "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    found: dict[str, dict[str, str]] = {}
    for line in done.stdout.splitlines():
        name, _equals, value = line.partition("=")
        section, _dot, key = name.rpartition(".")
        found.setdefault("global" if section == ":env:" else section, {})[key] = str(ast.literal_eval(value))
    return found


def _write_settings(venv: Path, target: Path) -> None:
    """Write pip's settings to one file that only this user can read."""
    settings = configparser.RawConfigParser()
    settings.read_dict(settings_of(venv / "bin/python"))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch(mode=0o600)
    with target.open("w", encoding="utf-8") as file:
        settings.write(file)
