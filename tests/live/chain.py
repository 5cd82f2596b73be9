"""The whole of modelwatch for a test: a configuration with names of its own, its services, and what they have done.

    chain = Chain(servers, service, tmp_path, models="...")      # service: the fixture of conftest.py
    chain.start("ingest", "detectors", "console")
    ... produce(...) ...
    log = chain.settle()
    folds = chain.check_windows(log)                              # against the oracle, exactly
    chain.check_invariant(log, folds)
"""
import collections
import contextlib
import itertools
import json
import os
import random
import re
import socket
import struct
import subprocess
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import oracle
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from conftest import ROOT, consume_all, eventually

MODELWATCH = ROOT / "build" / "modelwatch"
DATA = ROOT.parent / "shared" / "data"
PARTITIONS = 4
SERVICES = ("ingest", "detectors", "alerts", "remediate", "console")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RECORDED = {"class": "/predicted_class"}                    # where the recorded traces have their class
_numbers = itertools.count(1)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def traces(*patterns):
    """Recorded events that are beside the project on this machine, for parametrize: one that skips where there are none."""
    found = sorted(path for pattern in patterns for path in DATA.glob(pattern))
    if found:
        return [pytest.param(path, id=path.parent.name) for path in found]
    return [pytest.param(None, id="none", marks=pytest.mark.skip(reason=f"there are no recorded events in {DATA}"))]


def create_topic(brokers, topic, partitions=PARTITIONS, **settings):
    admin = AdminClient({"bootstrap.servers": brokers, **settings})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(30)


def delete_records(brokers, topic, ends):
    """The log of each partition then begins at this offset, which must not lie beyond its end."""
    host, port = brokers.split(":")
    name = struct.pack(">h", len(topic)) + topic.encode()
    body = (struct.pack(">hhih", 21, 1, 1, -1) + struct.pack(">i", 1) + name + struct.pack(">i", len(ends)) +
            b"".join(struct.pack(">iq", partition, end) for partition, end in ends.items()) + struct.pack(">i", 30_000))
    with socket.create_connection((host, int(port)), 30) as s, s.makefile("rwb") as stream:
        stream.write(struct.pack(">i", len(body)) + body)
        stream.flush()
        size, = struct.unpack(">i", stream.read(4))
        answer = stream.read(size)
    at = 4 + 4 + 4 + len(name) + 4                          # correlation, throttle, topics, name, partitions
    for partition, low, error in (struct.unpack_from(">iqh", answer, at + 14 * n) for n in range(len(ends))):
        assert error == 0 and low == ends[partition], f"{topic}-{partition}: error {error}, the log begins at {low}"


def read_log(brokers, topic, timeout=120):
    """{partition: [(offset, append time, key, value)]} of all that is in the topic at this moment."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "read_log", "enable.auto.commit": False,
                         "enable.partition.eof": True, "auto.offset.reset": "error"})
    deadline = time.monotonic() + timeout
    found = {}
    try:
        ends = {}
        for partition in consumer.list_topics(topic, 30).topics[topic].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), 30)
            found[partition] = []
            if low < high:
                ends[partition] = high
        consumer.assign([TopicPartition(topic, p, 0) for p in ends])
        unfinished = set(ends)
        while unfinished:
            assert time.monotonic() < deadline, f"{topic} was not read within {timeout} s"
            for message in consumer.consume(10_000, 0.1):
                partition, error = message.partition(), message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                if error is None and message.offset() < ends[partition]:
                    found[partition].append((message.offset(), message.timestamp()[1], message.key(), message.value()))
                if error is not None or message.offset() >= ends[partition] - 1:
                    unfinished.discard(partition)
    finally:
        consumer.close()
    return found


# ---- who is told

def verifier():
    """The receiver's check, as docs/alerting.md shows it."""
    scope = {}
    exec(re.search(r"```python\n(.*?)```", (ROOT / "docs" / "alerting.md").read_text(), re.S).group(1), scope)
    return scope["verify"]


class Hook:
    """A webhook's receiver that remembers (id, body, when) of every delivery whose signature is right."""

    def __init__(self):
        self.deliveries, self.forged = [], 0
        verify, outer = verifier(), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if verify(self.headers, body, SECRET):
                    outer.deliveries.append((self.headers["webhook-id"], json.loads(body)["data"], time.time()))
                else:
                    outer.forged += 1
                with contextlib.suppress(OSError):          # who was killed does not listen
                    self.send_response(204)
                    self.end_headers()

            def log_message(self, *_): pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def alerts(self, state=None):
        """Ids of the alerts that were told, as firing or as resolved."""
        return {alert["id"] for _, data, _ in list(self.deliveries) for alert in data["alerts"]
                if state in (None, alert["state"])}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hook():
    made = Hook()
    yield made
    made.close()


class Deploy:
    """build/demo-deploy: a deployment API that settles after settle_ms."""

    def __init__(self, settle_ms=500):
        port, = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen([ROOT / "build" / "demo-deploy", str(port), str(settle_ms)],
                                        stderr=subprocess.DEVNULL)
        eventually(self.answers, what="the deployment API")

    def answers(self):
        with contextlib.suppress(OSError):
            return self.state("any")

    def state(self, model):
        with urllib.request.urlopen(f"{self.url}/models/{model}", timeout=5) as answer:
            return json.load(answer)

    def release(self, model, **fields):
        urllib.request.urlopen(f"{self.url}/models/{model}/release", json.dumps(fields).encode(), timeout=5).close()

    def close(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def deploy():
    made = Deploy()
    yield made
    made.close()


# ---- models that answer

class Fleet:
    """Models that emit predictions until close(): `fraud`, whose versions are what the deployment API says, and others.
    A version that ends in -slow takes 1.6 times as long."""

    def __init__(self, brokers, topic, deploy, per_second, seed, others=3):
        self._deploy, self._random = deploy, random.Random(seed)
        self._producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random", "linger.ms": 5,
                                   "compression.type": "lz4", "message.timeout.ms": 60_000})
        self._topic, self._per_second = topic, per_second
        self._others = [f"other{n}" for n in range(others)]
        self._stop = threading.Event()
        self.sent = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        begin, asked, state = time.monotonic(), 0, None
        while not self._stop.wait(0.02):
            now = time.monotonic()
            if now - asked > 0.2:
                asked, state = now, self._deploy.state("fraud")
            while self.sent < (now - begin) * self._per_second:
                model = "fraud" if self.sent % 2 else self._others[self.sent // 2 % len(self._others)]
                self._producer.produce(self._topic, self._event(model, state), model)
                self.sent += 1
            self._producer.poll(0)

    def _event(self, model, state):
        chance = self._random.random
        version, role, latency = "1", "production", 20 * self._random.lognormvariate(0, 0.3)
        if model == "fraud":
            role = "canary" if chance() < state["canary_share"] else "production"
            version = state[role]
        if version.endswith("-slow"):
            latency *= 1.6
        return json.dumps({"ts": int(time.time() * 1000), "model": model, "version": version, "role": role,
                           "latency_ms": round(latency, 3), "status": 500 if chance() < 0.002 else 200,
                           "score": round(chance(), 5), "class": "yes" if chance() < 0.3 else "no"})

    def close(self):
        """Returns when all that was sent is in the log."""
        self._stop.set()
        self._thread.join()
        assert self._producer.flush(60) == 0


# ---- the chain

class Chain:
    """sections: further ones of the configuration by name, their text indented or in one line."""

    def __init__(self, servers, service, directory, settings=None, prefix=None, kafka="", redis=None, topic_format=None,
                 partitions=PARTITIONS, create=True, **sections):
        self.servers, self._service, self.directory = servers, service, directory
        self.settings = settings or oracle.Settings()
        self.prefix = prefix or f"chain{os.getpid()}x{next(_numbers)}"
        self.topic = f"{self.prefix}.in"
        self.services = {}
        ports = dict(zip(("console", "ingest", "detectors", "alerts", "remediate"), free_ports(5)))
        self.ports, self.url = ports, f"http://127.0.0.1:{ports['console']}"
        self.config = directory / f"{self.prefix}.yaml"
        (directory / "hook.key").write_text(SECRET + "\n")
        topic = f"{{topic: {self.topic}, format: {topic_format}}}" if topic_format else self.topic
        sections = {"http": "{allow: [127.0.0.0/8]}", "receivers": "[{name: nobody}]", **sections,
                    "kafka": f"{{brokers: '{servers.brokers}', topics: [{topic}], prefix: {self.prefix}{kafka}}}",
                    "redis": redis or f"{{url: '{servers.redis_url}', prefix: {self.prefix}}}",
                    "listen": "{" + ", ".join(f"{name}: '127.0.0.1:{port}'" for name, port in ports.items()) + "}"}
        self.config.write_text("".join(f"{name}: {text}\n" for name, text in sections.items()))
        if create:
            create_topic(servers.brokers, self.topic, partitions)
            self.init()

    def init(self):
        self.run("init")

    def run(self, command, *args, url=False):
        where = ["--url", self.url] if url else ["--config", str(self.config)]
        done = subprocess.run([MODELWATCH, command, *map(str, args), *where], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert done.returncode == 0, f"modelwatch {command}: {done.stderr.decode()}"
        return done.stdout

    def start(self, *names):
        for name in names:
            if name in self.services:
                self.services[name].start()
            else:
                self.services[name] = self._service(name, "--config", self.config)
        for name in names:
            self.services[name].ready()
        return self.services[names[-1]]

    def ask(self, command, *args):
        """Records of the console, by the command."""
        return [json.loads(line) for line in self.run(command, *args, "--json", url=True).splitlines()]

    def status(self):
        return self.ask("status")[0]

    def answers(self):
        """Whether the console does, which needs Redis."""
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"{self.url}/-/ready", timeout=5).status == 200

    def metrics(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]}/metrics", timeout=5) as answer:
            return dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if line[0] != "#")

    def play(self, *paths):
        subprocess.run([ROOT / "build" / "demo-fleet", "--play", self.servers.brokers, self.topic, *paths], check=True)

    # -- what is in the log, and what became of it

    def log(self):
        return read_log(self.servers.brokers, self.topic)

    def marks(self):
        """{partition: [(offset, watermark)]}"""
        found = collections.defaultdict(list)
        for mark in self.ask("marks"):
            found[int(mark["log"].rsplit("-", 1)[1])].append((mark["offset"], mark["watermark"]))
        return found

    def counters(self):
        """{partition: counters of ingest}"""
        return {int(log["log"].rsplit("-", 1)[1]): log for log in self.status()["logs"]}

    def settle(self, timeout=60):
        """Waits until the whole log is folded and its last tick has closed, stops ingest there, and waits for detectors.
        Returns the log."""
        eventually(self.answers, 15, "an answer of the console")
        log = self.log()
        ends, last = {}, {}
        for partition, messages in log.items():
            plain = oracle.fold(((o, a, v) for o, a, _, v in messages), (), self.settings)
            if messages:
                ends[partition] = messages[-1][0] + 1
            starts = [key.start + self.settings.tick_of(key.model) for key in plain.windows]
            last[partition] = max(starts) + self.settings.lateness if starts else 0

        def there():
            logs = self.counters()
            return all(p in logs and logs[p].get("offset", -1) == end and logs[p]["watermark"] >= last[p]
                       for p, end in ends.items())

        try:
            eventually(there, timeout, "that all is folded and all ticks are closed")
        except pytest.fail.Exception as failure:
            pytest.fail(f"{failure}\nends {ends}\nlast ticks close at {last}\ncounters {self.counters()}\n"
                        f"ingest says {self.services['ingest'].status[-3:]}")
        self.services["ingest"].stop()
        if "detectors" in self.services:
            eventually(lambda: self.detectors_are_through(ends), timeout, "that detectors have judged everything")
        return log

    def redis(self, *words):
        command = ["redis-cli", "-s", str(self.servers.directory / "redis.sock"), *map(str, words)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout[:-1]

    def _key(self, partition, service, table):
        base = f"{self.prefix}:{{{self.topic}-{partition}}}:{service}"
        if table == "head":
            return f"{base}:head"
        return f"{base}:{self.redis('hget', f'{base}:head', 'epoch').decode()}:{table}"

    def detectors_are_through(self, partitions):
        return all(self._is_through(partition) for partition in partitions)

    def _is_through(self, partition):
        facts = self.redis("xinfo", "stream", self._key(partition, "ingest", "closes")).split(b"\n")
        last = int(facts[facts.index(b"last-generated-id") + 1].split(b"-")[0])
        cursor = self.redis("hget", self._key(partition, "detectors", "state"), "cursor")
        if not cursor:
            return False
        _, at = varint(cursor, 0)
        size, at = varint(cursor, at)
        following, _ = varint(cursor, at + size)
        waiting = self.redis("xlen", self._key(partition, "detectors", "outbox"))
        return following == last + 1 and waiting == b"0"

    def folds(self, log):
        """{partition: the oracle's fold of it, with the marks that were recorded}"""
        marks = self.marks()
        return {p: oracle.fold([(o, a, v) for o, a, _, v in messages], marks[p], self.settings)
                for p, messages in log.items()}

    def windows(self, model, start, end):
        """All windows of a model that the console has, asked for in spans that it answers."""
        found = {}
        span = 900 * 3_600_000
        for at in range(start - start % 3_600_000, end, span):
            for line in self.run("windows", model, "--from", at, "--to", min(at + span, end), "--json", url=True).splitlines():
                key, cell = oracle.window_of(line, self.settings)
                assert key not in found, f"{key} twice"
                found[key] = cell
        return found

    def check_windows(self, log, models=None):
        """Every window (of these models) that the oracle has closed is in the store, with these counts and sums, and no
        other. Returns the oracle's folds."""
        folds = self.folds(log)
        expected = {key: cell for fold in folds.values() for key, cell in fold.closed_windows.items()
                    if models is None or key.model in models}
        assert expected
        found = {}
        for model in {key.model for key in expected}:
            starts = [key.start for key in expected if key.model == model]
            found.update(self.windows(model, min(starts), max(starts) + 1))
        assert not (text := oracle.difference(found, expected)), text
        return folds

    def check_invariant(self, log, folds=None):
        """Every offset is exactly one of counted, rejected by code, late, duplicate, control."""
        counters = self.counters()
        for partition, messages in log.items():
            if not messages:
                continue
            found = counters[partition]
            rejected = found["rejected"]
            total = found["counted"] + found["late"] + found["duplicate"] + found["control"] + sum(rejected.values())
            assert found["offset"] == messages[-1][0] + 1 and found["gaps"] == [], found
            assert total == found["offset"] - found["start"] == len(messages) + found["control"], found
            if folds:
                fold = folds[partition]
                assert (found["counted"], found["late"], rejected) == (fold.counted, fold.late, dict(fold.rejected)), found

    def topic_records(self, name):
        """[(key, value)] of one of our topics in order; what came twice is there once."""
        messages = consume_all(self.servers.brokers, f"{self.prefix}.{name}")
        return list(dict.fromkeys((key, value) for _, _, key, value, _ in messages))

    def findings(self):
        """The lines of the topic by id."""
        found = {}
        for _, value in self.topic_records("findings"):
            identity = json.loads(value)["id"]
            assert found.setdefault(identity, value) == value, "one id, two findings"
        return found

    def replayed_findings(self, log, *options):
        """What replay makes of the same log and the recorded marks, partition by partition, by id."""
        marks = self.run("marks", "--json", url=True).splitlines()
        found = {}
        for partition, messages in log.items():
            if not messages:
                continue
            trace, mark = self.directory / f"replay{partition}.jsonl", self.directory / f"marks{partition}.jsonl"
            trace.write_bytes(b"".join(value + b"\n" for _, _, _, value in messages))
            mine = f"{self.topic}-{partition}"
            mark.write_bytes(b"".join(line + b"\n" for line in marks if json.loads(line)["log"] == mine))
            for line in self.run("replay", "--marks", mark, *options, trace).splitlines():
                if line.startswith(b'{"kind":"finding"'):
                    found[json.loads(line)["id"]] = line
        return found


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def check_same(found, expected, what):
    """Two dicts of lines by id."""
    missing, extra = expected.keys() - found.keys(), found.keys() - expected.keys()
    assert not missing and not extra, (f"{what}: {len(missing)} missing, {len(extra)} more than expected:\n" +
                                       "\n".join(str((expected if i in missing else found)[i])[:600]
                                                 for i in [*sorted(missing)[:3], *sorted(extra)[:3]]))
    for identity in expected:
        assert found[identity] == expected[identity], what
