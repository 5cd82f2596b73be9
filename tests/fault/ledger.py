"""The ledger of campaigns: a JSON line for each round, chunk or measurement; docs/faults.md is made of it."""
import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("core", "ports", "ingest", "detectors", "alerts", "remediate", "console", "ctl")


def commit(*more):
    """Of the programs; + where the sources, or those of more folders, differ from it."""
    def git(*words):
        return subprocess.run(["git", "-C", ROOT, *words], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "--", *ROOMS, *more) else "")


def lines(path, kind):
    """What is in it of this kind; nothing where there is none yet."""
    found = map(json.loads, path.read_text().splitlines()) if path.exists() else ()
    return [line for line in found if line["kind"] == kind]


def append(path, line):
    with open(path, "a") as ledger:
        ledger.write(json.dumps(line) + "\n")
