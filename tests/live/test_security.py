"""Passwords, certificates and addresses: the right ones carry the whole chain, wrong ones are named, forbidden ones are not
called, and no secret is ever told."""
import contextlib
import itertools
import json
import random
import re
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest
from chain import MODELWATCH, SECRET, SERVICES, Chain, create_topic, free_ports, hook  # noqa: F401 (hook: a fixture)
from conftest import consume_all, eventually, produce
from test_alerts import Room

FRAUD = "[{match: {model: fraud}, canary: stable, tick: 1s}]"
numbers = itertools.count(1)


def over_tls(servers, service, directory, **sections):
    """A chain by SASL_SSL and TLS, as Redis' restricted user."""
    env, prefix = servers.env, f"secure{next(numbers)}"
    address = SimpleNamespace(brokers=env["KAFKA_SASL_SSL"], redis_url="", directory=servers.directory)
    properties = {"security.protocol": "SASL_SSL", "sasl.mechanism": env["KAFKA_SASL_MECHANISM"],
                  "sasl.username": env["KAFKA_USER"], "sasl.password_file": env["KAFKA_PASSWORD_FILE"],
                  "ssl.ca.location": env["KAFKA_CA_FILE"]}
    redis = {"url": env["REDIS_TLS_URL"], "user": env["REDIS_USER"], "password_file": env["REDIS_PASSWORD_FILE"],
             "ca": env["REDIS_CA_FILE"], "prefix": f"modelwatch:{prefix}"}
    chain = Chain(address, service, directory, prefix=prefix, kafka=f", properties: {json.dumps(properties)}",
                  redis=json.dumps(redis), create=False, **sections)
    create_topic(servers.brokers, chain.topic, 1)
    return chain


def secrets_of(servers):
    files = (servers.env[f"{name}_PASSWORD_FILE"] for name in ("KAFKA", "REDIS", "WRONG"))
    return [*(Path(file).read_text().strip() for file in files), SECRET]


def check_no_secret(servers, texts):
    """texts: {where: what was said there}"""
    for where, text in texts.items():
        assert not [secret for secret in secrets_of(servers) if secret in text], f"a secret is told in {where}"


def said_by(chain):
    """Everything that the services told anybody."""
    said = {}
    for name, one in chain.services.items():
        said[f"{name}: stderr"], said[f"{name}: STATUS"] = one.stderr.read_text(), "\n".join(one.status)
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{chain.ports[name]}/metrics") as answer:
            said[f"{name}: /metrics"] = answer.read().decode()
    return said


def command(*words):
    """(exit status, all that it printed)"""
    done = subprocess.run([MODELWATCH, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.returncode, done.stdout


# ---- what is right

def slow_production(seconds):
    """Events up to now, in which production is much slower than its stable canary."""
    chance, now = random.Random(1), int(time.time() * 1000)
    for ts in range(now - seconds * 1000, now, 25):
        canary = chance.random() < 0.25
        latency = 20 * chance.lognormvariate(0, 0.3) * (1 if canary else 2)
        yield b"fraud", json.dumps({"ts": ts, "model": "fraud", "version": "1" if canary else "2", "status": 200,
                                    "role": "canary" if canary else "production", "latency_ms": latency}).encode()


def tls_connections(servers):
    """What CLIENT LIST says of those who came by Redis' TLS port."""
    address = servers.env["REDIS_TLS_URL"].removeprefix("rediss://")
    lines = servers.redis_cli("client", "list").splitlines()
    found = [dict(word.split("=", 1) for word in line.split()) for line in lines]
    return [client for client in found if client["laddr"] == address]


def test_the_whole_chain_over_tls_as_a_restricted_user(servers_tls, service, tmp_path, hook):  # noqa: F811
    chain = over_tls(
        servers_tls, service, tmp_path, models=FRAUD, time="{lateness: 1s}",
        receivers=f"[{{name: oncall, webhook_configs: [{{url: '{hook.url}', secret_file: hook.key}}]}}]",
        route="{receiver: oncall, group_wait: 0s, group_interval: 1s}")
    init = command("init", "--config", chain.config)
    assert init[0] == 0, init
    chain.start(*SERVICES)
    count = produce(servers_tls.env["KAFKA_SASL_SSL"], chain.topic, slow_production(120), **servers_tls.sasl_ssl())
    eventually(lambda: hook.alerts("firing"), 45, "the notification")
    assert hook.forged == 0
    eventually(lambda: sum(c["counted"] for c in chain.counters().values()) == count, 20, "that all events are counted")
    alert, = (a for a in chain.ask("alerts") if a["alertname"] == "ModelLatency" and a["labels"]["role"] == "production")
    assert alert["id"] in hook.alerts("firing")

    clients = tls_connections(servers_tls)
    assert len(clients) >= len(SERVICES) and {client["user"] for client in clients} == {"modelwatch"}, clients

    check = command("check", chain.config)
    assert check[0] == 0, check
    topics = {name: str(consume_all(servers_tls.brokers, f"{chain.prefix}.{name}"))
              for name in ("findings", "alerts", "notifications", "state")}
    said = said_by(chain)
    assert len(said) == 3 * len(SERVICES), said.keys()
    check_no_secret(servers_tls, {**said, **topics, "init": init[1], "check": check[1],
                                  "status": json.dumps(chain.status())})
    for name in reversed(SERVICES):
        assert chain.services[name].stop() == 0
    assert tls_connections(servers_tls) == []


# ---- what is wrong

WRONG = {   # what is wrong: how a service names the cause
    "kafka password": ("KAFKA_PASSWORD_FILE", r"kafka refuses our login.*sasl\.password.*authentication"),
    "kafka ca": ("KAFKA_CA_FILE", r"kafka and we do not agree on TLS.*ssl\.ca\.location.*certificate verify failed"),
    "redis password": ("REDIS_PASSWORD_FILE", r"redis at \S+: WRONGPASS.*password_file"),
    "redis ca": ("REDIS_CA_FILE", r"redis at \S+: its certificate is not believed.*set ca"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named_and_not_tried_in_a_frenzy(servers_tls, service, tmp_path, what):
    right, words = WRONG[what]
    section, kind = what.split()
    chain = over_tls(servers_tls, service, tmp_path)
    chain.init()
    lines = chain.config.read_text().splitlines()
    chain.config.write_text("\n".join(
        line.replace(servers_tls.env[right], servers_tls.env[f"WRONG_{kind.upper()}_FILE"])
        if line.startswith(section) else line for line in lines))
    begin = time.monotonic()
    names = [name for name in SERVICES if (section, name) != ("kafka", "console")]      # it has no Kafka
    chain.services = {name: service(name, "--config", chain.config) for name in names}

    def silent():
        """Services that have not named the cause, as an end with status 1 or as their STATUS."""
        found = {}
        for name, one in chain.services.items():
            ended = not one.running()
            told = one.stderr.read_text() if ended else "\n".join(one.status)
            if not re.search(words, told, re.I) or ended and one.process.returncode != 1:
                found[name] = (one.process.returncode, told)
        return found

    eventually(lambda: not silent() or time.monotonic() - begin > 15, 20, "that all have named the cause")
    assert silent() == {}
    while any(one.running() for one in chain.services.values()) and time.monotonic() - begin < 10:
        time.sleep(0.1)
    for name, one in chain.services.items():
        lines = one.stderr.read_text().splitlines()
        assert len(lines) < 30, (name, lines[:40])
    status, text = command("init", "--wait", "5s", "--config", chain.config)
    assert status == 1 and re.search(words, text, re.I), text
    status, check = command("check", chain.config)
    assert status == 0, check
    check_no_secret(servers_tls, {**said_by(chain), "init": text, "check": check})


INLINE = "a-secret-that-stands-in-the-configuration"


@pytest.mark.parametrize("wrong", [
    f"redis: 'redis://modelwatch:{INLINE}@127.0.0.1:6379'",
    f"redis: {{url: 'redis://127.0.0.1', password: {INLINE}}}",
    f"kafka: {{brokers: b, topics: [t], properties: {{sasl.password: {INLINE}}}}}",
    f"kafka: {{brokers: b, topics: [t], properties: {{ssl.key.password: {INLINE}}}}}",
    f"receivers: [{{name: r, webhook_configs: [{{url: 'http://u:{INLINE}@127.0.0.1/'}}]}}]",
    f"receivers: [{{name: r, webhook_configs: [{{url: 'http://127.0.0.1/', secret: {INLINE}}}]}}]",
    f"receivers: [{{name: r, webhook_configs: [{{url: 'http://127.0.0.1/', bearer_token: {INLINE}}}]}}]",
])
def test_a_secret_in_the_configuration_is_a_mistake_that_is_not_repeated(tmp_path, service, wrong):
    sections = {"kafka": "{brokers: b, topics: [t]}", "receivers": "[{name: nobody}]"}
    sections.pop(wrong.split(":")[0], None)
    config = tmp_path / "modelwatch.yaml"
    config.write_text("".join(f"{name}: {text}\n" for name, text in sections.items()) + wrong + "\n")
    status, text = command("check", config)
    assert status == 2 and re.search(r"modelwatch\.yaml:\d+:\d+: ", text), text
    assert INLINE not in text
    one = service("ingest", "--config", config)
    eventually(lambda: not one.running(), 5, "the end of ingest")
    assert one.process.returncode == 78 and INLINE not in one.stderr.read_text()


# ---- where calls may go

class Ear:
    """Listens on loopback, and knows whether anybody ever connected: the kernel keeps those who did."""

    def __init__(self):
        port, = free_ports(1)
        self.port, self._sockets = port, [socket.create_server(("127.0.0.1", port))]
        with contextlib.suppress(OSError):                  # a machine may have no IPv6
            self._sockets.append(socket.create_server(("::1", port), family=socket.AF_INET6))
        for s in self._sockets:
            s.setblocking(False)

    def heard(self):
        count = 0
        for s in self._sockets:
            with contextlib.suppress(BlockingIOError):
                while True:
                    s.accept()[0].close()
                    count += 1
        return count

    def close(self):
        for s in self._sockets:
            s.close()


@pytest.fixture
def ear():
    made = Ear()
    yield made
    made.close()


@pytest.fixture
def room(servers_tls, service, tmp_path):
    return Room(servers_tls, service, tmp_path)


def pending(room):
    """Notifications that wait, as Redis has them, by receiver."""
    found = {}
    command = ["redis-cli", "-s", room.servers.directory / "redis.sock"]
    for key in room.servers.redis_cli("keys", f"{room.prefix}:*").splitlines():
        if room.servers.redis_cli("type", key) == "hash":
            values = subprocess.run([*command, "hvals", key], check=True, stdout=subprocess.PIPE).stdout
            for value in values.split(b"\n"):               # some hashes hold more than texts
                if value.startswith(b'{"kind":"notification"') and (record := json.loads(value))["state"] == "pending":
                    found[record["receiver"]] = record
    return found


HOSTS = ("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0", "[::1]",
         "[::ffff:127.0.0.1]", "[::]")


def test_a_private_address_that_is_not_allowed_is_never_connected_to(room, ear):
    room.configure(*(f"webhook_configs: [{{url: 'http://{host}:{ear.port}/hook'}}]" for host in HOSTS))
    allowed = room.path.read_text()
    room.path.write_text(allowed.replace("allow: [127.0.0.0/8]", "allow: []"))
    service = room.start()
    room.find()
    waiting = eventually(lambda: len(found := {name: n for name, n in pending(room).items() if n["tries"]}) == len(HOSTS)
                         and found, 20, "that every notification was tried")
    for n, host in enumerate(HOSTS):
        assert re.fullmatch(r"address \S+ \(.+\) of \S+ is refused.*", waiting[f"r{n}"]["result"]), (host, waiting)
    eventually(lambda: any("is refused" in line for line in service.status), what="the status")
    assert room.metrics()["modelwatch_alerts_pending"] == str(len(HOSTS))
    assert ear.heard() == 0
    # The same once it is allowed: the ear is not deaf.
    room.path.write_text(allowed)
    service.signal(1)
    eventually(lambda: "event=reloaded" in service.stderr.read_text(), what="the reload")
    room.find("credit")
    eventually(ear.heard, 10, "a connection")


def test_a_redirect_is_not_followed(room, ear, hook):  # noqa: F811
    class Elsewhere(hook.server.RequestHandlerClass):
        def do_POST(self):
            self.send_response(307)
            self.send_header("Location", f"http://127.0.0.1:{ear.port}/hook")
            self.end_headers()

    hook.server.RequestHandlerClass = Elsewhere
    room.configure(f"webhook_configs: [{{url: '{hook.url}'}}]").start()
    room.find()
    waiting = eventually(lambda: (found := pending(room)) and found["r0"]["tries"] > 1 and found["r0"], 15, "two tries")
    assert waiting["result"].startswith("answered 307"), waiting
    assert ear.heard() == 0
