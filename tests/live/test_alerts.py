"""modelwatch-alerts against real servers: findings are put into its topic by hand, receivers are threads of the test."""
import contextlib
import itertools
import json
import re
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import ROOT, consume_all, eventually, produce

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
numbers = itertools.count(1)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def verifier():
    """The receiver's check, as docs/alerting.md shows it."""
    code = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "alerting.md").read_text(), re.S).group(1)
    scope = {}
    exec(code, scope)
    return scope["verify"]


# ---- receivers

class Request:
    def __init__(self, path, headers, body):
        self.path, self.headers, self.body, self.at = path, headers, body, time.monotonic()
        self.id = headers.get("webhook-id")

    @property
    def data(self):
        return json.loads(self.body)["data"]


class Receiver:
    """Remembers requests; answers with what is in `answers` first, then 204. An answer is (status, headers), or an Event
    that the request waits for."""

    def __init__(self, tls=None):
        self.requests, self.answers = [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append(Request(self.path, self.headers, body))
                answer = outer.answers.pop(0) if outer.answers else (204, {})
                if isinstance(answer, threading.Event):
                    answer.wait(30)
                    answer = (204, {})
                with contextlib.suppress(OSError):          # who was killed does not listen
                    self.send_response(answer[0])
                    for name, value in answer[1].items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *_): pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, count, timeout=10):
        eventually(lambda: len(self.requests) >= count, timeout, f"request {count}")
        return self.requests

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


# ---- the room

class Room:
    """A configuration with topics of its own, and the service on it."""

    def __init__(self, servers, service, directory):
        self.servers, self._service, self.directory = servers, service, directory
        self.prefix = f"alerts{next(numbers)}"
        self.path, self.port = directory / "modelwatch.yaml", free_port()
        (directory / "hook.key").write_text(SECRET + "\n")

    def configure(self, *integrations, matchers=None, **route):
        """integrations: texts such as 'webhook_configs: [...]', each a receiver with a route of its own, all told."""
        route = {"group_by": "[model, alertname]", "group_wait": "100ms", "group_interval": "1s",
                 "repeat_interval": "1h", **route}
        lines = [f"kafka: {{brokers: '{self.servers.brokers}', topics: [{self.prefix}-events], prefix: {self.prefix}}}",
                 f"redis: {{url: '{self.servers.redis_url}', prefix: {self.prefix}}}",
                 "http: {allow: [127.0.0.0/8]}", f"listen: {{alerts: '127.0.0.1:{self.port}'}}", "receivers:"]
        for n, integration in enumerate(integrations):
            lines += [f"  - name: r{n}", f"    {integration}"]
        lines += ["route:", "  receiver: r0", *(f"  {key}: {value}" for key, value in route.items()), "  routes:"]
        lines += [f"    - {{receiver: r{n}, continue: true, matchers: {matchers or f'[nothing{n}=]'}}}"
                  for n in range(len(integrations))]
        self.path.write_text("\n".join(lines) + "\n")
        return self

    def start(self):
        subprocess.run([ROOT / "build" / "modelwatch", "init", "--config", self.path], check=True,
                       stdout=subprocess.DEVNULL)
        return self._service("alerts", "--config", self.path).ready()

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as answer:
            return dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if line[0] != "#")

    def find(self, model="fraud", verdict="alarm", ts=None):
        """Puts a finding into the topic."""
        ts = ts or int(time.time() * 1000)
        finding = {
            "kind": "finding", "id": f"f-{next(numbers):032x}", "ts": ts, "model": model, "version": "7",
            "role": "production", "segment": "", "signal": "latency", "against": "canary", "detector": "arms",
            "verdict": verdict, "actionable": verdict == "alarm", "since": ts - 20000,
            "reason": "" if verdict == "alarm" else "within tolerance",
            "evidence": {"arm": "production", "reference": "canary", "n": {"production": 5210, "canary": 498},
                         "log_e": 31.2, "line": 24.1,
                         "effect": {"name": "p99 ratio", "value": 1.61, "low": 1.48, "high": 1.77, "tolerance": 1.25},
                         "values": {"p50": {"production": 12.1, "canary": 11.8}},
                         "span": {"from": ts - 20000, "to": ts}, "moved": [{"what": "latency 120..160 ms", "log_e": 9.1}]}}
        produce(self.servers.brokers, f"{self.prefix}.findings", [(model.encode(), json.dumps(finding).encode())])

    def told(self):
        """The records of the log of notifications."""
        return [json.loads(m[3]) for m in consume_all(self.servers.brokers, f"{self.prefix}.notifications")]

    def told_all(self, count, timeout=10):
        return eventually(lambda: (told := self.told()) and len(told) >= count and told, timeout, f"{count} records")


@pytest.fixture
def room(servers, service, tmp_path):
    return Room(servers, service, tmp_path)


def webhook(receiver, *more):
    return f"webhook_configs: [{{{', '.join([f'url: {receiver.url!r}', 'secret_file: hook.key', *more])}}}]"


# ---- tests

def test_a_webhook_is_signed_and_an_alert_is_told_from_its_beginning_to_its_end(room, receiver):
    service = room.configure(webhook(receiver)).start()
    room.find()
    first = receiver.wait(1)[0]
    assert verifier()(first.headers, first.body, SECRET)
    assert not verifier()(first.headers, first.body + b" ", SECRET)
    assert first.headers["Content-Type"] == "application/json"
    assert json.loads(first.body)["type"] == "alerts.firing"
    assert first.data["id"] == first.id and first.data["reason"] == "first notification"
    alert = first.data["alerts"][0]
    assert (alert["state"], alert["labels"]["model"], alert["alertname"]) == ("firing", "fraud", "ModelLatency")
    room.find(verdict="ok")
    last = receiver.wait(2)[1]
    assert verifier()(last.headers, last.body, SECRET)
    assert json.loads(last.body)["type"] == "alerts.resolved" and last.id != first.id
    assert last.data["alerts"][0]["id"] == alert["id"]
    assert [r["state"] for r in room.told_all(2)] == ["sent", "sent"]
    eventually(lambda: "0 firing, 0 pending, receivers ok" in service.status, 5, "the status")
    metrics = room.metrics()
    assert metrics['modelwatch_alerts_notifications_total{receiver="r0",outcome="delivered"}'] == "2"
    assert metrics["modelwatch_alerts_findings_total"] == "2" and metrics["modelwatch_alerts_firing"] == "0"
    assert service.stop() == 0


def test_a_webhook_of_alertmanagers_kind_has_its_shape(room, receiver):
    room.configure(f"alertmanager_webhook_configs: [{{url: '{receiver.url}'}}]").start()
    room.find()
    body = json.loads(receiver.wait(1)[0].body)
    assert body["version"] == "4" and body["status"] == "firing" and body["receiver"] == "r0"
    assert body["groupLabels"] == {"alertname": "ModelLatency", "model": "fraud"}
    assert body["alerts"][0]["endsAt"] == "0001-01-01T00:00:00Z"


def test_a_receiver_that_fails_gets_the_same_id_again(room, receiver):
    service = room.configure(webhook(receiver)).start()
    receiver.answers = [(500, {}), (500, {})]
    room.find()
    requests = receiver.wait(3, timeout=15)
    assert len({r.id for r in requests}) == 1 and len({r.body for r in requests}) == 1
    record, = room.told_all(1)
    assert (record["state"], record["tries"], record["id"]) == ("sent", 3, requests[0].id)
    assert any("receiver r0: answered 500" in line for line in service.status)


def test_retry_after_is_honoured(room, receiver):
    room.configure(webhook(receiver)).start()
    receiver.answers = [(503, {"Retry-After": "4"})]
    room.find()
    first, second = receiver.wait(2)
    assert 3.9 < second.at - first.at < 6
    assert first.id == second.id


def test_an_answer_that_no_retry_mends_is_final(room, receiver):
    room.configure(webhook(receiver)).start()
    receiver.answers = [(410, {})]
    room.find()
    record, = room.told_all(1)
    assert (record["state"], record["tries"], record["result"]) == ("dead", 1, "answered 410")
    time.sleep(3)
    assert len(receiver.requests) == 1


def test_a_receiver_that_hangs_delays_no_other(room, receiver):
    other = Receiver()
    try:
        room.configure(webhook(receiver, "timeout: 8s"), webhook(other)).start()
        release = threading.Event()
        receiver.answers = [release] * 20
        begin = time.monotonic()
        room.find()
        receiver.wait(1)
        assert other.wait(1, timeout=3)[0].at - begin < 3
        room.find("credit")
        other.wait(2, timeout=3)
        release.set()
        receiver.wait(2)
    finally:
        other.close()


def test_two_routes_with_the_same_matchers_reach_both_receivers(room, receiver):
    other = Receiver()
    try:
        room.configure(webhook(receiver), webhook(other), matchers='[model="fraud"]').start()
        room.find()
        receiver.wait(1)
        other.wait(1)
    finally:
        other.close()


def test_a_kill_between_request_and_answer_repeats_the_id_and_nothing_else(room, receiver):
    service = room.configure(webhook(receiver)).start()
    release = threading.Event()
    receiver.answers = [release]
    room.find()
    receiver.wait(1)
    service.kill()
    release.set()
    service.start()
    service.ready()
    first, second = receiver.wait(2, timeout=15)
    assert (first.id, first.body) == (second.id, second.body)
    record, = room.told_all(1)
    assert (record["state"], record["id"]) == ("sent", first.id)
    time.sleep(3)                                           # several group intervals
    assert len(receiver.requests) == 2


def test_what_was_told_is_not_told_again_after_a_loss_of_redis(room, receiver):
    service = room.configure(webhook(receiver)).start()
    room.find("fraud")
    room.find("credit")
    room.find("credit", "ok")
    eventually(lambda: {a["state"] + a["labels"]["model"] for r in receiver.requests for a in r.data["alerts"]}
               >= {"firingfraud"}, what="the first alert")
    before = len(room.told_all(len(receiver.requests)))
    service.kill()
    room.servers.redis_cli("flushall")
    service.start()
    service.ready()
    room.find("third")
    eventually(lambda: any(a["labels"]["model"] == "third" for r in receiver.requests for a in r.data["alerts"]), 15)
    time.sleep(3)                                           # several group intervals
    again = [r for r in receiver.requests[before:] if r.data["alerts"][0]["labels"]["model"] != "third"]
    assert again == []
    room.find("fraud", "ok")                                # what fired before the loss can still end
    eventually(lambda: any(a["state"] == "resolved" and a["labels"]["model"] == "fraud"
                           for r in receiver.requests for a in r.data["alerts"]))


def test_a_kafka_that_is_away_keeps_nobody_from_hearing(room, receiver):
    room.configure(webhook(receiver)).start()
    receiver.answers = [(503, {"Retry-After": "2"})]
    room.find()
    receiver.wait(1)
    room.servers.pause_kafka()
    first, second = receiver.wait(2, timeout=8)
    assert first.id == second.id
    room.servers.resume_kafka()
    record, = room.told_all(1, timeout=30)
    assert (record["state"], record["tries"]) == ("sent", 2)


def test_a_reload_sends_elsewhere_without_telling_again(room, receiver):
    service = room.configure(webhook(receiver)).start()
    room.find()
    receiver.wait(1)
    room.told_all(1)
    other = Receiver()
    try:
        room.configure(webhook(other))
        service.signal(1)
        eventually(lambda: "event=reloaded" in service.stderr.read_text(), what="the reload")
        room.find("credit")
        assert other.wait(1)[0].data["alerts"][0]["labels"]["model"] == "credit"
        assert len(receiver.requests) == 1
    finally:
        other.close()


def test_what_waits_for_a_receiver_that_was_configured_away_is_given_up_and_says_so(room, receiver):
    other = Receiver()
    try:
        service = room.configure(webhook(receiver), webhook(other), matchers='[model="fraud"]').start()
        other.answers = [(503, {"Retry-After": "60"})] * 5
        room.find()
        other.wait(1)
        receiver.wait(1)
        room.told_all(1)
        room.configure(webhook(receiver))
        service.signal(1)
        dead, = eventually(lambda: [r for r in room.told() if r["state"] == "dead"], what="the end of the notification")
        assert (dead["receiver"], dead["result"]) == ("r1", "the receiver is not configured any more")
        assert "event=notification_dead" in service.stderr.read_text()
    finally:
        other.close()


def test_a_missing_topic_is_waited_for(room, receiver, service):
    room.configure(webhook(receiver))
    subprocess.run([ROOT / "build" / "modelwatch", "init", "--config", room.path], check=True, stdout=subprocess.DEVNULL)
    room.prefix += "later"
    room.configure(webhook(receiver))
    started = service("alerts", "--config", room.path).ready()
    eventually(lambda: any(f"waiting: topic {room.prefix}." in line and "run modelwatch init" in line
                           for line in started.status), what="the status")
    subprocess.run([ROOT / "build" / "modelwatch", "init", "--config", room.path], check=True, stdout=subprocess.DEVNULL)
    room.find()
    receiver.wait(1, timeout=15)


def test_tls_believes_the_configured_certificates_only(room, tmp_path):
    for name in ("right", "wrong"):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=receiver",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", tmp_path / f"{name}.key",
                        "-out", tmp_path / f"{name}.pem"], check=True, stderr=subprocess.DEVNULL)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "right.pem", tmp_path / "right.key")
    trusted, distrusted = Receiver(tls), Receiver(tls)
    try:
        service = room.configure(webhook(trusted, "ca: right.pem"), webhook(distrusted, "ca: wrong.pem")).start()
        room.find()
        trusted.wait(1)
        eventually(lambda: any("receiver r1: " in line and "certificate" in line for line in service.status))
        assert distrusted.requests == []
    finally:
        trusted.close()
        distrusted.close()


@pytest.fixture
def alertmanager(tmp_path):
    port = free_port()
    (tmp_path / "am.yaml").write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    with open(tmp_path / "am.log", "wb") as log:
        process = subprocess.Popen(["prometheus-alertmanager", f"--config.file={tmp_path / 'am.yaml'}",
                                    f"--storage.path={tmp_path / 'am'}", f"--web.listen-address=127.0.0.1:{port}",
                                    "--cluster.listen-address="], stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"

    def answers():
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"{url}/-/ready").status == 200

    try:
        eventually(answers, 20, "the Alertmanager")
        yield url
    finally:
        process.kill()
        process.wait()


def test_an_alertmanager_has_the_alert_until_it_is_resolved(room, alertmanager):
    def active():
        with urllib.request.urlopen(f"{alertmanager}/api/v2/alerts") as answer:
            return json.load(answer)

    room.configure(f"alertmanager_configs: [{{url: '{alertmanager}'}}]").start()
    room.find()
    alert, = eventually(active, what="the alert")
    assert alert["labels"]["model"] == "fraud" and alert["labels"]["alertname"] == "ModelLatency"
    assert alert["status"]["state"] == "active" and "p99 ratio" in alert["annotations"]["summary"]
    room.find(verdict="ok")
    eventually(lambda: active() == [], what="the end of the alert")
