"""Events of one shape, many of them, and an exact fold of these that takes 1 us each instead of 20.

An event is its time and a body, {"ts":1763654400123 and ,"model":"fraud",...}: of bodies there are a few thousand, so what
one adds to the windows is worked out once, by the oracle of tests/live, and then counted. What is not of that shape, or
not on time, goes to the oracle itself.
"""
import collections
import contextlib
import math
import multiprocessing
import random
import signal
import statistics
import sys
import threading
import time
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "live"))
import chain as chains                                      # noqa: E402
import oracle                                               # noqa: E402

VARIANTS = 256                                              # bodies of one version in one role
MODELS = ("fraud", "churn", "credit", "ranking", "search", "pricing", "routing", "triage")
TS = slice(6, 19)                                           # where the time stands: behind {"ts":
LATE_EVERY, BAD_EVERY = 1000, 5000


def bodies(model, version, role, slower=1.0):
    """Latencies in the quantiles of a log-normal distribution with median 20 ms, scores in those of a uniform one, and so
    on: all versions alike but for who goes with whom, and for being slower."""
    chance, every = random.Random(f"{model} {version} {role}"), range(VARIANTS)
    scores, classes, failures = (chance.sample(every, VARIANTS) for _ in range(3))
    made = []
    for n in every:
        latency = 20 * slower * math.exp(statistics.NormalDist(0, 0.3).inv_cdf((n + 0.5) / VARIANTS))
        made.append(f',"model":"{model}","version":"{version}","role":"{role}","latency_ms":{latency:.3f},'
                    f'"status":{200 if failures[n] else 500},"score":{(scores[n] + 0.5) / VARIANTS:.5f},'
                    f'"class":"{"yes" if classes[n] < 0.3 * VARIANTS else "no"}"}}'.encode())
    return made


def event(ts, body):
    return b'{"ts":%d%s' % (ts, body)


class Load:
    """Models that answer `per_second` requests until close(). A quarter of them are asked of fraud, whose versions are what the
    deployment API says; one whose name ends in -slow takes 1.6 times as long. One event of 1000 comes late, one of 5000
    is none."""

    def __init__(self, brokers, topic, deploy, per_second, seed):
        self._deploy, self._random, self._topic, self._per_second = deploy, random.Random(seed), topic, per_second
        self._producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random", "linger.ms": 20,
                                   "compression.type": "lz4", "message.timeout.ms": 300_000, "enable.idempotence": True,
                                   "queue.buffering.max.messages": 2_000_000})
        self._bodies = {}
        self.sent = self.last_ts = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        begin, asked, state = time.monotonic(), 0, None
        while not self._stop.wait(0.02):
            now = time.monotonic()
            if now - asked > 0.2:
                asked, state = now, self._deploy.state("fraud")
            self._burst(int((now - begin) * self._per_second), state)
            self._producer.poll(0)

    def _burst(self, until, state):
        chance, produce, topic = self._random.random, self._producer.produce, self._topic
        ts = self.last_ts = int(time.time() * 1000)
        canary_share = state["canary_share"]
        while self.sent < until:
            self.sent += 1
            model = MODELS[self.sent % 4 and 1 + self.sent % (len(MODELS) - 1)]
            role, version = "production", "1"
            if model == MODELS[0]:
                role = "canary" if chance() < canary_share else "production"
                version = state[role]
            body = self._of(model, version, role)[int(chance() * VARIANTS)]
            if self.sent % BAD_EVERY == 0:
                body = b',"model":"fraud", what is this'
            produce(topic, event(ts - 9000 if self.sent % LATE_EVERY == 7 else ts, body), model)

    def _of(self, *names):
        made = self._bodies.get(names)
        if not made:
            made = self._bodies[names] = bodies(*names, 1.6 if names[1].endswith("-slow") else 1)
        return made

    def stop(self):
        self._stop.set()

    def close(self):
        """Returns when all that was sent is in the log."""
        self.stop()
        self._thread.join()
        assert self._producer.flush(120) == 0


# ---- the fold

class Fold(oracle.Fold):
    """The oracle's fold, at the speed of these events."""

    def __init__(self, settings):
        super().__init__(settings)
        self._known = {}                                    # body -> (tick, what one event of it adds, by key and start 0)
        self._waiting = collections.Counter()               # (start, body) -> events that are not in windows yet

    def message(self, offset, append, value):
        settings, body = self.settings, value[19:]
        known = self._known.get(body)
        if not known or not value[TS].isdigit():
            super().message(offset, append, value)
            self._learn(offset, value, body)
            return
        ts, tick = int(value[TS]), known[0]
        start = ts - ts % tick
        if start + tick <= self.watermark - settings.lateness or not append - settings.max_age <= ts <= append + settings.max_ahead:
            super().message(offset, append, value)
            return
        self.messages += 1
        self.counted += 1
        self._waiting[start, body] += 1
        if ts > self.last_ts:
            self.last_ts = ts
        if append > self.last_append:
            self.last_append = append
        reached = min(self.last_ts, self.last_append + 1000)
        if reached > self.watermark:
            self.watermark = reached
        if len(self._waiting) > 500_000:
            self._count_waiting()

    def _learn(self, offset, value, body):
        if offset in self.outcomes or not (value.startswith(b'{"ts":') and value[TS].isdigit()):
            return
        alone = oracle.fold([(0, None, event(0, body))], settings=self.settings)
        tick = self.settings.tick_of(next(iter(alone.windows)).model)
        self._known[body] = tick, list(alone.windows.items())

    def _count_waiting(self):
        for (start, body), count in self._waiting.items():
            for key, cell in self._known[body][1]:
                window = self._window(key._replace(start=start), None if cell.sum is None else 0)
                window[0] += count * cell.n
                if cell.sum is not None:
                    window[1] += count * cell.sum
                for place, n in cell.bins:
                    window[2][place] += count * n
        self._waiting.clear()

    @property
    def windows(self):
        self._count_waiting()
        return super().windows


def messages(brokers, topic, partition, end):
    """(offset, append time, value) of those below an offset."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "events", "enable.auto.commit": False,
                         "auto.offset.reset": "error", "queued.max.messages.kbytes": 65536})
    with contextlib.closing(consumer):
        consumer.assign([TopicPartition(topic, partition, 0)])
        offset, heard = -1, time.monotonic()
        while offset < end - 1:
            for message in consumer.consume(10_000, 1):
                assert message.error() is None, message.error()
                offset, heard = message.offset(), time.monotonic()
                if offset < end:
                    yield offset, message.timestamp()[1], message.value()
            assert time.monotonic() - heard < 60, f"{topic}-{partition} ends at {offset}, expected {end}"


def ends(brokers, topic):
    """{partition: its end}"""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "events"})
    with contextlib.closing(consumer):
        partitions = consumer.list_topics(topic, 30).topics[topic].partitions
        return {p: consumer.get_watermark_offsets(TopicPartition(topic, p), 30)[1] for p in partitions}


def fold(messages, marks, settings, trace=None):
    """As oracle.fold(); writes the values to trace, too, a line each."""
    state, marks = Fold(settings), collections.deque(marks)
    for offset, append, value in messages:
        while marks and marks[0][0] <= offset:
            state.mark(marks.popleft()[1])
        state.message(offset, append, value)
        if trace:
            trace.write(value + b"\n")
    for _, watermark in marks:
        state.mark(watermark)
    return state


# ---- the check

SPAN = 600_000                                              # of windows that are asked for at once


def windows(chain, model, first, last):
    """All windows of a model from `first` to `last`, as the console has them."""
    found = {}
    for at in range(first, last + 1, SPAN):
        for line in chain.run("windows", model, "--from", at, "--to", min(at + SPAN, last + 1), "--json", url=True).splitlines():
            key, cell = oracle.window_of(line, chain.settings)
            assert key not in found, f"{key} twice"
            found[key] = cell
    return found


_chain = None                                               # in a process that checks


def _begin(chain):
    global _chain
    _chain = chain
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def check_partition(partition, end, marks, counters, trace):
    """Every window of a partition is there with these counts, sums and bins, and no other; every offset is counted as what
    it is. Returns (events, cells)."""
    chain = _chain
    with open(trace, "wb", 1 << 20) if trace else contextlib.nullcontext() as file:
        state = fold(messages(chain.servers.brokers, chain.topic, partition, end), marks, chain.settings, file)
    expected, found = state.closed_windows, {}
    starts = [key.start for key in expected]
    for model in {key.model for key in expected}:
        found.update(windows(chain, model, min(starts), max(starts)))
    text = oracle.difference(found, expected)
    assert not text, text
    mine = (state.counted, state.late, dict(state.rejected))
    assert (counters["counted"], counters["late"], counters["rejected"]) == mine, (counters, mine)
    total = sum(mine[:2]) + sum(mine[2].values())
    assert counters["offset"] == end and total + counters["duplicate"] == end - counters["start"] and not counters["gaps"], counters
    return state.messages, len(expected)


def check(chain, processes=2, traces=None):
    """The windows and counters of all partitions, which ingest must have folded to their ends. Returns (events, cells)."""
    marks, counters = chain.marks(), chain.counters()
    jobs = [(p, end, marks[p], counters[p], traces and traces / f"events{p}.jsonl")
            for p, end in ends(chain.servers.brokers, chain.topic).items() if end]
    with multiprocessing.get_context("fork").Pool(processes, _begin, (chain,)) as pool:
        return tuple(map(sum, zip(*pool.starmap(check_partition, jobs))))
