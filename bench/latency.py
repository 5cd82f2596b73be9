"""How long after the last event that it needed an alert reaches its webhook: the whole chain, incident after incident.

Models with a stable canary answer by the wall clock; one after another its production begins to take twice as long. The
clock starts at the last event of the tick whose closing raised the alarm (a finding's ts is that tick's end) and stops
when the webhook has the alert. Ticks of 1 s, lateness 1 s, group_wait 0 s: by design at most their sum and 300 ms.
"""
import bisect
import collections
import json
import random
import sys
import threading
import time

from chain import SERVICES, Chain, Hook
from confluent_kafka import Producer

MODELS, PER_SECOND, EVERY_S, TICK_MS, LATENESS_MS, ALLOWED_MS = 24, 25, 4, 1000, 1000, 300


class Fleet:
    """MODELS models x 2 roles x PER_SECOND bare latencies; production of those in `slow` takes twice as long."""

    def __init__(self, brokers, topic):
        self.names = [f"model-{n:02}" for n in range(MODELS)]
        self.slow, self.sent = {}, collections.defaultdict(list)        # since when; ts of every event
        self._topic, self._random = topic, random.Random(1)
        self._producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random", "linger.ms": 5,
                                   "compression.type": "lz4"})
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        begin, count = time.monotonic(), 0
        while not self._stop.wait(0.005):
            while count < (time.monotonic() - begin) * PER_SECOND * 2 * MODELS:
                self._emit(self.names[count // 2 % MODELS], ("production", "canary")[count % 2])
                count += 1
            self._producer.poll(0)

    def _emit(self, model, role):
        latency = 20 * self._random.lognormvariate(0, 0.3) * (2 if role == "production" and model in self.slow else 1)
        ts = time.time_ns() // 1_000_000
        self._producer.produce(self._topic, json.dumps({"ts": ts, "model": model, "version": role, "role": role,
                                                        "latency_ms": round(latency, 3)}), model)
        self.sent[model].append(ts)

    def close(self):
        self._stop.set()
        self._thread.join()
        self._producer.flush(30)


def wait(predicate, seconds, what):
    deadline = time.monotonic() + seconds
    while not predicate():
        if time.monotonic() > deadline:
            sys.exit(f"bench: within {seconds} s it did not happen that {what}")
        time.sleep(0.1)


def judged(chain):
    """Models whose production is found as fast as their canary."""
    return {model["model"] for model in chain.status()["models"] for verdict in model["verdicts"]
            if (verdict["signal"], verdict["against"], verdict["verdict"]) == ("latency", "canary", "ok")}


def quantile(values, share):
    """The smallest value that at least this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def told(hook, model):
    """(when, ids of the findings) of the first notice about the model's slow production; None: not yet"""
    for _, data, when in list(hook.deliveries):
        for alert in data["alerts"]:
            labels = alert["labels"]
            if (alert["state"], labels["model"], alert["alertname"]) == ("firing", model, "ModelLatency"):
                return when * 1000, alert["findings"]
    return None


def measure(servers, service, directory):
    hook = Hook()
    chain = Chain(servers, service, directory, time=f"{{lateness: {LATENESS_MS}ms}}",
                  models=f"[{{canary: stable, tick: {TICK_MS}ms}}]",
                  receivers=f"[{{name: oncall, webhook_configs: [{{url: '{hook.url}', secret_file: hook.key}}]}}]",
                  route="{receiver: oncall, group_by: [model, alertname], group_wait: 0s, group_interval: 1s}")
    chain.start(*SERVICES)
    fleet = Fleet(servers.brokers, chain.topic)
    wait(lambda: len(judged(chain)) == MODELS, 180, "all models have a verdict")
    early = [f for f in chain.ask("findings") if f["verdict"] == "alarm"]
    for model in fleet.names:
        fleet.slow[model] = time.time() * 1000
        time.sleep(EVERY_S * random.uniform(0.75, 1.25))
    wait(lambda: all(told(hook, model) for model in fleet.names), 120, "all incidents are told")
    findings = {f["id"]: f for f in chain.ask("findings") if f["verdict"] == "alarm"}
    fleet.close()
    hook.close()
    report(fleet, hook, findings, len(early))


def report(fleet, hook, findings, early):
    waits, delays = [], []
    for model in fleet.names:
        when, ids = told(hook, model)
        end = min(findings[i]["ts"] for i in ids)
        needed = fleet.sent[model][bisect.bisect_left(fleet.sent[model], end) - 1]
        waits.append(when - needed)
        delays.append(when - fleet.slow[model])
    bound = TICK_MS + LATENESS_MS + ALLOWED_MS
    print(f"  {len(waits)} incidents, {MODELS} models x 2 roles x {PER_SECOND} events/s, alarms before the first: {early}")
    for name, values in (("last needed event to webhook", waits), ("beginning of the fault to webhook", delays)):
        print(f"  {name}: p50 {quantile(values, 0.5):.0f} ms, p99 {quantile(values, 0.99):.0f} ms, max {max(values):.0f} ms")
    print(f"  bound tick + lateness + {ALLOWED_MS} ms = {bound} ms: {'held' if max(waits) <= bound else 'NOT held'}")
    if max(waits) > bound:
        sys.exit(1)
