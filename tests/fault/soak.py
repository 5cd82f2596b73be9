"""An hour under load with a fault every 10 s: memory stays flat, and what comes out is exact.

--rate events a second, of which some are late and some are none; every few minutes a release of one model goes slow, is
found, told, rolled back and verified. Every 10 s a fault drawn from the seed: a service killed and started again after
200 ms, a service stopped for 1 to 3 s, Redis killed, the broker stopped for 2 s or killed, a webhook that answers 500 for
5 s. Who is killed goes by turns, a fifth of the time each, so that every service also has lives that are long enough to
show growth. Then all is healed, and checked: every window and counter, the findings against a replay of the log, the ids
of what was told, that each release was rolled back once, and that outboxes are empty.

Slope: of the medians of 10 s of resident memory, the median of the slopes between all pairs of one life that lie at least
a twelfth of the run apart (Theil and Sen), all lives together; the first 5 minutes of each life (of a short run: the first
fifth) are warming up and left out.
The picture shows all lives from their first second.
"""
import collections
import contextlib
import json
import os
import random
import statistics
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from measure import ROOT, chains, conftest, load_average, measure, options, say
import events
import oracle
import test_kill
from conftest import eventually
from test_chain import one_incident

SERVICES = chains.SERVICES
FAULT_EVERY_S, SAMPLE_EVERY_S, WARM_S = 10, 1, 300
FAULTS = {"kill": 40, "stop": 25, "redis kill": 10, "broker stop": 10, "broker kill": 5, "webhook 500": 10}     # weights
MODELS = ("[{match: {model: fraud}, owner: payments, canary: stable, tick: 1s, clear_for: 4, "
          "tolerate: {latency: {p50: 10%, p99: 50%}}}, {tick: 5s}]")
POLICIES = ("[{matchers: ['alertname=\"ModelLatency\"', 'model=\"fraud\"'], mode: auto, target: fraud, ladder: [rollback, page], "
            "cooldown: 1s, budget_hour: 100, budget_day: 1000, verify_hold: 2s, verify_timeout: 300s}]")


def failing(hook):
    """A hook whose answers are 500 while .fails is set."""
    usual = hook.server.RequestHandlerClass

    class Handler(usual):
        def do_POST(self):
            if not hook.fails:
                return super().do_POST()
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(500)
            self.end_headers()

    hook.fails, hook.server.RequestHandlerClass = False, Handler
    return hook


class Memory:
    """Samples of all services, each second: (seconds, name, pid, resident bytes, descriptors)."""

    def __init__(self, chain, begin):
        self._chain, self._begin, self._stop = chain, begin, threading.Event()
        self.services, self.redis = [], []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.wait(SAMPLE_EVERY_S):
            at = round(time.monotonic() - self._begin, 1)
            for name, service in list(self._chain.services.items()):
                pid = service.process.pid
                try:
                    with open(f"/proc/{pid}/statm") as file:
                        resident = int(file.read().split()[1]) * 4096
                    descriptors = len(os.listdir(f"/proc/{pid}/fd"))
                except OSError:
                    continue
                if resident:                                # else it is dead already
                    self.services.append((at, name, pid, resident, descriptors))
            if int(at) % 5 == 0:
                self._ask_redis(at)

    def _ask_redis(self, at):
        try:
            info = self._chain.servers.redis_cli("info", "memory")
            self.redis.append((at, int(info.split("used_memory:")[1].split()[0])))
        except (subprocess.CalledProcessError, IndexError):
            pass                                            # it is down

    def close(self):
        self._stop.set()
        self._thread.join()

    def lives(self, name):
        """[[(seconds, bytes)]] of every life, the median of 10 s each."""
        lives = collections.defaultdict(lambda: collections.defaultdict(list))
        for at, who, pid, resident, _ in self.services:
            if who == name:
                lives[pid][at // 10].append(resident)
        return [[(tens * 10, statistics.median(found)) for tens, found in sorted(life.items())] for life in lives.values()]

    def slope(self, name, seconds):
        """(MB/h or None, pairs)"""
        slopes = []
        for life in self.lives(name):
            life = [(at, size) for at, size in life if at >= life[0][0] + min(WARM_S, seconds / 5)]
            slopes += [(size - before) / (at - earlier) for i, (earlier, before) in enumerate(life)
                       for at, size in life[i + 1:] if at - earlier >= seconds / 12]
        return (round(statistics.median(slopes) * 3600 / 1e6, 2) if slopes else None), len(slopes)

    def facts(self, name, seconds):
        mine = [(resident, descriptors) for _, who, _, resident, descriptors in self.services if who == name]
        slope, pairs = self.slope(name, seconds)
        return {"mb_per_hour": slope, "pairs": pairs, "mb_median": round(statistics.median(r for r, _ in mine) / 1e6, 1),
                "mb_max": round(max(r for r, _ in mine) / 1e6, 1), "descriptors_max": max(d for _, d in mine),
                "lives": len(self.lives(name))}


class Soak:
    def __init__(self, bench, stack, options):
        self.bench, self.servers, self.seconds = bench, bench.servers, options.minutes * 60
        self.chance, self.faults, self.struck = random.Random(f"soak {options.seed}"), collections.Counter(), []
        self.deploy, self.hook = chains.Deploy(), failing(chains.Hook())
        stack.callback(self.deploy.close)
        stack.callback(self.hook.close)
        self.chain = one_incident(self.servers, bench.service, bench.directory, self.deploy, self.hook, models=MODELS,
                                  policies=POLICIES)
        self.chain.settings = oracle.Settings(tick=lambda model: 1000 if model == "fraud" else 5000, lateness=1000)
        self.releases = 0
        self.chain.start(*SERVICES)
        self.begin = time.monotonic()
        self.memory = Memory(self.chain, self.begin)
        stack.callback(self.memory.close)
        self.load = events.Load(self.servers.brokers, self.chain.topic, self.deploy, options.rate, options.seed)
        stack.callback(self.load.stop)

    def now(self):
        return time.monotonic() - self.begin

    # -- faults

    def storm(self):
        at = FAULT_EVERY_S
        next_release = self.seconds / 12
        while at < self.seconds:
            while self.now() < at:
                if self.now() >= next_release and self.is_over():
                    self.release()
                    next_release = self.now() + self.seconds / 12
                time.sleep(0.2)
            kind, = self.chance.choices(list(FAULTS), list(FAULTS.values()))
            victim = SERVICES[min(int(at / self.seconds * len(SERVICES)), len(SERVICES) - 1)]
            other, pause = self.chance.choice(SERVICES), self.chance.uniform(1, 3)
            self.strike(kind, victim, other, pause)
            at += FAULT_EVERY_S
        while self.now() < self.seconds:
            time.sleep(0.1)

    def strike(self, kind, victim, other, pause):
        begin = self.now()
        what = {"kill": f"kill {victim}", "stop": f"stop {other}"}.get(kind, kind)
        if kind == "kill":
            self.chain.services[victim].kill()
            time.sleep(0.2)                                 # what systemd waits before it starts it again
            self.chain.services[victim].start()
        elif kind == "stop":
            self.chain.services[other].signal(conftest.signal.SIGSTOP)
            time.sleep(pause)
            self.chain.services[other].signal(conftest.signal.SIGCONT)
        elif kind == "redis kill":
            self.servers.kill_redis()
            self.servers.start_redis()
        elif kind == "broker stop":
            self.servers.pause_kafka()
            time.sleep(2)
            self.servers.resume_kafka()
        elif kind == "broker kill":
            self.servers.kill_kafka()
            self.start_broker()
        else:
            self.hook.fails = True
            time.sleep(5)
            self.hook.fails = False
        self.faults[what] += 1
        self.struck.append((round(begin, 1), what))
        for name, service in self.chain.services.items():
            assert service.running(), f"{name} ended with {service.process.returncode} by itself"

    def start_broker(self):
        """A machine that is very busy may not get it up in the minute that tests/servers waits."""
        for _ in range(4):
            with contextlib.suppress(conftest.pytest.fail.Exception):
                return self.servers.start_kafka()
        self.servers.start_kafka()

    # -- incidents

    def is_over(self):
        """The incident of the last release: another one before its rollback is verified would have to wait for that."""
        if self.deploy.state("fraud")["rollbacks"] < self.releases:
            return False
        with contextlib.suppress(AssertionError, ValueError):       # the console may be down, or its Redis
            return sum(a["state"] == "verified" for a in self.chain.ask("actions")) == self.releases
        return False

    def release(self):
        self.releases += 1
        self.deploy.release("fraud", production=f"{8 + self.releases % 2}-slow")

    # -- the check

    def check(self):
        chain, hook = self.chain, self.hook
        for service in chain.services.values():
            service.ready(30)
        eventually(self.is_over, 300, "that the last release is rolled back and verified")
        self.load.close()
        self.memory.close()
        self.settle()
        say(f"soak: {self.load.sent} events are folded, now the check")
        facts = self.check_folds()
        test_kill.check_told(chain, hook)
        facts["actions"] = self.check_actions()
        facts["findings"], facts["notifications"] = len(self.found), len(hook.deliveries)
        return facts

    def settle(self):
        """Waits until the whole log is folded and its last tick has closed, stops ingest there, and waits for detectors."""
        chain = self.chain
        ends = events.ends(self.servers.brokers, chain.topic)
        last = self.load.last_ts + 5000 + chain.settings.lateness

        def there():
            logs = chain.counters()
            return all(logs[p]["offset"] == end and logs[p]["watermark"] >= last for p, end in ends.items() if end)

        eventually(there, 120, "that all is folded and all ticks are closed")
        chain.services["ingest"].stop()
        eventually(lambda: chain.detectors_are_through([p for p, end in ends.items() if end]), 60,
                   "that detectors have judged everything")

    def check_folds(self):
        """Windows and counters against the oracle's fold, findings against a replay."""
        chain = self.chain
        folded, cells = events.check(chain, traces=self.bench.directory)
        assert folded >= self.load.sent, f"{folded} events in the log, {self.load.sent} were sent"
        marks = chain.run("marks", "--json", url=True).splitlines()
        with ThreadPoolExecutor(2) as pool:
            replayed = {i: f for found in pool.map(lambda p: self.replay(p, marks), range(chains.PARTITIONS))
                        for i, f in found.items()}
        self.found = chain.findings()
        chains.check_same(self.found, replayed, "findings")
        return {"events": folded, "cells": cells, "sent again": folded - self.load.sent}

    def replay(self, partition, marks):
        chain = self.chain
        trace = self.bench.directory / f"events{partition}.jsonl"
        if not trace.exists():
            return {}
        mark = self.bench.directory / f"marks{partition}.jsonl"
        mine = f"{chain.topic}-{partition}"
        mark.write_bytes(b"".join(line + b"\n" for line in marks if json.loads(line)["log"] == mine))
        lines = chain.run("replay", "--marks", mark, trace).splitlines()
        return {json.loads(line)["id"]: line for line in lines if line.startswith(b'{"kind":"finding"')}

    def check_actions(self):
        state, done = self.deploy.state("fraud"), collections.Counter()
        for _, value in self.chain.topic_records("actions"):
            action = json.loads(value)
            done[action["id"]] += action["state"] == "done"
        assert max(done.values()) == 1 and sum(done.values()) == state["rollbacks"] == self.releases, (state, done)
        assert state["production"] == "7", state
        return self.releases


def keep(soak, options, **facts):
    """What picture.py draws."""
    kept = {"minutes": options.minutes, "rate": options.rate, "seconds": soak.seconds, "struck": soak.struck,
            "lives": {name: soak.memory.lives(name) for name in SERVICES}, "redis": soak.memory.redis, **facts}
    (ROOT / "build" / "fault" / f"soak-{options.seed}.json").write_text(json.dumps(kept))


def run(bench, stack, options):
    begin_load = load_average()
    soak = Soak(bench, stack, options)
    try:
        soak.storm()
    finally:
        keep(soak, options)
    redis = [size for _, size in soak.memory.redis]
    memory = {name: soak.memory.facts(name, soak.seconds) for name in SERVICES}
    facts = {"command": f"make soak MINUTES={options.minutes:g} RATE={options.rate}", "faults": dict(sorted(soak.faults.items())), "memory": memory,
             "redis_mb": [round(redis[0] / 1e6, 1), round(redis[-1] / 1e6, 1)]}
    keep(soak, options, memory=memory)
    say("soak: the storm is over;", json.dumps(facts))
    facts |= {**soak.check(), "load": [begin_load, load_average()]}
    steep = [name for name, found in memory.items() if options.minutes >= 60 and not (found["mb_per_hour"] or 0) < 1]
    facts["wrong"] = f"memory grows by 1 MB/h or more: {steep}" if steep else 0
    return facts


if __name__ == "__main__":
    chosen = options(__doc__, minutes=60.0, rate=10_000)
    measure("soak", chosen, lambda bench, stack: run(bench, stack, chosen))
