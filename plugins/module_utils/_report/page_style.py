# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The style sheet of the report page, for light and dark mode, narrow screens and paper."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #1b1f24; --soft: #57606a; --line: #d9dee4; --bar: #4a7fb5;
  --pass: #1a6b38; --pass-bg: #e2f4e8; --fail: #a5161d; --fail-bg: #fde7e7; --warn: #7a4d00; --warn-bg: #fdf0d3;
  --none: #4d5661; --none-bg: #eaedf0; }
@media (prefers-color-scheme: dark) { :root {
  --page: #101418; --card: #181d23; --ink: #e4e8ec; --soft: #a0aab4; --line: #323a43; --bar: #5b93cc;
  --pass: #7ddc9c; --pass-bg: #12331f; --fail: #ff9d99; --fail-bg: #45171a; --warn: #f3c969; --warn-bg: #3d2e0c;
  --none: #b4bdc7; --none-bg: #2a3139; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", "Liberation Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1000px; margin: 0 auto; padding: 24px 20px 48px; }
code, .mono { font-family: ui-monospace, "Liberation Mono", "DejaVu Sans Mono", monospace; font-size: .92em; overflow-wrap: anywhere; }
header p { margin: 0 0 10px; color: var(--soft); }
h1, h2, h3 { line-height: 1.25; margin: 0; }
h2 { font-size: 1.15rem; margin: 32px 0 10px; }
h3 { font-size: .95rem; margin: 0; padding: 9px 14px; border-bottom: 1px solid var(--line);
  display: flex; justify-content: space-between; gap: 12px; }
h3 span { font-weight: 400; color: var(--soft); }
.pass { color: var(--pass); background: var(--pass-bg); } .fail { color: var(--fail); background: var(--fail-bg); }
.warn, .unproven { color: var(--warn); background: var(--warn-bg); } .not_applicable { color: var(--none); background: var(--none-bg); }
.verdict { border-radius: 10px; padding: 18px 22px; border: 1px solid; }
.verdict h1 { font-size: 2.3rem; letter-spacing: .01em; }
.verdict p { margin: 4px 0 0; font-size: 1.05rem; color: var(--ink); overflow-wrap: anywhere; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; margin: 14px 0; overflow: hidden; }
.waivers { border-color: var(--warn); }
.diagnosis { border-color: var(--fail); }
.cause { padding: 10px 14px; }
.cause + .cause { border-top: 1px solid var(--line); }
.cause p { margin: 0 0 3px; overflow-wrap: anywhere; }
.facts { display: grid; grid-template-columns: repeat(2, 1fr); }
.facts div { padding: 10px 14px; border-bottom: 1px solid var(--line); min-width: 0; }
.facts div:nth-child(odd) { border-right: 1px solid var(--line); }
.facts div:nth-last-child(-n+2) { border-bottom: 0; }
dt { color: var(--soft); font-size: .8rem; }
dd { margin: 0; overflow-wrap: anywhere; }
dd small { display: block; color: var(--soft); font-size: .85rem; }
.badge { display: inline-block; border: 1px solid; border-radius: 5px; padding: 0 7px;
  font-size: .78rem; font-weight: 650; white-space: nowrap; }
.counts { display: flex; flex-wrap: wrap; gap: 8px; margin: 14px 0; padding: 0; list-style: none; }
.check { display: grid; grid-template-columns: 134px minmax(0, 1fr); padding: 7px 14px; gap: 10px; align-items: start; }
.controls .check { grid-template-columns: minmax(0, 1fr); }
.controls .check > div:first-child { display: none; }
.check + .check, .step + .step { border-top: 1px solid var(--line); }
.check p { margin: 0; overflow-wrap: anywhere; }
.check .mono, .note { color: var(--soft); }
.step { display: grid; grid-template-columns: minmax(0, 210px) minmax(0, 1fr) 240px; gap: 14px; padding: 7px 14px; align-items: center; }
.step .mono { text-align: right; }
.track { display: block; width: 100%; height: 14px; background: var(--none-bg); border-radius: 4px; }
.facts .track { height: 6px; margin: 4px 0 2px; max-width: 320px; }
.bar { fill: var(--bar); } .within { fill: var(--pass); } .over, .limit { fill: var(--fail); }
.scale { margin: 0; padding: 6px 14px; border-top: 1px solid var(--line); color: var(--soft); font-size: .85rem; }
pre { margin: 0; padding: 12px 14px; white-space: pre-wrap; }
footer { color: var(--soft); font-size: .87rem; margin-top: 28px; }
@media (max-width: 640px) {
  main { padding: 14px 12px 32px; }
  .verdict h1 { font-size: 1.8rem; }
  .facts { grid-template-columns: 1fr; }
  .facts div:nth-child(odd) { border-right: 0; }
  .facts div:nth-last-child(2) { border-bottom: 1px solid var(--line); }
  .check { grid-template-columns: 1fr; gap: 2px; }
  .step { grid-template-columns: 1fr; gap: 3px; }
  .step .mono { text-align: left; }
}
@media print {
  :root { --page: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #bbb; --bar: #4a7fb5;
    --pass: #1a6b38; --pass-bg: #fff; --fail: #a5161d; --fail-bg: #fff; --warn: #7a4d00; --warn-bg: #fff; --none: #444; --none-bg: #eee; }
  :root { font-size: 11.5px; }
  body { font-size: 11px; }
  main { max-width: none; padding: 0; }
  .card, .verdict { break-inside: avoid; }
  .groups .card { break-inside: auto; }
  .check, .step { break-inside: avoid; }
  .track, .badge { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
