"""modelwatch-ingest with two owners of one partition, and with a log that is not the one it was."""
import json
import subprocess
import time
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic
from chain import Chain
from conftest import eventually, produce

ROOT = Path(__file__).resolve().parents[2]
PARTITIONS = 3


def configure(folder, servers, topic):
    path = folder / "modelwatch.yaml"
    path.write_text(
        f"kafka: {{brokers: '{servers.brokers}', topics: [{topic}]}}\n"
        f"redis: '{servers.redis_url}'\n"
        "receivers: [{name: nobody}]\n")
    subprocess.run([ROOT / "build/modelwatch", "init", "--config", path], check=True, capture_output=True)
    return path


def make_topic(servers, topic):
    admin = AdminClient({"bootstrap.servers": servers.brokers})

    def made():     # a topic that was just deleted may linger for a moment
        try:
            list(admin.create_topics([NewTopic(topic, PARTITIONS, 1)]).values())[0].result()
            return True
        except Exception:
            return False

    eventually(made, 10, f"topic {topic} is made")


def delete_topic(servers, topic):
    admin = AdminClient({"bootstrap.servers": servers.brokers})
    list(admin.delete_topics([topic]).values())[0].result()
    eventually(lambda: topic not in admin.list_topics(timeout=5).topics, 10, f"topic {topic} is gone")


def counters(servers, topic):
    """The counters of every partition that has a fold."""
    found = []
    for p in range(PARTITIONS):
        key = f"modelwatch:{{{topic}-{p}}}:ingest"
        epoch = servers.redis_cli("HGET", f"{key}:head", "epoch")
        text = epoch and servers.redis_cli("HGET", f"{key}:{epoch}:state", "counters")
        if text:
            found.append(json.loads(text))
    return found


def folded(one):
    return one["counted"] + one["late"]


def accounted(one):
    gaps = sum(gap["to"] - gap["from"] for gap in one["gaps"])
    return folded(one) + one["control"] + one["duplicate"] + sum(one["rejected"].values()) + gaps


def events(count, now):
    """Of seventeen models; every hundredth message is no event."""
    for i in range(count):
        model = f"m{i % 17}"
        event = {"ts": now - i % 1000, "model": model, "version": "1", "latency_ms": 1.5, "status": 200}
        yield model, b"{bad" if i % 100 == 99 else json.dumps(event).encode()


def start(service, config):
    return service("ingest", "--config", config, "--metrics", "127.0.0.1:0")


def now_ms():
    return int(time.time() * 1000)


def test_two_owners_of_the_same_partitions_count_each_event_once(servers, service, tmp_path):
    topic = "ingest.owners"
    make_topic(servers, topic)
    config = configure(tmp_path, servers, topic)
    owners = [start(service, config).ready() for _ in range(2)]
    for _ in range(10):
        produce(servers.brokers, topic, events(1000, now_ms()))
    eventually(lambda: sum(c["offset"] for c in counters(servers, topic)) == 10000, 30, "all is read")
    assert sum(folded(c) for c in counters(servers, topic)) == 9900
    assert sum(sum(c["rejected"].values()) for c in counters(servers, topic)) == 100
    for owner in owners:
        assert owner.stop() == 0


def test_a_topic_that_was_made_anew_is_noticed_though_its_log_is_longer(servers, service, tmp_path):
    topic = "ingest.anew"
    make_topic(servers, topic)
    config = configure(tmp_path, servers, topic)
    ingest = start(service, config).ready()
    produce(servers.brokers, topic, events(1000, now_ms()))
    eventually(lambda: sum(c["offset"] for c in counters(servers, topic)) == 1000, 20, "the first log is read")
    ingest.stop()
    delete_topic(servers, topic)
    make_topic(servers, topic)     # the message at the old cursor may well have the same key and the same bytes
    produce(servers.brokers, topic, events(5000, now_ms()))
    ingest.start()
    ingest.ready()
    eventually(lambda: sum(folded(c) for c in counters(servers, topic)) == 990 + 4950, 30, "the second log is read whole")
    for one in counters(servers, topic):
        assert one["gaps"], "the change of logs is recorded"
        assert accounted(one) == one["offset"] - one["start"]
    assert "gap" in ingest.stderr.read_text()


def test_what_is_built_anew_tells_how_far_it_is(servers, service, tmp_path):
    chain = Chain(servers, service, tmp_path, partitions=1)
    now, count = int(time.time() * 1000), 600_000
    produce(servers.brokers, chain.topic,
            ((b"m", b'{"ts":%d,"model":"m","latency_ms":%d}' % (now + i // 100, 10 + i % 7)) for i in range(count)))
    ingest = chain.start("console", "ingest")

    def progress():
        return next((log["progress"] for log in chain.status()["logs"] if "progress" in log), None)

    found = eventually(progress, 20, "that the console tells of progress")
    assert 0 <= found["percent"] <= 100 and found["behind"] > 0, found
    eventually(lambda: any(line.startswith("catching up: ") for line in ingest.status), 20, "that STATUS tells of it")
    eventually(lambda: chain.status()["logs"][0]["counted"] == count, 60, "that all is counted")
    eventually(lambda: "progress" not in chain.status()["logs"][0], 10, "that there is no progress to tell of any more")
    eventually(lambda: chain.metrics("ingest")["modelwatch_ingest_catching_up_ratio"] == "1", 10, "that the metric says so")
