"""A round: worlds of modelwatch on one Kafka and one Redis, a storm of faults over them, and then the oracles.

A kind of round is a subclass in kinds.py: it says which worlds there are and which faults strike. Everything that is
waited for has one generous limit (PATIENCE), since a slow machine is no fault.
"""
import collections
import contextlib
import heapq
import itertools
import json
import random
import threading
import time

import chain as chains
import conftest
import oracle
import outside
from chain import Chain, check_same
from confluent_kafka import KafkaException, Producer
from conftest import eventually

PATIENCE = 600                                              # seconds
RESTART = 0.2                                               # what systemd waits before it starts a service again


def wait(predicate, what):
    """What it takes is polled gently: it may read topics."""
    return eventually(lambda: patiently(predicate) or time.sleep(0.5), PATIENCE, what)


def patiently(read):
    """What the oracles read of Kafka may fail for a while on a machine that is busy."""
    for _ in range(5):
        with contextlib.suppress(KafkaException):
            return read()
        time.sleep(2)
    return read()


class Load(threading.Thread):
    """Models that answer until close(), `per_second` together: those of `deployments`, whose versions are what it says,
    and `swings`, which are slow for 20 of every 40 seconds. What is slow takes 1.6 times as long."""

    def __init__(self, brokers, topic, deployments, swings, per_second, seed):
        super().__init__(daemon=True)
        self._producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random", "linger.ms": 5,
                                   "compression.type": "lz4", "message.timeout.ms": 1000 * PATIENCE, "log_level": 2})
        self._topic, self._deployments, self._per_second = topic, deployments, per_second
        self._models, self._swings = [*deployments.models, *swings], {name: n for n, name in enumerate(swings)}
        self._random, self._done = random.Random(seed), threading.Event()
        self.start()

    def run(self):
        begin, sent = time.monotonic(), 0
        while not self._done.wait(0.02):
            now = time.monotonic() - begin
            while sent < now * self._per_second:
                model = self._models[sent % len(self._models)]
                self._producer.produce(self._topic, self._event(model, now), model)
                sent += 1
            self._producer.poll(0)

    def _event(self, model, now):
        chance = self._random.random
        role, latency = "canary" if chance() < 0.4 else "production", 20 * self._random.lognormvariate(0, 0.2)
        if model in self._swings:
            version, slow = "1", (now + 7 * self._swings[model]) % 40 >= 20 and role == "production"
        else:
            version = self._deployments.models[model][role]
            slow = version.endswith("-slow")
        return json.dumps({"ts": int(time.time() * 1000), "model": model, "version": version, "role": role,
                           "latency_ms": round(latency * (1.6 if slow else 1), 3), "status": 500 if chance() < 0.002 else 200,
                           "score": round(chance(), 5), "class": "yes" if chance() < 0.3 else "no"})

    def close(self):
        """Returns when all that was sent is in the log."""
        self._done.set()
        self.join()
        assert self._producer.flush(PATIENCE) == 0, "not all events could be sent"


class World:
    """One modelwatch, with a pager and a deployment API of its own, and models of which some get a slow release."""

    SERVICES = chains.SERVICES
    RELEASES, SWINGS = 4, 3
    PER_SECOND = 560
    BRIEF = 60_000                                          # ms

    def __init__(self, round):
        self.round, self.pager, self.deployments = round, outside.Pager(), outside.Deployments()
        self.models = [f"fraud{n}" for n in range(self.RELEASES)]
        self.waiting = list(self.models)                    # for their release
        for model in self.models:
            self.deployments.release(model, "7")
        self.chain = Chain(round.servers, round.service, round.directory, oracle.Settings(tick=1000, lateness=1000),
                           **self._sections())
        self.chain.start(*self.SERVICES)
        self.services = dict(self.chain.services)           # by name; a kind may add more
        self.load = self._load()

    def _sections(self):
        url, timeout = f"{self.deployments.url}/models", f"timeout: {outside.TIMEOUT_S}s"
        targets = [f"{{name: {m}, http: {{rollback: {{url: '{url}/{m}/rollback', {timeout}}}, "
                   f"status: {{url: '{url}/{m}', converged: /converged, {timeout}}}}}}}" for m in self.models]
        policies = [f"{{matchers: ['alertname=\"ModelLatency\"', 'model=\"{m}\"', 'role=\"production\"'], mode: auto, "
                    f"target: {m}, ladder: [rollback, page], cooldown: 0s, budget_hour: 1000, budget_day: 10000, "
                    "verify_hold: 1s, verify_timeout: 10m}" for m in self.models]
        return {"time": "{lateness: 1s}", "targets": f"[{', '.join(targets)}]", "policies": f"[{', '.join(policies)}]",
                "models": "[{match: {model: '*'}, owner: payments, canary: stable, tick: 1s, clear_for: 4, "
                          "tolerate: {latency: {p50: 10%, p99: 50%}}}]",
                "receivers": f"[{{name: oncall, webhook_configs: [{{url: '{self.pager.url}', {timeout}, "
                             "secret_file: hook.key}]}]",
                "route": "{receiver: oncall, group_by: ['...'], group_wait: 0s, group_interval: 1s}"}

    def _load(self):
        swings = [f"swing{n}" for n in range(self.SWINGS)]
        return Load(self.round.servers.brokers, self.chain.topic, self.deployments, swings, self.PER_SECOND, self.round.seed)

    def step(self):
        """What people do in a storm: the next slow release."""
        if self.waiting:
            self.deployments.release(self.waiting.pop(0), "8-slow")

    def story(self):
        """Waits until every slow release was rolled back and every rollback is verified; then the models rest."""
        while self.waiting:
            self.step()
        wait(lambda: all(self.deployments.effects[m] for m in self.models), f"a rollback of each of {self.models}")
        wait(lambda: self._states("verified") >= self._states("done") >= set(self._keys()), "that all rollbacks are verified")
        self.load.close()

    def close(self):
        self.load._done.set()
        self.pager.close()
        self.deployments.close()

    def keep_topics(self):
        """For whoever asks why a round went wrong."""
        for topic in ("findings", "alerts", "notifications", "actions"):
            with contextlib.suppress(Exception):
                lines = [value + b"\n" for _, value in self.chain.topic_records(topic)]
                (self.round.directory / f"{self.chain.prefix}.{topic}.jsonl").write_bytes(b"".join(lines))

    # -- the oracles

    def check(self):
        """All of it, exactly."""
        log = patiently(lambda: self.chain.settle(timeout=PATIENCE))
        self.round.facts["events"] += sum(map(len, log.values()))
        folds = self.chain.check_windows(log)
        self.chain.check_invariant(log, folds)
        self.check_findings(patiently(self.findings), self.chain.replayed_findings(log))
        self.check_acts()

    def findings(self):
        return self.chain.findings()

    def check_findings(self, found, expected):
        check_same(found, expected, "findings")

    def check_acts(self):
        wait(lambda: not self._in_outboxes(), "that outboxes are empty")
        for topic in ("findings", "alerts", "notifications", "actions"):
            self.round.facts[topic] += len(patiently(lambda: self.chain.topic_records(topic)))
        self._check_told()
        self._check_repaired()

    def _records(self, topic):
        return [json.loads(value) for _, value in patiently(lambda: self.chain.topic_records(topic))]

    def _keys(self):
        return itertools.chain.from_iterable(self.deployments.effects.values())

    def _states(self, state):
        """Ids of the actions that were ever in it."""
        return {record["id"] for record in self._records("actions") if record["state"] == state}

    def _check_told(self):
        """Every alert was told, beginning and end, and each notification has one id, however often it came."""
        deadline = time.monotonic() + PATIENCE
        while untold := self._untold():
            assert time.monotonic() < deadline, f"{len(untold)} alerts were not told as they were: {untold[:3]}"
            time.sleep(0.5)
        ids = collections.defaultdict(set)                  # what is told, to whom: under which ids
        for record in self._records("notifications"):
            ids[record["receiver"], record["group_key"], *record["alerts"]].add(record["id"])
        assert all(len(found) == 1 for found in ids.values()), f"told under several ids: {dict(ids)}"
        told = {identity for identity, _, _ in self.pager.deliveries}
        assert told == set().union(*ids.values()), "what came is not what is recorded"
        assert self.pager.forged == 0, f"{self.pager.forged} deliveries with a wrong signature"
        self.round.facts["deliveries"] += len(self.pager.deliveries)

    def _untold(self):
        """Alerts of which the pager has not heard what it should have. One that ends within BRIEF, while nobody is there to
        tell it, is not told any more; then nobody was told that it ended, either."""
        lives = collections.defaultdict(dict)
        for record in self._records("alerts"):
            lives[record["id"]][record["state"]] = record
        mentioned = {name.split(":")[0] for record in self._records("notifications") for name in record["alerts"]}
        missing, brief = [], 0
        for identity, life in lives.items():
            end = life.get("resolved")
            if identity not in mentioned and end and end["ends_at"] - end["starts_at"] < self.BRIEF:
                brief += 1
            elif any(state in life and identity not in self.pager.alerts(state) for state in ("firing", "resolved")):
                missing.append(life)
        self.round.facts["ended before they were told"] = brief
        return missing

    def _check_repaired(self):
        """Each incident led to one rollback; every rollback that there was is recorded as done, once, and verified."""
        incidents = self._incidents()
        for model in self.models:
            effects = self.deployments.effects[model]
            assert len(effects) == incidents[model], f"{model}: {incidents[model]} incidents, rollbacks {effects}"
            assert self.deployments.models[model]["production"] == "7", self.deployments.models[model]
        self._check_intended()
        by_id = collections.defaultdict(list)
        for record in self._records("actions"):
            by_id[record["id"]].append(record["state"])
        acted = {identity: states for identity, states in by_id.items() if "done" in states}
        assert acted.keys() == set(self._keys()), f"done {sorted(acted)}, effects {sorted(self._keys())}"
        for states in acted.values():
            assert states.count("done") == 1 and "verified" in states, dict(by_id)
        self.round.facts["rollbacks"] += len(acted)
        self.round.facts["calls"] += sum(self.deployments.calls.values())

    def _check_intended(self):
        """Nothing was called before the log had its INTENT."""
        intended = {}
        log = patiently(lambda: chains.read_log(self.round.servers.brokers, f"{self.chain.prefix}.actions"))
        for messages in log.values():
            for _, at, _, value in messages:
                record = json.loads(value)
                if record["state"] == "intent":
                    intended.setdefault(record["id"], at)
        for key, at in self.deployments.called.items():
            assert key in intended and intended[key] <= at, f"{key} was called at {at}, its intent is of {intended.get(key)}"

    def _incidents(self):
        return {model: 1 for model in self.models}

    def _in_outboxes(self):
        """What is left in outboxes, by fold."""
        found, servers, prefix = {}, self.round.servers, self.chain.prefix
        for fold in servers.redis_cli("smembers", f"{prefix}:folds").split():
            service, log = fold.split("/", 1)
            base = f"{prefix}:{{{log}}}:{service}"
            epoch = servers.redis_cli("hget", f"{base}:head", "epoch")
            found[fold] = int(servers.redis_cli("xlen", f"{base}:{epoch}:outbox"))
        return {fold: count for fold, count in found.items() if count}


class Round:
    """name, PROGRAMS: which build the kind needs; STORM: seconds; PAUSE: between two releases."""

    PROGRAMS = "build"
    WORLDS, STORM, PAUSE = 1, 90, 18

    def __init__(self, seed, servers, directory):
        self.seed, self.servers, self.directory = seed, servers, directory
        self.chance = random.Random(f"{self.name} {seed}")
        self.faults, self.phases, self.facts = collections.Counter(), collections.Counter(), collections.Counter()
        self._started = []
        directory.mkdir(parents=True)

    def run(self):
        with contextlib.ExitStack() as stack:
            stack.callback(self._end_all)
            self.worlds = []
            for _ in range(self.WORLDS):
                self.worlds.append(self._made())
                stack.callback(self.worlds[-1].close)
            try:
                self._play()
            except (AssertionError, conftest.pytest.fail.Exception):
                for world in self.worlds:
                    world.keep_topics()
                raise

    def _made(self):
        """Before the storm nothing is a verdict: on a machine that is busy a broker that was just started may be away again."""
        for _ in range(10):
            try:
                return self.world()
            except (AssertionError, KafkaException, conftest.pytest.fail.Exception) as failure:
                reason = failure
                time.sleep(3)
        raise RuntimeError("there is no world to strike") from reason

    def _play(self):
        self._storm()
        self.heal()
        for world in self.worlds:
            world.story()
        for world in self.worlds:
            world.check()
        self._check_alive()

    # -- what a kind says

    def world(self):
        return World(self)

    def plagues(self):
        """Generators that each strike, and yield the seconds until they want to go on; all go on side by side."""
        raise NotImplementedError

    def heal(self):
        """What was hurt is well again, and stays so."""
        self.servers.heal()
        for name, service in self.each_service():
            if not service.running():
                service.start()
        for name, service in self.each_service():
            service.ready(PATIENCE)

    # -- what kinds do

    def each_service(self):
        return [(name, service) for world in self.worlds for name, service in world.services.items()]

    def kill(self, name, service):
        """Strikes, and notes in which phase of its life."""
        self.check_running(name, service)
        self.phases[phase(service)] += 1
        service.kill()
        assert service.process.returncode == -9, f"{name} ended with {service.process.returncode} by itself"
        self.faults[f"kill {name.split('.')[0]}"] += 1

    def check_running(self, name, service):
        assert service.running(), f"{name} ended with {service.process.returncode} by itself"

    # -- inside

    def service(self, name, *args, **options):
        self._started.append(conftest.Service(name, *args, directory=self.directory,
                                              binary=chains.MODELWATCH.parent / f"modelwatch-{name}", **options))
        return self._started[-1]

    def _storm(self):
        order = itertools.count()
        waiting = [(self.chance.uniform(0.5, 2), next(order), plague) for plague in self.plagues()]
        waiting += [(5 + n, next(order), self._people(world)) for n, world in enumerate(self.worlds)]
        heapq.heapify(waiting)
        begin = time.monotonic()
        while waiting and waiting[0][0] < self.STORM:
            at, _, plague = heapq.heappop(waiting)
            time.sleep(max(0, begin + at - time.monotonic()))
            pause = next(plague, None)
            if pause is not None:
                heapq.heappush(waiting, (time.monotonic() - begin + pause, next(order), plague))

    def _people(self, world):
        while True:
            world.step()
            yield self.PAUSE

    def _check_alive(self):
        for name, service in self.each_service():
            if not name.startswith("ingest"):               # which the oracles have stopped
                self.check_running(name, service)

    def _end_all(self):
        for service in self._started:
            with contextlib.suppress(ProcessLookupError):
                service.signal(18)                          # SIGCONT
            service.kill()


def phase(service):
    """What a service was about when it was struck."""
    if not service._ready.is_set():
        return "starting"
    said = service.status[-1] if service.status else ""
    if "standby" in said or "looking" in said:
        return "standing by"
    return "waiting" if "wait" in said else "at work"
