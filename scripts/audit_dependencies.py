"""Looks the pinned dependencies up among the known vulnerabilities, with pip-audit.

    python scripts/audit_dependencies.py [--strict]

Fails where one is known. Where advisories cannot be had (no network, a mirror without them), that
is said, and no failure unless --strict asks for one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PINS = Path(__file__).parent.parent / "constraints-dev.txt"


def main(words: list[str]) -> int:
    strict = "--strict" in words
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(PINS)]
    command += ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError):
        print(f"dependency audit: not possible here: {last_line(done.stderr)}")
        return int(strict)
    known = [(each, flaw) for each in found for flaw in each.get("vulns", [])]
    for each, flaw in known:
        fixed = ", ".join(flaw["fix_versions"]) or "no version"
        print(f"{each['name']} {each['version']}: {flaw['id']}, fixed in {fixed}")
    unknown = [each["name"] for each in found if "skip_reason" in each]
    print(
        f"dependency audit: {len(found) - len(unknown)} looked up, {len(known)} vulnerabilities"
        + (f"; no advisories to be had about {len(unknown)}" if unknown else "")
    )
    return int(bool(known) or (strict and bool(unknown)))


def last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "pip-audit said nothing"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
