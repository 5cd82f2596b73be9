"""The `modelwatch` command as a user meets it: what it says, how it ends, and what a stopped broker looks like."""
import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from conftest import eventually, produce

ROOT = Path(__file__).resolve().parents[2]
MODELWATCH = ROOT / "build" / "modelwatch"
CONFIG = 'kafka: {brokers: "localhost:9092", topics: [ml.events]}\nreceivers: [{name: nobody}]\n'


def run(*args, stdin=b"", **env):
    """(exit status, stdout, stderr); nothing of the caller's environment says where the configuration or console is."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MODELWATCH_")}
    done = subprocess.run([MODELWATCH, *map(str, args)], input=stdin, capture_output=True, timeout=60, env={**clean, **env})
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# ---- use and misuse

@pytest.mark.parametrize("args", [("help",), ("--help",), ("-h",), ("help", "status"), ("status", "--help"), ("status", "-h")])
def test_help_comes_on_stdout_by_every_name(args):
    status, out, err = run(*args)
    assert status == 0 and out.startswith("modelwatch") and not err


@pytest.mark.parametrize("args, says", [
    ((), "Exit status"),
    (("staus",), "did you mean status?"),
    (("ack", "x"), "no such command: ack"),
    (("check", "--nonsense"), "modelwatch check: unrecognized option"),
    (("check", "a", "b"), "too many arguments: b"),
    (("deadletter",), "found nothing, expected list or show FINGERPRINT"),
    (("deadletter", "lst"), "did you mean list?"),
    (("windows",), "expected MODEL"),
    (("windows", "x", "--from", "yesterday"), "expected RFC 3339"),
    (("findings", "--limit"), "--limit"),
    (("actions", "--model", "x"), "takes no --model"),
    (("init", "--partitions", "0"), "expected a whole number from 1 to 10000"),
    (("replay",), "found no TRACE"),
    (("replay", "--partitions", "100000", "x"), "expected a whole number from 1 to 256"),
    (("status", "--url", "nonsense"), "expected http://HOST:PORT"),
])
def test_wrong_use_is_told_on_stderr_and_is_status_2(args, says):
    status, out, err = run(*args)
    assert (status, out) == (2, "") and says in err, err


def test_no_console_is_status_1_and_says_what_to_look_at():
    status, out, err = run("status", "--url", f"http://127.0.0.1:{free_port()}")
    assert (status, out) == (1, "") and "is modelwatch-console running?" in err


def test_mistakes_in_the_configuration_are_counted_in_the_singular_too(tmp_path):
    (tmp_path / "c.yaml").write_text(CONFIG + "nonsense: 1\n")
    for args in (("check", tmp_path / "c.yaml"), ("init", "--config", tmp_path / "c.yaml"),
                 ("replay", "--config", tmp_path / "c.yaml", "x"), ("status", "--config", tmp_path / "c.yaml")):
        status, _, err = run(*args)
        assert status == (1 if args[0] == "status" else 2)
        assert "c.yaml:3:1: nonsense: no such key" in err and re.search(r"\b1 mistake\b", err), err


# ---- replay

@pytest.fixture
def trace(tmp_path):
    """A configuration and 400 events of which every tenth has no model."""
    (tmp_path / "c.yaml").write_text(CONFIG)
    lines = [json.dumps({"ts": 1_700_000_000_000 + 100 * i, "model": "m", "latency_ms": 5 + i % 7} if i % 10 else {"ts": 1, "score": 0.5})
             for i in range(400)]
    path = tmp_path / "trace.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return tmp_path / "c.yaml", path


def test_replay_tells_what_became_of_the_events_even_when_nothing_was_understood(trace, tmp_path):
    config, path = trace
    status, _, err = run("replay", "--config", config, path)
    assert status == 0 and re.search(r"^400 events in .* s: 360 counted, 40 rejected\n  40 E_MISSING, the first one: .*model", err), err
    (tmp_path / "no.jsonl").write_text("this is\nno JSON\n")
    status, out, err = run("replay", "--config", config, tmp_path / "no.jsonl")
    assert (status, out) == (0, "") and "0 counted, 2 rejected" in err


def test_replay_reads_a_trace_the_same_however_it_comes(trace):
    config, path = trace
    text = path.read_bytes()
    packed = subprocess.run(["zstd", "-q", "-c", path], stdout=subprocess.PIPE, check=True).stdout
    status, expected, _ = run("replay", "--config", config, "--windows", path)
    assert status == 0 and expected.count("\n") == 8
    for stdin in (text, packed, b"\xef\xbb\xbf" + text, text.replace(b"\n", b"\r\n")):
        assert run("replay", "--config", config, "--windows", "-", stdin=stdin)[:2] == (0, expected)


@pytest.mark.parametrize("name, says", [("nofile", "cannot be opened"), (".", "is not a file"), ("cut.zst", "truncated")])
def test_a_trace_that_cannot_be_read_is_status_1(trace, tmp_path, name, says):
    (tmp_path / "cut.zst").write_bytes(subprocess.run(["zstd", "-q", "-c", trace[1]], stdout=subprocess.PIPE, check=True).stdout[:-9])
    status, _, err = run("replay", "--config", trace[0], tmp_path / name)
    assert status == 1 and says in err


# ---- the console

@pytest.fixture
def deployment(servers, service, tmp_path, request):
    """ingest and console on a topic of this test: (configuration, topic, url)."""
    topic, port = f"cli-{request.node.name[:40]}-{os.getpid()}", free_port()
    config = tmp_path / "modelwatch.yaml"
    config.write_text(f"kafka: {{brokers: '{servers.brokers}', topics: [{topic}], prefix: {topic}}}\n"
                      f"redis: {{url: '{servers.redis_url}', prefix: {topic}}}\nreceivers: [{{name: nobody}}]\n"
                      f"listen: {{console: '127.0.0.1:{port}', ingest: off, detectors: off, alerts: off, remediate: off}}\n")
    admin = AdminClient({"bootstrap.servers": servers.brokers})
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result()
    assert run("init", "--config", config)[0] == 0
    for name in ("ingest", "console"):
        service(name, "--config", config).ready()
    return config, topic, f"http://127.0.0.1:{port}"


def now_ms():
    return int(time.time() * 1000)


def test_status_in_an_empty_deployment_and_for_a_model_that_is_none(deployment):
    config, _, url = deployment
    eventually(lambda: run("status", "--url", url)[0] == 0, what="the console answers")
    assert run("status", "--config", config)[1].startswith("no model was seen yet\n")
    assert run("status", "nosuch", "--config", config)[1].startswith("no model nosuch was seen yet\n")
    for command in (["findings"], ["alerts"], ["actions"], ["deadletter", "list"], ["windows", "x"], ["marks"]):
        assert run(*command, "--url", url)[:2] == (0, "none\n")
        assert run(*command, "--url", url, "--json")[:2] == (0, "")


def test_what_the_console_refuses_is_wrong_use_and_what_it_lacks_is_not(deployment):
    _, _, url = deployment
    eventually(lambda: run("status", "--url", url)[0] == 0, what="the console answers")
    for args in (("findings", "--limit", "0"), ("alerts", "--state", "bad"), ("windows", "x", "--level", "5m")):
        status, _, err = run(*args, "--url", url)
        assert status == 2 and "expected" in err
    assert run("findings", "f-nope", "--url", url)[0] == 1


def test_status_fits_80_columns_and_tells_superseded_versions(servers, deployment):
    config, topic, url = deployment
    start = now_ms() - 200_000
    produce(servers.brokers, topic, [("fraud", json.dumps(
        {"ts": start + 100 * i, "model": "fraud", "version": "1" if i < 600 else "2", "latency_ms": 10, "status": 200}))
        for i in range(1800)])
    text = eventually(lambda: (t := run("status", "--url", url)[1]) and "fraud" in t and "1800" in t and t, what="all is counted")
    assert max(map(len, text.splitlines())) <= 80
    assert re.search(r"^fraud +production +1 .* superseded$", text, re.M), text
    assert re.search(r"^fraud +production +2 .* not enough data$", text, re.M), text
    assert "1 model: 0 in alarm, 0 suspected; 0 alerts firing\n" in text


def test_windows_show_what_was_counted_of_what(servers, deployment):
    _, topic, url = deployment
    produce(servers.brokers, topic, [("m", json.dumps({"ts": now_ms(), "model": "m", "status": s})) for s in (200, 200, 500)])
    text = eventually(lambda: (t := run("windows", "m", "--signal", "errors", "--url", url)[1]) != "none\n" and t, 20, "the tick closes")
    assert "ok 2" in text and "failed 1" in text


def test_dead_letters_of_all_partitions_are_one_line_in_the_list(servers, deployment):
    _, topic, url = deployment
    for partition in (0, 1):
        subprocess.run(["kcat", "-P", "-b", servers.brokers, "-t", topic, "-p", str(partition)], input=b"[1]\n[2]\n", check=True)
    groups = lambda: [json.loads(line) for line in run("deadletter", "list", "--json", "--url", url)[1].splitlines()]
    eventually(lambda: sum(g["total"] for g in groups()) == 4, 20, "all four are counted")
    assert len(groups()) == 2
    lines = run("deadletter", "list", "--url", url)[1].splitlines()
    assert len(lines) == 2 and re.search(r" E_TYPE +4 ", lines[1]), lines


# ---- what is away

@pytest.mark.parametrize("name", ["ingest", "detectors", "alerts", "remediate", "console"])
def test_a_service_that_must_wait_says_so_once_in_its_journal_too(service, tmp_path, name):
    (tmp_path / "modelwatch.yaml").write_text(
        f"kafka: {{brokers: '127.0.0.1:{free_port()}', topics: [t]}}\nredis: 'unix:{tmp_path}/redis.sock'\nreceivers: [{{name: nobody}}]\n"
        f"listen: {{console: '127.0.0.1:{free_port()}', ingest: off, detectors: off, alerts: off, remediate: off}}\n")
    one = service(name, "--config", tmp_path / "modelwatch.yaml").ready()
    eventually(lambda: "event=unwell" in one.stderr.read_text(), what="the journal tells")
    time.sleep(3)
    assert one.stop() == 0
    text = one.stderr.read_text()
    assert text.count("event=unwell") == 1 and ("redis" in text or "kafka" in text), text


def test_events_that_waited_for_the_broker_are_not_late(servers, deployment):
    """A producer keeps its events while the broker is away, and is back some seconds after it."""
    _, topic, url = deployment
    log = lambda: (json.loads(run("status", "--json", "--url", url)[1] or "{}").get("logs") or [{}])[0]
    event = lambda: ("m", json.dumps({"ts": now_ms(), "model": "m", "status": 200}))

    produce(servers.brokers, topic, [event() for _ in range(100)])
    eventually(lambda: log().get("counted") == 100, what="the first events are counted")
    servers.stop_kafka()
    kept = [(time.sleep(0.05), event())[1] for _ in range(160)]
    servers.start_kafka()
    kept += [(time.sleep(0.05), event())[1] for _ in range(80)]
    produce(servers.brokers, topic, kept)
    produce(servers.brokers, topic, [event()])
    eventually(lambda: log()["counted"] == 341, what="what was kept is counted")
    eventually(lambda: log()["watermark"] > now_ms() - 1000, 20, "its ticks close")
    assert run("windows", "m", "--signal", "late", "--url", url)[:2] == (0, "none\n")
