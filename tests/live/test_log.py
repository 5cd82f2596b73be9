"""ports/log.h on a real broker, through tests/live/log_probe.c (built here with sanitizers)."""
import itertools
import os
import subprocess
import threading
import time

import pytest
from confluent_kafka import Producer
from conftest import ROOT, consume_all, eventually, produce

OUTCOMES = ("ok", "none", "retry", "reject", "fatal")
NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def probe_program(tmp_path_factory):
    program = tmp_path_factory.mktemp("log_probe") / "log_probe"
    sources = [*ROOT.glob("ports/log*.c"), ROOT / "ports/clock.c", ROOT / "tests/live/log_probe.c",
               *(ROOT / f"core/{name}.c" for name in ("bytes", "err", "memory", "secret"))]
    subprocess.run([os.environ.get("CC", "gcc"), "-std=gnu17", "-D_GNU_SOURCE", "-I.", "-O1", "-g",
                    "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", *map(str, sources),
                    "-lrdkafka", "-lpthread", "-o", str(program)], cwd=ROOT, check=True)
    return program


class Probe:
    """A running log_probe; each command gives the lines of its answer, as lists of words."""

    def __init__(self, program, brokers, *properties):
        self.process = subprocess.Popen([program, brokers, *properties], text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.opened = self._answer(10)[-1]

    def __call__(self, *words, timeout=30):
        self.send(*words)
        return self._answer(timeout)

    def send(self, *words):
        print(*words, file=self.process.stdin, flush=True)

    def _answer(self, timeout):
        guard = threading.Timer(timeout, self.process.kill)
        guard.start()
        lines = []
        try:
            while not lines or lines[-1][0] not in OUTCOMES:
                line = self.process.stdout.readline()
                if not line:
                    pytest.fail(f"log_probe ended or took longer than {timeout} s: {self.process.stderr.read()}")
                lines.append(line.split())
            return lines
        finally:
            guard.cancel()

    def one(self, *words, **options):
        """The last line: outcome and what follows."""
        return self(*words, **options)[-1]

    def age_and_lag(self, topic, partition):
        return tuple(map(int, self.one("age", topic, partition)[1:]))

    def take(self, at_least, timeout=10):
        """Messages (partition, offset, value) until there are so many."""
        messages = []
        deadline = time.monotonic() + timeout
        while len(messages) < at_least and time.monotonic() < deadline:
            lines = self("take", 100, 10000)
            assert lines[-1][0] in ("ok", "none"), lines
            messages += [(int(m[2]), int(m[3]), m[5].split("=", 1)[1]) for m in lines if m[0] == "message"]
        return messages

    def close(self):
        """Says what went to stderr: nothing, if all is well."""
        self.process.stdin.close()
        self.process.wait(30)
        return self.process.stderr.read()


@pytest.fixture
def probe(probe_program):
    """Starts probes, and demands of each that it ends well and printed nothing of librdkafka or a sanitizer."""
    started = []

    def start(brokers, *properties):
        started.append(Probe(probe_program, brokers, *properties))
        return started[-1]

    yield start
    complaints = [each.close() for each in started]
    assert complaints == [""] * len(started)


@pytest.fixture
def topic(servers, probe):
    """A new topic with 4 partitions, all of which answer."""
    name = f"log-{next(NUMBERS)}"
    p = probe(servers.brokers)
    assert p.one("create", name, 4, "delete", -1, 0) == ["ok"]
    for partition in range(4):
        p("assign", name, partition, 0)
    eventually(lambda: all(p.age_and_lag(name, partition)[0] >= 0 for partition in range(4)))
    return name


def fill(servers, topic, count, partition_key=b"k"):
    produce(servers.brokers, topic, ((partition_key, b"%d" % i) for i in range(count)))


# ---- topics

def test_topics_are_created_once_and_compared(servers, probe):
    p = probe(servers.brokers)
    assert p.one("partitions", "log-none", 5000)[0] == "none"
    assert p.one("create", "log-settings", 3, "compacted", 86400000, 2000000) == ["ok"]
    assert p.one("partitions", "log-settings", 5000) == ["ok", "3"]
    assert p.one("create", "log-settings", 3, "compacted", 86400000, 2000000) == ["none"]
    outcome, *sentence = p.one("create", "log-settings", 4, "delete", 1, 0)
    sentence = " ".join(sentence)
    assert outcome == "none"
    for difference in ("cleanup.policy is compact, expected delete", "retention.ms is 86400000, expected 1",
                       "partitions are 3, expected 4"):
        assert difference in sentence


def test_a_topic_that_can_not_be_created_is_fatal(servers, probe):
    assert probe(servers.brokers).one("create", "no/such/name", 1, "delete", -1, 0)[0] == "fatal"


# ---- writing

def test_records_arrive_with_key_value_and_headers(servers, probe, topic):
    p = probe(servers.brokers)
    assert p.one("write", topic, "key", "value", 7, "id", "f-1", "origin", "t-0") == ["ok"]
    assert p.one("write", topic, "key", "tombstone", 8) == ["ok"]
    known = []
    eventually(lambda: known.extend(p.one("written", 1000)[1:]) or len(known) == 2)
    assert known == ["7:1", "8:1"]
    (_, _, key, value, headers), (_, _, second_key, second, _) = consume_all(servers.brokers, topic)
    assert (key, value, headers) == (b"key", b"value", [("id", b"f-1"), ("origin", b"t-0")])
    assert (second_key, second) == (b"key", None)


def test_keys_go_where_other_clients_send_them(servers, probe, topic):
    p = probe(servers.brokers)
    keys = [f"model-{i}" for i in range(20)]
    for key in keys:
        assert p.one("write", topic, key, "ours", 1) == ["ok"]
    eventually(lambda: len(p.one("written", 1000)) == 1)
    produce(servers.brokers, topic, ((key.encode(), b"theirs") for key in keys))
    homes = {}
    for partition, _, key, _, _ in consume_all(servers.brokers, topic):
        homes.setdefault(key, []).append(partition)
    assert len({partitions[0] for partitions in homes.values()}) == 4
    assert all(len(p) == 2 and p[0] == p[1] for p in homes.values())


def written_all(p, count):
    known = {}
    eventually(lambda: known.update(w.split(":") for w in p.one("written", 500)[1:]) or len(known) == count)
    return known


def test_a_record_too_large_for_its_topic_is_refused_and_its_neighbours_are_not(servers, probe):
    p = probe(servers.brokers)
    assert p.one("create", "log-small", 1, "delete", -1, 20000) == ["ok"]
    for tag, size in enumerate((5000, 9000, 9001, 30000)):
        assert p.one("big", "log-small", size, tag) == ["ok"]
    first = written_all(p, 4)                               # perhaps one batch, refused as a whole
    for tag, size in enumerate((5000, 9000, 9001)):
        if first[str(tag)] == "0":
            eventually(lambda: p.one("big", "log-small", size, tag)[0] == "ok" or p("written", 50) is None)
            assert written_all(p, 1) == {str(tag): "1"}
    assert first["3"] == "0"
    outcomes = []
    for _ in range(3):
        outcomes.append(p.one("big", "log-small", 30000, 3)[0])
        if outcomes[-1] == "reject":
            break
        assert written_all(p, 1) == {"3": "0"}
    assert outcomes[-1] == "reject"
    assert len(consume_all(servers.brokers, "log-small")) == 3
    assert p.one("big", "log-small", 17_000_000, 9)[0] == "reject"


def test_writing_makes_no_topics(servers, probe):
    p = probe(servers.brokers)
    p("write", "log-never", "k", "v", 1)
    p("written", 1500)
    assert p.one("partitions", "log-never", 5000)[0] == "none"


# ---- reading

def test_messages_come_from_the_assigned_offset(servers, probe, topic):
    fill(servers, topic, 1000)
    home = consume_all(servers.brokers, topic)[0][0]
    p = probe(servers.brokers)
    assert p.one("assign", topic, home, 600) == ["ok"]
    assert p.take(400) == [(home, i, str(i)) for i in range(600, 1000)]
    assert p.one("assign", topic, home, -2) == ["ok"]
    assert p.take(1000)[:1000] == [(home, i, str(i)) for i in range(1000)]
    assert p.one("assign", topic, home, -1) == ["ok"]
    assert p.one("take", 500, 10)[0] == "none"
    fill(servers, topic, 1)
    assert p.take(1) == [(home, 1000, "0")]


@pytest.mark.parametrize("offset", [50, 1001, 10**12])
def test_an_offset_that_is_not_there_is_a_gap_and_others_go_on(servers, probe, topic, offset):
    fill(servers, topic, 1000)
    home = consume_all(servers.brokers, topic)[0][0]
    p = probe(servers.brokers)
    assert p.one("trim", topic, home, 100) == ["ok"]
    p("assign", topic, home, offset)
    p("assign", topic, (home + 1) % 4, 0)
    gap = eventually(lambda: (lines := p("take", 500, 10))[-1][0] == "reject" and lines[0], timeout=5)
    assert gap == ["gap", topic, str(home), str(offset), "100", "1000"]
    assert p.one("take", 300, 10)[0] == "none"
    assert p.age_and_lag(topic, home) == (-1, -1)
    eventually(lambda: p.age_and_lag(topic, (home + 1) % 4)[0] >= 0)
    p("assign", topic, home, 100)
    assert p.take(900)[0] == (home, 100, "100")


def test_a_move_in_the_middle_brings_nothing_stale(servers, probe, topic):
    p = probe(servers.brokers)
    assert p.one("load", topic, 200_000, 100)[:2] == ["ok", "0"]
    for partition in range(4):
        p("assign", topic, partition, 0)
    for start in range(0, 1500, 100):
        p("take", 1000, 500)
        for partition in range(4):
            p("assign", topic, partition, start)
        outcome, taken, jumps, *_ = p.one("stream", 5000, 20, start)
        assert (outcome, jumps) == ("ok", "0") and int(taken) >= 5000


def test_the_end_is_confirmed_again_and_again(servers, probe, topic):
    p = probe(servers.brokers)
    for partition in range(4):
        p("assign", topic, partition, 0)
    for _ in range(10):
        p("take", 100, 10)
        ages = [p.age_and_lag(topic, partition) for partition in range(4)]
    assert all(0 <= age < 1000 and lag == 0 for age, lag in ages)
    fill(servers, topic, 100)
    assert eventually(lambda: sum(p.age_and_lag(topic, i)[1] for i in range(4))) == 100     # told before it is taken
    assert [age for age, lag in (p.age_and_lag(topic, i) for i in range(4)) if lag] == [-1]
    p.take(100)
    eventually(lambda: all(0 <= p.age_and_lag(topic, i)[0] < 1000 for i in range(4)), timeout=2)


def test_a_transaction_ends_the_log_with_no_message(servers, probe, topic):
    producer = Producer({"bootstrap.servers": servers.brokers, "transactional.id": topic})
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce(topic, b"in", partition=0)
    producer.flush()
    p = probe(servers.brokers)
    p("assign", topic, 0, 0)
    assert p.one("take", 500, 10)[0] == "none"
    producer.commit_transaction()
    assert p.take(1) == [(0, 0, "in")]
    p("take", 300, 10)
    eventually(lambda: p.age_and_lag(topic, 0)[0] >= 0 and p.age_and_lag(topic, 0)[1] == 0)
    assert p.one("peek", topic, 0, 1, 5000)[0] == "none"


def test_a_peek_finds_one_message_or_none(servers, probe, topic):
    fill(servers, topic, 300)
    home = consume_all(servers.brokers, topic)[0][0]
    p = probe(servers.brokers)
    p("trim", topic, home, 100)
    for offset in (299, 100, 250):
        outcome, append_ms, key, value = p.one("peek", topic, home, offset, 5000)
        assert (outcome, key, value) == ("ok", "k", str(offset)) and abs(int(append_ms) / 1000 - time.time()) < 60
        for none in (99, 300, 5000):
            assert p.one("peek", topic, home, none, 5000)[0] == "none"


# ---- bad days

def test_a_silent_broker_is_noticed_and_forgiven(servers, probe, topic):
    p = probe(servers.brokers)
    p("assign", topic, 0, 0)
    p("take", 300, 10)
    eventually(lambda: 0 <= p.age_and_lag(topic, 0)[0] < 1000)
    servers.pause_kafka()
    eventually(lambda: p.one("take", 100, 10)[0] == "retry", timeout=5)
    assert p.one("well")[1] == "0"
    time.sleep(1)
    assert p.age_and_lag(topic, 0)[0] > 1500                # grows: no silence is taken for an answer
    servers.resume_kafka()
    eventually(lambda: p.one("take", 100, 10)[0] == "none", timeout=5)
    eventually(lambda: 0 <= p.age_and_lag(topic, 0)[0] < 1000, timeout=5)
    assert p.one("well") == ["ok", "1"]


def test_nothing_is_lost_when_the_broker_is_killed_under_a_reader(servers, probe, topic):
    p = probe(servers.brokers, "queued.max.messages.kbytes=1000")   # far less ahead than there is
    assert p.one("load", topic, 400_000, 100)[:2] == ["ok", "0"]
    for partition in range(4):
        p("assign", topic, partition, 0)
    outcome, before, jumps, *_ = p.one("stream", 100_000, 30)
    assert (outcome, jumps) == ("ok", "0")
    servers.kill_kafka()
    p.send("stream", 400_000 - int(before), 60)
    time.sleep(1)
    servers.start_kafka()
    outcome, after, jumps, retries, *_ = p._answer(70)[-1]
    assert (outcome, jumps) == ("ok", "0") and int(before) + int(after) == 400_000
    assert int(retries) > 0
    eventually(lambda: p.one("take", 100, 10)[0] == "none")


def test_every_record_arrives_once_when_the_broker_is_killed_under_a_writer(servers, probe, topic):
    p = probe(servers.brokers)
    p.send("load", topic, 400_000, 100)
    time.sleep(0.5)
    servers.kill_kafka()
    servers.start_kafka()
    assert p._answer(60)[-1][:2] == ["ok", "0"]
    numbers = [int(value.split(b".", 1)[0]) for _, _, _, value, _ in consume_all(servers.brokers, topic)]
    assert sorted(numbers) == list(range(400_000))


def test_no_broker_at_all_is_retry(probe):
    p = probe("127.0.0.1:1")
    outcome, *sentence = p.one("partitions", "t", 2000)
    assert outcome == "retry" and "127.0.0.1:1" in " ".join(sentence)
    assert p.one("well")[1] == "0"


def login(servers, **wrong):
    env = {**servers.env, **wrong}
    return ["security.protocol=SASL_SSL", f"sasl.mechanism={env['KAFKA_SASL_MECHANISM']}",
            f"sasl.username={env['KAFKA_USER']}", f"sasl.password@{env['KAFKA_PASSWORD_FILE']}",
            f"ssl.ca.location={env['KAFKA_CA_FILE']}"]


def test_login_and_tls_work(servers_tls, probe):
    p = probe(servers_tls.env["KAFKA_SASL_SSL"], *login(servers_tls))
    assert p.one("create", "log-tls", 2, "delete", -1, 0) == ["ok"]
    assert p.one("load", "log-tls", 1000, 100)[:2] == ["ok", "0"]
    for partition in range(2):
        p("assign", "log-tls", partition, 0)
    assert p.one("stream", 1000, 20)[:3] == ["ok", "1000", "0"]


@pytest.mark.parametrize("wrong, word", [
    ({"KAFKA_PASSWORD_FILE": "WRONG_PASSWORD_FILE"}, "sasl.password"),
    ({"KAFKA_CA_FILE": "WRONG_CA_FILE"}, "ssl.ca.location"),
])
def test_who_is_refused_hears_why(servers_tls, probe, wrong, word):
    wrong = {name: servers_tls.env[value] for name, value in wrong.items()}
    p = probe(servers_tls.env["KAFKA_SASL_SSL"], *login(servers_tls, **wrong))
    started = time.monotonic()
    outcome, *sentence = p.one("partitions", "t", 10000)
    assert outcome == "fatal" and word in " ".join(sentence)
    assert time.monotonic() - started < 10
    for file in ("KAFKA_PASSWORD_FILE", "WRONG_PASSWORD_FILE"):
        with open(servers_tls.env[file]) as secret:
            assert secret.read().strip() not in " ".join(sentence)


@pytest.mark.parametrize("setting", ["no.such.property=geheim", "compression.type=geheim", "sasl.mechanism=geheim"])
def test_a_property_that_is_refused_is_named_and_its_value_is_not(probe, setting):
    outcome, *sentence = probe("127.0.0.1:1", "security.protocol=sasl_plaintext", setting).opened
    assert outcome == "fatal"
    if not setting.startswith("sasl."):                     # known only when all settings are there
        assert setting.split("=")[0] in sentence or setting.split("=")[0] + ":" in sentence
        assert "geheim" not in " ".join(sentence)
