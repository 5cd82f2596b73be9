"""Rounds of faults on the programs that are shipped, a real Kafka and a real Redis; each is one line of a ledger.

In a round one or more worlds of modelwatch work while faults that follow from the seed strike: models whose releases go
slow are found out, told, rolled back, verified. Then all is healed, and the oracles of tests/live check every window and
counter, the findings against a replay of the log, the ids of what was told, that each incident was repaired once, and that
outboxes are empty. A count may be reached over several runs, by programs of several commits: seeds of a kind that are in
the ledger are not run again, and each line says its own commit (+ where sources differed from it).

With --broken NAME the programs are built with a patch of tests/broken or tests/fault/broken; such a round must go wrong.
"""
import argparse
import os
import shutil
import subprocess
import sys
import time
import traceback
from pathlib import Path

import ledger
from ledger import ROOMS, ROOT

WORK = ROOT / "build" / "fault"
sys.path.insert(0, str(ROOT / "tests" / "live"))

import chain as chains                                      # noqa: E402
import conftest                                             # noqa: E402
import round as rounds                                      # noqa: E402
from confluent_kafka.admin import AdminClient               # noqa: E402
from kinds import KINDS                                     # noqa: E402


def say(*words):
    print(*words, file=sys.stderr, flush=True)


# ---- programs

def build(tree, programs):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    crash = ["CRASH_POINTS=1"] if programs == "build/crash" else []
    done = subprocess.run(["make", "-j2", *crash, "all"], cwd=tree, env=environment, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout


def broken_tree(name, programs):
    """Our sources with the patch, and what was made of those that it does not touch."""
    patch, = [path for folder in ("tests/broken", "tests/fault/broken") for path in (ROOT / folder).glob(f"{name}.patch")]
    tree = WORK / f"broken-{name}"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    for room in (*ROOMS, "demo", "bench"):
        shutil.copytree(ROOT / room, tree / room)
        shutil.copytree(ROOT / programs / room, tree / programs / room)
    shutil.copy(ROOT / "Makefile", tree)
    subprocess.run(["patch", "--batch", "-F0", "-p0", "-i", patch], cwd=tree, check=True, stdout=subprocess.DEVNULL)
    return tree


def stage(kind, broken):
    """A copy of the programs, so that nobody's build changes them during a round."""
    build(ROOT, kind.PROGRAMS)
    tree = broken_tree(broken, kind.PROGRAMS) if broken else ROOT
    if broken:
        build(tree, kind.PROGRAMS)
    there = WORK / f"stage-{os.getpid()}"
    (there / "build").mkdir(parents=True)
    (there / "docs").symlink_to(ROOT / "docs")
    for path in (tree / kind.PROGRAMS).glob("modelwatch*"):
        shutil.copy(path, there / "build")
    conftest.ROOT = chains.ROOT = there
    chains.MODELWATCH = there / "build" / "modelwatch"
    return there


# ---- rounds

class Servers(conftest.Servers):
    """What they fail at is no verdict."""

    @staticmethod
    def _run(*words):
        done = subprocess.run([conftest.SCRIPT, *words], stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"tests/servers {words}: {done.stderr}")


def clean(servers):
    servers.heal()
    servers.redis_cli("flushall")
    admin = AdminClient({"bootstrap.servers": servers.brokers})
    names = [name for name in admin.list_topics(timeout=10).topics if not name.startswith("__")]
    for done in admin.delete_topics(names).values() if names else ():
        done.result(60)


def command_of(options, seed):
    more = [f"{name}={value}" for name, value in (("STORM", options.storm), ("BROKEN", options.broken)) if value]
    return " ".join(["make fault", f"KIND={options.kind}", f"SEED={seed}", *more])


def play(kind, seed, servers, broken):
    """One round as a line of the ledger. Where it was wrong its logs stay. Only what an oracle says is a verdict; any other
    exception is the harness's own failure and no round."""
    directory = WORK / f"{kind.name}{'-' + broken if broken else ''}-{seed}"
    shutil.rmtree(directory, ignore_errors=True)
    clean(servers)
    begin, one, wrong = time.monotonic(), kind(seed, servers, directory), 0
    try:
        one.run()
    except (AssertionError, conftest.pytest.fail.Exception) as failure:
        wrong = str(failure)
        (directory / "wrong").write_text(traceback.format_exc())
    if not wrong:
        shutil.rmtree(directory)
    counts = {name: dict(sorted(getattr(one, name).items())) for name in ("faults", "phases", "facts")}
    return {"kind": kind.name, "seed": seed, **({"broken": broken} if broken else {}), **counts,
            "wrong": wrong and wrong[:1000], "seconds": round(time.monotonic() - begin, 1)}


def seeds(options):
    if options.seed:
        return [options.seed]
    done = {line["seed"] for line in ledger.lines(options.ledger, options.kind) if line.get("broken") == options.broken}
    return [seed for seed in range(1, options.rounds + len(done) + 1) if seed not in done][:options.rounds]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=KINDS, default="kills", help="; ".join(f"{k.name}: {k.__doc__}" for k in KINDS.values()))
    parser.add_argument("--rounds", type=int, default=1, help="of seeds that are not in the ledger")
    parser.add_argument("--seed", type=int, help="this one, whether or not it is in the ledger")
    parser.add_argument("--ledger", type=Path, default=ROOT / "build" / "faults.jsonl")
    parser.add_argument("--storm", type=int, help="seconds of it, other than the kind's")
    parser.add_argument("--broken", metavar="NAME", help="a patch: a round of its programs must go wrong")
    options = parser.parse_args()
    kind, of, passed, failed = KINDS[options.kind], ledger.commit(), 0, 0
    kind.STORM = options.storm or kind.STORM
    if options.broken:
        rounds.PATIENCE = 240                               # it will wait in vain
    staged = stage(kind, options.broken)
    os.environ["MODELWATCH_BROKER_SESSION_MS"] = "2000" if kind is KINDS["broker"] else "9000"
    servers = Servers(WORK / f"servers-{os.getpid()}")
    try:
        for seed in seeds(options):
            try:
                line = {**play(kind, seed, servers, options.broken), "commit": of, "command": command_of(options, seed)}
            except conftest.pytest.exit.Exception:          # somebody ends us
                raise
            except Exception:                               # of the harness: no round
                traceback.print_exc()
                failed += 1
                continue
            ledger.append(options.ledger, line)
            say(f"{kind.name} seed {seed}: {sum(line['faults'].values())} faults, {line['seconds']} s,",
                f"WRONG: {line['wrong']}" if line["wrong"] else "right")
            good = bool(line["wrong"]) == bool(options.broken)
            passed, failed = passed + good, failed + (not good)
    finally:
        servers.close()
        for directory in (servers.directory, staged):
            shutil.rmtree(directory, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
