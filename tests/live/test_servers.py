"""The tools of the live tests, tried on themselves."""
import signal
import subprocess
import sys
from collections import Counter

import pytest
from confluent_kafka import KafkaException, libversion
from conftest import SCRIPT, Servers, consume_all, eventually, produce

THOUSAND = [(f"model-{i % 7}".encode(), f"event {i}".encode()) for i in range(1000)]


def values(messages):
    return Counter(value for _, _, _, value, _ in messages)


def test_what_is_produced_is_consumed(servers):
    assert produce(servers.brokers, "thousand", iter(THOUSAND)) == 1000
    messages = consume_all(servers.brokers, "thousand")
    assert values(messages) == Counter(value for _, value in THOUSAND)
    assert len({(partition, offset) for partition, offset, *_ in messages}) == 1000
    for key in {key for key, _ in THOUSAND}:                # a key keeps to one partition, and its order there
        assert len({m[0] for m in messages if m[2] == key}) == 1
        assert [m[3] for m in messages if m[2] == key] == [v for k, v in THOUSAND if k == key]


def test_a_missing_topic_is_empty(servers):
    assert consume_all(servers.brokers, "nowhere") == []


def test_a_large_message_passes(servers):
    large = bytes(range(256)) * (12 * 4096)
    produce(servers.brokers, "large", [(b"k", large)], **{"compression.type": "none"})
    assert [m[3] for m in consume_all(servers.brokers, "large")] == [large]


def test_kafka_keeps_its_data_over_sigkill(servers):
    produce(servers.brokers, "kept", THOUSAND)
    servers.kill_kafka()
    servers.start_kafka()
    assert values(consume_all(servers.brokers, "kept")) == Counter(value for _, value in THOUSAND)
    produce(servers.brokers, "kept", THOUSAND)
    assert len(consume_all(servers.brokers, "kept")) == 2000


def test_kafka_answers_again_after_a_pause(servers):
    produce(servers.brokers, "paused", [(b"k", b"before")])
    servers.pause_kafka()
    with pytest.raises(KafkaException):
        produce(servers.brokers, "paused", [(b"k", b"during")], **{"message.timeout.ms": 500})
    servers.resume_kafka()
    eventually(lambda: consume_all(servers.brokers, "paused")[0][3] == b"before", 10, "reading from the resumed broker")


def test_redis_keeps_its_data_over_sigkill(servers):
    servers.redis_cli("set", "kept", "here")
    servers.kill_redis()
    with pytest.raises(subprocess.CalledProcessError):
        servers.redis_cli("get", "kept")
    servers.start_redis()
    assert servers.redis_cli("get", "kept") == "here"


def test_servers_are_put_right_after_a_test(servers):
    servers.kill_redis()
    servers.pause_kafka()
    servers.heal()
    assert servers.redis_cli("ping") == "PONG"
    produce(servers.brokers, "healed", [(b"k", b"v")])


def test_the_same_directory_comes_back_with_its_ports(tmp_path):
    first = Servers(tmp_path / "own")
    try:
        produce(first.brokers, "kept", [(b"k", b"v")])
        first._run("down", first.directory)
        first._run("up", first.directory)
        assert [m[3] for m in consume_all(first.brokers, "kept")] == [b"v"]
    finally:
        first.close()


def test_parallel_starts_do_not_collide(tmp_path):
    starting = [subprocess.Popen([SCRIPT, "up", tmp_path / n, "--tls"]) for n in ("a", "b")]
    try:
        assert [p.wait() for p in starting] == [0, 0]
        ports = [line.rsplit(":", 1)[1] for n in ("a", "b") for line in (tmp_path / n / "env").read_text().split()
                 if "127.0.0.1:" in line]
        assert len(set(ports)) == 6
    finally:
        for n in ("a", "b"):
            subprocess.run([SCRIPT, "down", tmp_path / n], check=True)


# ---- with TLS

SCRAM = pytest.param("SCRAM-SHA-512", marks=pytest.mark.xfail(
    libversion()[1] < 0x02060100, raises=KafkaException, strict=True,
    reason="Kafka 4 refuses the SCRAM of librdkafka before 2.6.1 (confluentinc/librdkafka#4895)"))


@pytest.mark.parametrize("mechanism", ["PLAIN", SCRAM])
def test_sasl_ssl_with_the_right_password(servers_tls, mechanism):
    brokers, settings = servers_tls.env["KAFKA_SASL_SSL"], servers_tls.sasl_ssl(mechanism)
    assert produce(brokers, mechanism, THOUSAND, **settings, **{"message.timeout.ms": 3000}) == 1000
    assert len(consume_all(brokers, mechanism, **settings)) == 1000


@pytest.mark.parametrize("wrong", [{"password_file": "WRONG_PASSWORD_FILE"}, {"ca_file": "WRONG_CA_FILE"}],
                         ids=["password", "ca"])
def test_sasl_ssl_refuses_what_is_wrong(servers_tls, wrong):
    said = []
    settings = servers_tls.sasl_ssl(**{name: servers_tls.env[file] for name, file in wrong.items()})
    with pytest.raises(KafkaException):
        produce(servers_tls.env["KAFKA_SASL_SSL"], "secret", [(b"k", b"v")],
                **settings, **{"message.timeout.ms": 3000, "error_cb": said.append})
    expected = "authentication" if "password_file" in wrong else "certificate verify failed"
    assert any(expected in error.str().lower() for error in said), said


def redis_tls(servers, *command, password_file="REDIS_PASSWORD_FILE", ca_file="REDIS_CA_FILE"):
    """AUTH as modelwatch and one more command on one connection: (exit code, answers)."""
    password = open(servers.env[password_file]).read().strip()
    port = servers.env["REDIS_TLS_URL"].rsplit(":", 1)[1]
    done = subprocess.run(["redis-cli", "--tls", "--cacert", servers.env[ca_file], "-h", "127.0.0.1", "-p", port, "-e"],
                          input=f"auth {servers.env['REDIS_USER']} {password}\n{' '.join(command)}\n",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout.split("\n")


def test_redis_tls(servers_tls):
    code, answers = redis_tls(servers_tls, "ping")
    assert (code, answers[:2]) == (0, ["OK", "PONG"])
    _, answers = redis_tls(servers_tls, "ping", password_file="WRONG_PASSWORD_FILE")
    assert answers[0].startswith("WRONGPASS")
    _, answers = redis_tls(servers_tls, "ping", ca_file="WRONG_CA_FILE")
    assert "certificate verify failed" in answers[0] and "PONG" not in answers


def test_the_redis_user_may_do_only_what_services_need(servers_tls):
    assert redis_tls(servers_tls, "set", "modelwatch:k", "v")[1][1] == "OK"
    for command in (["set", "other", "v"], ["keys", "*"], ["flushall"], ["config", "get", "*"], ["eval", "return 1", "0"]):
        assert redis_tls(servers_tls, *command)[1][1].startswith("NOPERM"), command


# ---- services

SPEAKS = """
import os, signal, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print(sys.argv[1], file=sys.stderr, flush=True)
s.sendto(b"STATUS=loading\\nREADY=1", os.environ["NOTIFY_SOCKET"])
for i in range(100):
    s.sendto(b"STATUS=%d" % i, os.environ["NOTIFY_SOCKET"])
signal.pause()
"""


def test_a_service_is_started_stopped_and_killed(service):
    one = service("one", "-c", SPEAKS, "hello", binary=sys.executable).ready()
    eventually(lambda: one.status[-1] == "99", 5, "the last status")
    assert one.status[0] == "loading"
    assert one.stop() == 0
    one.start()
    one.ready()
    one.kill()
    assert one.process.returncode == -signal.SIGKILL
    assert one.stderr.read_text() == "hello\nhello\n"


def test_a_sanitizers_report_fails_the_test(service):
    for said in ("==1==ERROR: AddressSanitizer: heap-use-after-free", "x.c:1:2: runtime error: signed integer overflow"):
        bad = service("bad", "-c", SPEAKS, said, binary=sys.executable).ready()
        with pytest.raises(pytest.fail.Exception, match="a sanitizer spoke up"):
            bad.stop()
        bad.stderr.write_text("")


def test_a_service_that_ends_early_fails_with_its_last_words(service):
    with pytest.raises(pytest.fail.Exception, match="ended with 3 before it was ready\n.*no configuration"):
        service("early", "-c", "import sys; print('no configuration', file=sys.stderr); sys.exit(3)",
                binary=sys.executable).ready()
