"""How soon a killed service works again: --kills of each, in random phases, under load.

Each time from the start of the new process, which is where systemd's 200 ms end:
  ready     until it says READY=1
  applies   until what was waiting for it has its effect, stored in Redis: of ingest and detectors a step of every partition
            that has traffic; of alerts and remediate the step that takes a command from their topic; of the console its
            first answer out of Redis
Detectors, alerts and remediate are started when there is something for them to do: a tick has closed, a command was sent.
At the end every window and counter is checked.
"""
import json
import random
import socket
import statistics
import time
import urllib.request

from measure import load_average, chains, measure, options, say
import events
import oracle
from conftest import eventually, produce
from test_chain import one_incident

READY_MS, APPLIES_MS = 1000, 2000                           # what is promised
LOOK_S = 0.001


class Redis:
    """One connection, so that a question costs 50 us and no process."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rb")

    def hget(self, key, field):
        self._socket.sendall(b"".join(b"$%d\r\n%s\r\n" % (len(w), w) if n else w
                                      for n, w in enumerate([b"*3\r\n", b"HGET", key.encode(), field.encode()])))
        size = int(self._file.readline()[1:])
        return self._file.read(size + 2)[:-2] if size >= 0 else None


class Recovery:
    def __init__(self, bench, stack, options):
        self.bench, self.chance = bench, random.Random(f"recovery {options.seed}")
        self.deploy, self.hook = chains.Deploy(), chains.Hook()
        stack.callback(self.deploy.close)
        stack.callback(self.hook.close)
        self.chain = one_incident(bench.servers, bench.service, bench.directory, self.deploy, self.hook)
        self.chain.start(*chains.SERVICES)
        self.load = events.Load(bench.servers.brokers, self.chain.topic, self.deploy, options.rate, options.seed)
        stack.callback(self.load.stop)
        self.redis, self.commands = Redis(bench.servers.directory / "redis.sock"), 0
        eventually(lambda: len(self.chain.counters()) and min(c["watermark"] for c in self.chain.counters().values()) > 0,
                   20, "that the load is folded")
        self.partitions = [p for p, counters in self.chain.counters().items() if counters["counted"]]

    # -- what its effect is, as something in Redis that changes with it

    def _head(self, service, log, field):
        return self.redis.hget(f"{self.chain.prefix}:{{{log}}}:{service}:head", field)

    def _state(self, service, log, field):
        epoch = self._head(service, log, "epoch").decode()
        return self.redis.hget(f"{self.chain.prefix}:{{{log}}}:{service}:{epoch}:state", field)

    def _effects(self, name):
        chain = self.chain
        logs = [f"{chain.topic}-{p}" for p in self.partitions]
        if name == "ingest":
            return [self._head(name, log, "token") for log in logs]
        if name == "detectors":
            return [self._state(name, log, "cursor") for log in logs]
        return [self._state(name, name, f"cursor:{chain.prefix}.commands-0")]

    def _give_work(self, name):
        if name == "detectors":
            time.sleep(1.2)                                 # a tick of a second closes meanwhile
        elif name in ("alerts", "remediate"):
            self.commands += 1
            command = {"kind": "command", "id": f"c-{self.commands:032x}", "command": "ack", "subject": "a-none", "role": "operator",
                       "actor": "recovery", "comment": "", "at": int(time.time() * 1000), "expires_at": 0, "hmac": ""}
            produce(self.bench.servers.brokers, f"{self.chain.prefix}.commands", [("a-none", json.dumps(command))])

    def _is_answered(self):
        try:
            with urllib.request.urlopen(f"{self.chain.url}/api/v1/status", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    # -- one kill

    def kill(self, name):
        """(ready, applies) in ms"""
        service = self.chain.services[name]
        time.sleep(self.chance.uniform(0.5, 2))
        service.kill()
        time.sleep(0.2)                                     # what systemd waits before it starts it again
        self._give_work(name)
        before = None if name == "console" else self._effects(name)
        begin = time.monotonic()
        service.start()
        ready = applies = None
        while ready is None or applies is None:
            elapsed = (time.monotonic() - begin) * 1000
            assert elapsed < 30_000, f"{name} has not recovered; it says {service.status[-3:]}"
            if ready is None and service._ready.is_set():
                ready = elapsed
            if applies is None and (self._is_answered() if name == "console" else self._all_changed(name, before)):
                applies = (time.monotonic() - begin) * 1000
            time.sleep(LOOK_S)
        return ready, applies

    def _all_changed(self, name, before):
        return all(new and new != old for new, old in zip(self._effects(name), before))

    def check(self):
        self.load.close()
        last = self.load.last_ts + 1000 + self.chain.settings.lateness
        ends = events.ends(self.bench.servers.brokers, self.chain.topic)
        eventually(lambda: all(c["offset"] == ends[p] and c["watermark"] >= last for p, c in self.chain.counters().items()), 60,
                   "that all is folded")
        self.chain.services["ingest"].stop()
        folded, cells = events.check(self.chain)
        assert folded >= self.load.sent, f"{folded} events in the log, {self.load.sent} were sent"
        return {"events": folded, "cells": cells}


def spread(values):
    values = sorted(values)
    return {"min": round(values[0]), "p50": round(statistics.median(values)), "p99": round(values[int(0.99 * (len(values) - 1))]),
            "max": round(values[-1])}


def run(bench, stack, options):
    recovery, lines = Recovery(bench, stack, options), []
    names = [name for name in chains.SERVICES if options.service in ("", name)]
    for name in names:
        found = [recovery.kill(name) for _ in range(options.kills)]
        ready, applies = (spread(values) for values in zip(*found))
        lines.append({"service": name, "command": f"make recovery KILLS={options.kills}", "faults": {f"kill {name}": options.kills},
                      "ready_ms": ready, "applies_ms": applies, "events_per_second": str(options.rate), "load": load_average(), "wrong": 0})
        say(f"recovery: {name:<10} ready {ready}  applies {applies}  load {load_average()}")
        if ready["p50"] > READY_MS or applies["p50"] > APPLIES_MS:
            lines[-1]["wrong"] = f"half of the kills took longer than {READY_MS} ms to ready, {APPLIES_MS} ms to apply"
    checked = recovery.check()
    return [{**line, "checked": checked} for line in lines]


if __name__ == "__main__":
    chosen = options(__doc__, kills=30, rate=2000, service="")
    measure("recovery", chosen, lambda bench, stack: run(bench, stack, chosen))
