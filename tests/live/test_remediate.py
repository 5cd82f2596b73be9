"""modelwatch-remediate against real servers and the demo's deployment API: alerts are put into its topic by hand, it is
killed at the worst moments, and a rollback happens once."""
import contextlib
import itertools
import json
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from chain import Deploy, deploy  # noqa: F401 (fixture)
from confluent_kafka import Consumer, TopicPartition
from conftest import ROOT, eventually, produce

numbers = itertools.count(1)


class Gate:
    """Stands in front of the deployment API and remembers (method, Idempotency-Key) of every request. A POST waits for
    `before` until it reaches the API, and its answer for `after`."""

    def __init__(self, url):
        self.calls, self.arrived = [], threading.Event()
        self.before, self.after = threading.Event(), threading.Event()
        self.before.set()
        self.after.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.calls.append(("POST", self.headers["Idempotency-Key"]))
                if not outer.before.is_set():
                    outer.arrived.set()
                outer.before.wait(60)
                answer = self.forward(body)
                outer.arrived.set()
                outer.after.wait(60)
                self.answer(answer)

            def do_GET(self):
                outer.calls.append(("GET", None))
                self.answer(self.forward(None))

            def forward(self, body):
                request = urllib.request.Request(url + self.path, body, method=self.command)
                if key := self.headers["Idempotency-Key"]:
                    request.add_header("Idempotency-Key", key)
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return answer.read()

            def answer(self, body):
                with contextlib.suppress(OSError):          # who was killed does not listen
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_): pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def keys(self):
        """Of the rollbacks that were asked for, in order."""
        return [key for method, key in list(self.calls) if method == "POST"]

    def open(self):
        self.before.set()
        self.after.set()

    def close(self):
        self.open()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def gate(deploy):  # noqa: F811
    made = Gate(deploy.url)
    yield made
    made.close()


class Watch:
    """Reads the topic of actions as it grows, with little delay."""

    def __init__(self, brokers, topic):
        self.records = []
        self._consumer = Consumer({"bootstrap.servers": brokers, "group.id": "watch", "enable.auto.commit": False,
                                   "fetch.wait.max.ms": 5})
        partitions = self._consumer.list_topics(topic, 10).topics[topic].partitions
        self._consumer.assign([TopicPartition(topic, p, 0) for p in partitions])

    def _read(self):
        while (message := self._consumer.poll(0.005)) is not None:
            if message.error() is None and (record := json.loads(message.value())) not in self.records:
                self.records.append(record)

    def wait(self, state, timeout=20):
        """The first record in this state."""
        def found():
            self._read()
            return next((r for r in self.records if r["state"] == state), None)

        return eventually(found, timeout, f"an action that is {state}, among {self.states()},")

    def states(self):
        return [record["state"] for record in self.records]

    def close(self):
        self._consumer.close()


class Incident:
    """An alert that a policy answers by a rollback of `fraud`, and the service that does it."""

    def __init__(self, servers, service, directory, deploy, gate):  # noqa: F811
        self.servers, self.gate, self.deploy = servers, gate, deploy
        self._service, self.prefix = service, f"remediate{next(numbers)}"
        self.path = directory / "modelwatch.yaml"
        self.id, self.starts_at = f"a-{next(numbers):032x}", int(time.time() * 1000)
        self.watch = None
        deploy.release("fraud", production="7")
        deploy.release("fraud", production="8-slow")

    def start(self, idempotent=True):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        url = f"{self.gate.url}/models/fraud"
        self.path.write_text(f"""
kafka: {{brokers: '{self.servers.brokers}', topics: [{self.prefix}-events], prefix: {self.prefix}}}
redis: {{url: '{self.servers.redis_url}', prefix: {self.prefix}}}
http: {{allow: [127.0.0.0/8]}}
listen: {{remediate: '127.0.0.1:{port}'}}
receivers: [{{name: nobody}}]
targets:
  - name: fraud
    http: {{rollback: {{url: '{url}/rollback', timeout: 30s}}, status: {{url: '{url}', converged: /converged}},
           idempotent: {str(idempotent).lower()}}}
policies:
  - {{matchers: ['alertname="ModelLatency"'], mode: auto, target: fraud, ladder: [rollback, page], verify_hold: 1s,
     verify_timeout: 60s}}
""")
        subprocess.run([ROOT / "build" / "modelwatch", "init", "--config", self.path], check=True,
                       stdout=subprocess.DEVNULL)
        self.watch = Watch(self.servers.brokers, f"{self.prefix}.actions")
        return self.another()

    def another(self, *options):
        return self._service("remediate", "--config", self.path, *options).ready()

    def tell(self, state, reason=""):
        """Puts the alert into its topic."""
        now = int(time.time() * 1000)
        alert = {"kind": "alert", "id": self.id, "state": state, "alertname": "ModelLatency",
                 "labels": {"alertname": "ModelLatency", "model": "fraud", "role": "production", "version": "8-slow"},
                 "annotations": {"summary": "p99 is 1.6 times the canary's"}, "starts_at": self.starts_at,
                 "ends_at": None if state == "firing" else now, "updated_at": now, "actionable": state == "firing",
                 "reason": reason, "replaced_by": "", "findings": []}
        produce(self.servers.brokers, f"{self.prefix}.alerts", [(self.id, json.dumps(alert))])

    def settle(self):
        """The alert ends, and the rollback is verified. It happened once, whatever was asked for how often."""
        self.tell("resolved", "ok")
        self.watch.wait("verified")
        time.sleep(2)                                       # for whoever wants to do it again
        self.watch.wait("verified")
        state = self.deploy.state("fraud")
        assert (state["production"], state["rollbacks"]) == ("7", 1), (state, self.watch.states())
        assert len(set(self.gate.keys())) == 1 and self.gate.keys()[0] == self.watch.records[0]["id"]
        assert {r["id"] for r in self.watch.records} == {self.gate.keys()[0]}
        for one in ("intent", "done", "verified"):
            assert self.watch.states().count(one) == 1, self.watch.states()


@pytest.fixture
def incident(servers, service, tmp_path, deploy, gate):  # noqa: F811
    made = Incident(servers, service, tmp_path, deploy, gate)
    yield made
    if made.watch:
        made.watch.close()


def restart(service):
    service.kill()
    service.start()
    service.ready()


# ---- killed, and started again

def test_a_rollback_happens_and_is_verified(incident):
    service = incident.start()
    incident.tell("firing")
    incident.watch.wait("done")
    incident.settle()
    assert len(incident.gate.keys()) == 1
    assert service.stop() == 0


def test_killed_right_after_intent_it_rolls_back_once(incident):
    service = incident.start()
    incident.tell("firing")
    incident.watch.wait("intent")
    restart(service)
    incident.watch.wait("done")
    incident.settle()


@pytest.mark.parametrize("delay", [0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5])
def test_killed_at_any_time_after_the_alert_it_rolls_back_once(incident, delay):
    service = incident.start()
    incident.tell("firing")
    time.sleep(delay)
    restart(service)
    incident.watch.wait("done")
    incident.settle()


def kill_during_the_call(incident, held, **target):
    """And starts it again."""
    service = incident.start(**target)
    getattr(incident.gate, held).clear()
    incident.tell("firing")
    assert incident.gate.arrived.wait(20)
    service.kill()
    incident.gate.open()
    service.start()
    service.ready()


@pytest.mark.parametrize("held", ["before", "after"])
def test_killed_during_the_call_it_calls_again_under_the_same_key(incident, held):
    kill_during_the_call(incident, held)
    incident.watch.wait("done")
    incident.settle()
    assert len(incident.gate.keys()) == 2


@pytest.mark.parametrize("held", ["before", "after"])
def test_killed_during_a_call_that_must_not_be_repeated_it_asks_a_person(incident, held):
    kill_during_the_call(incident, held, idempotent=False)
    record = incident.watch.wait("unknown")
    assert "no idempotency key" in record["result"]
    incident.watch.wait("escalated")
    time.sleep(2)                                           # for whoever wants to do it again
    assert len(incident.gate.keys()) == 1
    eventually(lambda: incident.deploy.state("fraud")["rollbacks"] == 1, what="the one rollback")


def test_killed_during_the_verification_it_goes_on_verifying(incident):
    service = incident.start()
    incident.tell("firing")
    incident.watch.wait("done")
    restart(service)
    incident.settle()
    assert len(incident.gate.keys()) == 1


def test_after_a_loss_of_redis_what_was_done_is_not_done_again(incident, servers):
    service = incident.start()
    incident.tell("firing")
    incident.watch.wait("done")
    service.kill()
    servers.redis_cli("flushall")
    service.start()
    service.ready()
    time.sleep(3)                                           # for whoever wants to do it again
    incident.settle()
    assert len(incident.gate.keys()) == 1


def test_a_reload_waits_for_the_call_under_way(incident):
    service = incident.start()
    incident.gate.after.clear()
    incident.tell("firing")
    assert incident.gate.arrived.wait(20)
    service.signal(1)
    time.sleep(1)
    assert "event=reloaded" not in service.stderr.read_text()
    incident.gate.open()
    incident.watch.wait("done")
    eventually(lambda: "event=reloaded" in service.stderr.read_text(), what="the reload")
    incident.settle()
    assert len(incident.gate.keys()) == 1


def test_a_topic_made_anew_is_a_gap_and_is_read_from_its_beginning(incident):
    """The alert that is then in it is answered, though its offset is one that was read before."""
    from confluent_kafka.admin import AdminClient
    service = incident.start()
    produce(incident.servers.brokers, f"{incident.prefix}.alerts", [(incident.id, b"{}")] * 3)
    eventually(lambda: service.stderr.read_text().count("event=record_refused") == 3, what="the records are refused")
    service.kill()
    admin, topic = AdminClient({"bootstrap.servers": incident.servers.brokers}), f"{incident.prefix}.alerts"
    admin.delete_topics([topic])[topic].result(30)
    eventually(lambda: topic not in admin.list_topics(timeout=10).topics, what="the topic is gone")
    service.start()
    service.ready()
    eventually(lambda: any(f"topic {topic}: run modelwatch init" in line for line in service.status), what="the status")
    subprocess.run([ROOT / "build" / "modelwatch", "init", "--config", incident.path], check=True,
                   stdout=subprocess.DEVNULL)
    incident.tell("firing")
    incident.watch.wait("done", timeout=30)
    assert "event=gap" in service.stderr.read_text()
    incident.settle()
