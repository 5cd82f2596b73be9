"""Rounds of one incident under faults, on the shipped binaries, a real Kafka and a real Redis: see --help.

A round: a release goes slow, is found, told, rolled back and verified, while faults drawn from the seed strike. Then all
is healed, and the oracles of tests/live check every window and counter, the findings against a replay of the log, the ids
of what was told, that it was repaired once, and that outboxes are empty. Each round is one line of the ledger; seeds that
are in it are not run again.
"""
import argparse
import collections
import contextlib
import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "live"))

import chain as chains                                      # noqa: E402
import conftest                                             # noqa: E402
import test_kill                                            # noqa: E402
from conftest import eventually                             # noqa: E402
from confluent_kafka.admin import AdminClient               # noqa: E402
from test_chain import one_incident                         # noqa: E402

PER_SECOND = 800
RELEASE_AT, STORM_S = 7, 25                                 # seconds of a round
KILLS = 40
STEP_POINTS = ("store.after_load", "store.before_advance", "store.after_advance")
OUTBOX_POINTS = ("outbox.before_write", "outbox.after_write", "outbox.before_drop", "outbox.after_drop")
POINTS = {"ingest": STEP_POINTS, "detectors": STEP_POINTS + OUTBOX_POINTS,
          "alerts": STEP_POINTS + OUTBOX_POINTS + ("alerts.before_call", "alerts.after_call"),
          "remediate": STEP_POINTS + OUTBOX_POINTS + ("remediate.after_intent", "remediate.before_call", "remediate.after_call")}


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def stage(kind):
    """A copy of the programs, so that nobody's build changes them during a round."""
    there = ROOT / "build" / "fault" / f"stage-{kind}"
    shutil.rmtree(there, ignore_errors=True)
    (there / "build").mkdir(parents=True)
    (there / "docs").symlink_to(ROOT / "docs")
    programs = ROOT / "build" / ("crash" if kind == "points" else "")
    for path in [*programs.glob("modelwatch*"), ROOT / "build" / "demo-deploy"]:
        shutil.copy(path, there / "build")
    conftest.ROOT = chains.ROOT = there
    chains.MODELWATCH = there / "build" / "modelwatch"


def commit():
    """Of the programs; + where sources differ from it."""
    def git(*args):
        return subprocess.run(["git", "-C", ROOT, *args], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    rooms = ("core", "ports", "ingest", "detectors", "alerts", "remediate", "console", "ctl")
    return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "--", *rooms) else "")


class Round:
    def __init__(self, kind, seed, servers, directory):
        self.kind, self.seed, self.servers, self.directory = kind, seed, servers, directory
        self.chance, self.faults, self.facts = random.Random(f"{kind} {seed}"), collections.Counter(), {}
        self.started, self.released = [], False
        directory.mkdir(parents=True)

    def run(self):
        with contextlib.ExitStack() as stack:
            stack.callback(self._kill_all)
            self.deploy, self.hook = chains.Deploy(), chains.Hook()
            stack.callback(self.deploy.close)
            stack.callback(self.hook.close)
            self.chain = one_incident(self.servers, self._service, self.directory, self.deploy, self.hook)
            self.chain.start(*chains.SERVICES)
            load = chains.Fleet(self.servers.brokers, self.chain.topic, self.deploy, PER_SECOND, self.seed)
            stack.callback(load._stop.set)
            self._storm()
            self._heal()
            eventually(lambda: self.deploy.state("fraud")["rollbacks"], 60, "the rollback")
            eventually(lambda: "verified" in test_kill.states_of_actions(self.chain), 120, "the verified action")
            load.close()
            self._check()

    # -- the storm

    def _storm(self):
        self.begin = time.monotonic()
        {"kills": self._kills, "points": self._points}[self.kind]()

    def _now(self):
        """Seconds of the round; the release comes when it is time."""
        now = time.monotonic() - self.begin
        if not self.released and now >= RELEASE_AT:
            self.deploy.release("fraud", production="8-slow")
            self.released = True
        return now

    def _kills(self):
        plan = sorted((self.chance.uniform(1, STORM_S), self.chance.choice(chains.SERVICES)) for _ in range(KILLS))
        for at, victim in plan:
            while self._now() < at:
                time.sleep(0.005)
            self.chain.services[victim].kill()
            self.faults[f"kill {victim}"] += 1
            time.sleep(0.2)                                 # what systemd waits before it starts it again
            self.chain.services[victim].start()

    def _points(self):
        for name in POINTS:
            self.chain.services[name].kill()
            self._arm(name)
        while self._now() < STORM_S:
            for name in POINTS:
                service = self.chain.services[name]
                if not service.running():
                    assert service.process.returncode == -9, f"{name} ended with {service.process.returncode} by itself"
                    self.faults[f"{name}: {service.env['MODELWATCH_CRASH'].split(':')[0]}"] += 1
                    time.sleep(0.2)
                    self._arm(name)
            time.sleep(0.02)

    def _arm(self, name):
        """Starts it with a point to die at. Before the release nothing goes out that would reach the others."""
        points = POINTS[name] if self.released else STEP_POINTS
        point = self.chance.choice(points)
        count = 1 if point not in STEP_POINTS[1:] else self.chance.randint(1, 6)
        service = self.chain.services[name]
        service.kill()
        service.env["MODELWATCH_CRASH"] = f"{point}:{count}"
        service.start()

    def _heal(self):
        for name, service in self.chain.services.items():
            if service.env.pop("MODELWATCH_CRASH", None):
                service.kill()
                service.start()
            assert service.running(), f"{name} ended with {service.process.returncode} by itself"
        for service in self.chain.services.values():
            service.ready(30)

    # -- the check

    def _check(self):
        chain = self.chain
        log = chain.settle(timeout=60)
        self.facts["events"] = sum(map(len, log.values()))
        folds = chain.check_windows(log)
        chain.check_invariant(log, folds)
        chains.check_same(chain.findings(), chain.replayed_findings(log), "findings")
        test_kill.check_told(chain, self.hook)
        test_kill.check_repaired_once(chain, self.deploy)
        eventually(lambda: not self._waiting(), 15, "that outboxes are empty")
        for name in ("findings", "notifications", "actions"):
            self.facts[name] = len(chain.topic_records(name))

    def _waiting(self):
        """What is left in outboxes, by fold."""
        found = {}
        for fold in self.servers.redis_cli("smembers", f"{self.chain.prefix}:folds").split():
            service, log = fold.split("/", 1)
            base = f"{self.chain.prefix}:{{{log}}}:{service}"
            epoch = self.servers.redis_cli("hget", f"{base}:head", "epoch")
            found[fold] = int(self.servers.redis_cli("xlen", f"{base}:{epoch}:outbox"))
        return {fold: count for fold, count in found.items() if count}

    # -- services

    def _service(self, name, *args):
        self.started.append(conftest.Service(name, *args, directory=self.directory,
                                             binary=conftest.ROOT / "build" / f"modelwatch-{name}"))
        return self.started[-1]

    def _kill_all(self):
        for service in self.started:
            service.kill()


def clean(servers):
    servers.heal()
    servers.redis_cli("flushall")
    admin = AdminClient({"bootstrap.servers": servers.brokers})
    names = [name for name in admin.list_topics(timeout=10).topics if not name.startswith("__")]
    for done in admin.delete_topics(names).values() if names else ():
        done.result(30)


def play(kind, seed, servers):
    """One round as a line of the ledger."""
    directory = ROOT / "build" / "fault" / f"{kind}-{seed}"
    shutil.rmtree(directory, ignore_errors=True)
    clean(servers)
    begin, one = time.monotonic(), Round(kind, seed, servers, directory)
    wrong = 0
    try:
        one.run()
    except (Exception, conftest.pytest.fail.Exception) as failure:
        wrong = f"{type(failure).__name__}: {failure}"[:1500]
    if not wrong:
        shutil.rmtree(directory)
    return {"kind": kind, "seed": seed, "commit": one_commit, "faults": dict(sorted(one.faults.items())), **one.facts,
            "wrong": wrong, "seconds": round(time.monotonic() - begin, 1)}


def seeds_left(kind, ledger, rounds):
    lines = ledger.read_text().splitlines() if ledger.exists() else []
    done = {line["seed"] for line in map(json.loads, lines) if line["kind"] == kind}
    seed = 0
    while rounds:
        seed += 1
        if seed not in done:
            rounds -= 1
            yield seed


options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("--kind", choices=["kills", "points"], default="kills")
options.add_argument("--rounds", type=int, default=1)
options.add_argument("--ledger", type=Path, default=ROOT / "build" / "faults.jsonl")
options = options.parse_args()
one_commit = commit()
stage(options.kind)
failed = 0
servers = conftest.Servers(ROOT / "build" / "fault" / f"servers-{options.kind}")
try:
    for seed in seeds_left(options.kind, options.ledger, options.rounds):
        line = play(options.kind, seed, servers)
        with open(options.ledger, "a") as ledger:
            ledger.write(json.dumps(line) + "\n")
        say(f"{options.kind} seed {seed}: {sum(line['faults'].values())} faults, {line['seconds']} s,",
            f"WRONG, logs in build/fault/{options.kind}-{seed}: {line['wrong']}" if line["wrong"] else "right")
        failed += bool(line["wrong"])
finally:
    servers.close()
sys.exit(1 if failed else 0)
