"""Live tests: real binaries from build/ against a private Kafka broker and a private Redis (tests/servers).

Run by Debian's Python: /usr/bin/python3 -m pytest tests/live. Fixtures are passed by name; the helpers are imported,
`from conftest import produce, consume_all, eventually, Service`.
"""
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests" / "servers"

# `timeout` and CI end a run by SIGTERM, which by itself would leave the servers running.
signal.signal(signal.SIGTERM, lambda *_: pytest.exit("ended by SIGTERM", 143))


def eventually(predicate, timeout=10, what="the condition"):
    """Polls until predicate() is true, and returns its value; after `timeout` seconds the test fails."""
    deadline = time.monotonic() + timeout
    while not (value := predicate()):
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not come true within {timeout} s; the last value was {value!r}")
        time.sleep(0.02)
    return value


# ---- servers

class Servers:
    """One Kafka broker and one Redis. A server that a test has killed, stopped or paused is put right after that test."""

    everywhere = []

    def __init__(self, directory, *options):
        self.directory = Path(directory)
        self._down, self._paused = set(), set()
        self._run("up", self.directory, *options)
        lines = (self.directory / "env").read_text().splitlines()
        self.env = dict(line.split("=", 1) for line in lines)
        self.brokers, self.redis_url = self.env["KAFKA_BROKERS"], self.env["REDIS_URL"]
        Servers.everywhere.append(self)

    def close(self):
        Servers.everywhere.remove(self)
        self._run("down", self.directory)
        shutil.rmtree(self.directory / "kafka" / "data")    # may be large; the logs stay for whoever asks why

    def heal(self):
        for name in list(self._paused):
            self._resume(name)
        if self._down:
            self._run("up", self.directory)                 # starts only what is not running
            self._down.clear()

    def start_kafka(self): self._start("kafka")
    def stop_kafka(self): self._end("kafka", "stop")
    def kill_kafka(self): self._end("kafka", "kill")
    def pause_kafka(self): self._pause("kafka")
    def resume_kafka(self): self._resume("kafka")
    def start_redis(self): self._start("redis")
    def stop_redis(self): self._end("redis", "stop")
    def kill_redis(self): self._end("redis", "kill")
    def pause_redis(self): self._pause("redis")
    def resume_redis(self): self._resume("redis")

    def redis_cli(self, *args):
        """Runs one command as the all-powerful default user; an error reply raises CalledProcessError."""
        command = ["redis-cli", "-e", "-s", str(self.directory / "redis.sock"), *map(str, args)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.rstrip("\n")

    def sasl_ssl(self, mechanism=None, password_file=None, ca_file=None):
        """librdkafka settings for env["KAFKA_SASL_SSL"], right ones unless told otherwise."""
        return {"security.protocol": "SASL_SSL", "sasl.mechanism": mechanism or self.env["KAFKA_SASL_MECHANISM"],
                "sasl.username": self.env["KAFKA_USER"],
                "sasl.password": Path(password_file or self.env["KAFKA_PASSWORD_FILE"]).read_text().strip(),
                "ssl.ca.location": ca_file or self.env["KAFKA_CA_FILE"]}

    @staticmethod
    def _run(*args):
        done = subprocess.run([SCRIPT, *args], stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            pytest.fail(f"tests/servers {' '.join(map(str, args))}: {done.stderr}")

    def _start(self, name):
        self._run(name, "start", self.directory)
        self._down.discard(name)

    def _end(self, name, how):
        self._run(name, how, self.directory)
        self._paused.discard(name)
        self._down.add(name)

    def _pause(self, name):
        self._run(name, "pause", self.directory)
        self._paused.add(name)

    def _resume(self, name):
        self._run(name, "resume", self.directory)
        self._paused.discard(name)


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    started = Servers(tmp_path_factory.mktemp("servers"))
    yield started
    started.close()


@pytest.fixture(scope="session")
def servers_tls(tmp_path_factory):
    started = Servers(tmp_path_factory.mktemp("servers_tls"), "--tls")
    yield started
    started.close()


@pytest.fixture(autouse=True)
def healthy_servers():
    yield
    for started in Servers.everywhere:
        started.heal()


# ---- Kafka

def produce(brokers, topic, messages, **settings):
    """Sends (key, value) pairs and returns their number once all are acknowledged; raises KafkaException otherwise.

    Settings are librdkafka's, given as **{"name.with.dots": value}.
    """
    failures = []
    producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random", "compression.type": "lz4",
                         "linger.ms": 5, "message.max.bytes": 15_000_000, "message.timeout.ms": 30_000, **settings})
    count = 0
    for key, value in messages:
        while True:
            try:
                producer.produce(topic, value, key, on_delivery=lambda error, _: error and failures.append(error))
                break
            except BufferError:                             # the queue is full
                producer.poll(0.1)
        count += 1
    producer.flush()                                        # ends: message.timeout.ms turns silence into a failure
    if failures:
        raise KafkaException(failures[0])
    return count


def consume_all(brokers, topic, timeout=30, **settings):
    """All that is in the topic at this moment, as (partition, offset, key, value, headers), in order within a partition.

    Nothing if the topic does not exist.
    """
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "consume_all", "enable.auto.commit": False,
                         "enable.partition.eof": True, "auto.offset.reset": "error", **settings})
    try:
        description = consumer.list_topics(topic, timeout).topics[topic]
        if description.error is not None:
            if description.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return []
            raise KafkaException(description.error)
        ranges = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout) for p in description.partitions}
        consumer.assign([TopicPartition(topic, p, low) for p, (low, _) in ranges.items()])
        return _read_until(consumer, {p: high for p, (low, high) in ranges.items() if low < high}, timeout)
    finally:
        consumer.close()


def _read_until(consumer, ends, timeout):
    deadline = time.monotonic() + timeout
    messages, unfinished = [], set(ends)
    while unfinished:
        if time.monotonic() > deadline:
            pytest.fail(f"consume_all read {len(messages)} messages in {timeout} s and has not reached the end")
        for message in consumer.consume(10_000, 0.1):
            partition, error = message.partition(), message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            if error is None and message.offset() < ends[partition]:
                messages.append((partition, message.offset(), message.key(), message.value(), message.headers() or []))
            # The last offset may belong to no message (a transaction's end), hence also the end of the partition.
            if error is not None or message.offset() >= ends[partition] - 1:
                unfinished.discard(partition)
    return messages


# ---- services

class Service:
    """A service as systemd would run it: build/modelwatch-NAME ARGS, in a process group of its own.

    `stderr` is the file with everything that it ever said, `status` the STATUS= lines that it sent so far.
    """

    _numbers = itertools.count(1)                           # two of one name, say a standby, share a directory

    def __init__(self, name, *args, directory, binary=None, env=None):
        self.name = name
        stem = f"{name}.{next(Service._numbers)}"
        self.stderr, self._address = Path(directory) / f"{stem}.stderr", Path(directory) / f"{stem}.notify"
        self.command = [str(binary or ROOT / "build" / f"modelwatch-{name}"), *map(str, args)]
        self.env = {**os.environ, **(env or {})}
        self.status = []
        self.process = None
        self.start()

    def start(self):
        """Starts it, also again after kill() or stop()."""
        self._ready = threading.Event()
        self._address.unlink(missing_ok=True)
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(str(self._address))
        # A thread reads, because a service blocks when nobody empties its socket.
        threading.Thread(target=self._listen, args=(notify, self._ready), daemon=True).start()
        with open(self.stderr, "ab") as stderr:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr,
                                            env={**self.env, "NOTIFY_SOCKET": str(self._address)}, start_new_session=True)

    def _listen(self, notify, ready):
        with notify:
            while data := notify.recv(65536):
                for line in data.decode(errors="replace").splitlines():
                    if line == "READY=1":
                        ready.set()
                    elif line.startswith("STATUS="):
                        self.status.append(line.removeprefix("STATUS="))

    def ready(self, timeout=10):
        """Waits for READY=1; the test fails if the service ends before, or stays silent. Returns the service."""
        deadline = time.monotonic() + timeout
        while not self._ready.wait(0.02):
            if self.process.poll() is not None:
                pytest.fail(f"{self.name} ended with {self.process.returncode} before it was ready\n{self._tail()}")
            if time.monotonic() > deadline:
                pytest.fail(f"{self.name} was not ready within {timeout} s\n{self._tail()}")
        return self

    def running(self):
        return self.process.poll() is None

    def signal(self, number):
        """To the whole process group: SIGHUP, SIGSTOP, SIGCONT."""
        os.killpg(self.process.pid, number)

    def kill(self):
        """SIGKILL, no chance to say goodbye."""
        self._end(signal.SIGKILL, 10)
        self.check_sanitizers()

    def stop(self, timeout=15):
        """SIGTERM; returns the exit code, of an earlier end too."""
        self._end(signal.SIGTERM, timeout)
        self.check_sanitizers()
        return self.process.returncode

    def _end(self, number, timeout):
        if self.running():
            self.signal(number)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self.process.wait()
            pytest.fail(f"{self.name} did not end within {timeout} s of {number.name}\n{self._tail()}")
        finally:
            self._stop_listening()

    def _stop_listening(self):
        if self._address.exists():
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                s.sendto(b"", str(self._address))           # the listener ends at an empty message
            self._address.unlink()

    def check_sanitizers(self):
        text = self.stderr.read_text(errors="replace")
        if found := re.search(r"\w+Sanitizer|runtime error:", text):
            pytest.fail(f"{self.name}: a sanitizer spoke up\n{text[max(0, found.start() - 200):found.start() + 3000]}")

    def _tail(self):
        return self.stderr.read_text(errors="replace")[-3000:]


@pytest.fixture
def service(tmp_path):
    """Starts services, service("ingest", "--config", path).ready(), and kills what is left of them after the test."""
    started = []

    def start(name, *args, **options):
        started.append(Service(name, *args, directory=tmp_path, **options))
        return started[-1]

    yield start
    for each in started:
        each._end(signal.SIGKILL, 10)
    for each in started:
        each.check_sanitizers()
