#!/usr/bin/env python3
"""Draws the figures of `bench_quick.py --json FILE` as ratios to etcd's: chart.py FILE > docs/speed.svg"""

import json
import sys

COLOURS = {"sqlite": "#0b7285", "postgres": "#5f3dc4", "mysql": "#e8590c"}
NAMES = {"sqlite": "SQLite", "postgres": "PostgreSQL", "mysql": "MariaDB"}
WIDTH, LEFT, RIGHT, BAR, GAP = 760, 180, 60, 11, 12


def main():
    with open(sys.argv[1]) as file:
        results = json.load(file)
    runs = {name: rates for name, rates in results.items() if "memory" not in name and "processor" not in name}
    backends = [name for name in COLOURS if name in next(iter(runs.values()))]
    most = max(rates[name] / rates["etcd"] for rates in runs.values() for name in backends)
    scale = (WIDTH - LEFT - RIGHT) / most
    group = BAR * len(backends) + GAP
    height = 64 + group * len(runs)
    words = "; ".join(f"{run}: " + ", ".join(f"{NAMES[b]} {rates[b] / rates['etcd']:.1f}" for b in backends)
                      for run, rates in runs.items())
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" font-family="sans-serif"'
           f' font-size="12"><title>Calls a second, as a multiple of etcd\'s. {words}</title>',
           "<style>text{fill:#24292f}.l{stroke:#57606a}@media(prefers-color-scheme:dark)"
           "{text{fill:#e6edf3}.l{stroke:#8b949e}}</style>"]
    place = LEFT
    for backend in backends:
        out.append(f'<rect x="{place}" y="10" width="11" height="11" fill="{COLOURS[backend]}"/>'
                   f'<text x="{place + 16}" y="20">{NAMES[backend]}</text>')
        place += 110
    out.append(f'<text x="{place}" y="20">calls a second; etcd = 1</text>')
    y = 36
    for run, rates in runs.items():
        out.append(f'<text x="{LEFT - 8}" y="{y + BAR * len(backends) / 2 + 4}" text-anchor="end">{run}</text>')
        for backend in backends:
            ratio = rates[backend] / rates["etcd"]
            out.append(f'<rect x="{LEFT}" y="{y}" width="{ratio * scale:.1f}" height="{BAR - 1}" fill="{COLOURS[backend]}"/>'
                       f'<text x="{LEFT + ratio * scale + 4:.1f}" y="{y + 9}" font-size="10">{ratio:.2f}</text>')
            y += BAR
        y += GAP
    out.append(f'<line class="l" x1="{LEFT + scale:.1f}" y1="30" x2="{LEFT + scale:.1f}" y2="{height - 20}"'
               f' stroke-dasharray="3 3"/><text x="{LEFT + scale:.1f}" y="{height - 6}" text-anchor="middle">etcd</text></svg>')
    print("\n".join(out))


main()
