"""What systemd would make of the units, as far as that can be seen without systemd as process 1: they are sound and tight,
the services work under their system-call filter, and the watchdog bites who hangs and nobody else."""
import contextlib
import os
import shutil
import signal
import subprocess
import time

import pytest
from chain import SERVICES, Chain, Fleet, create_topic, deploy, hook  # noqa: F401 (fixtures)
from conftest import ROOT, Service, eventually, produce
from test_chain import one_incident

UNITS = ROOT / "systemd"
NAMES = [f"{n}@0-1.service" if n in ("ingest", "detectors") else f"{n}.service" for n in SERVICES]
PYTHON = "/usr/bin/python3"
EXPOSURE_MAX = 10                                           # tenths: 1.0 of 10

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"),
                                   reason="systemd-analyze is not installed (Debian package systemd)")


# ---- units

def make(*args):
    done = subprocess.run(["make", "--no-print-directory", "-C", ROOT, *args], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


@pytest.fixture
def installed(tmp_path):
    """The folder of the units after `make install` below tmp_path."""
    make("install", f"PREFIX={tmp_path}/usr", f"SYSCONFDIR={tmp_path}/etc")
    return tmp_path / "usr/lib/systemd/system"


def analyze(*args, **env):
    done = subprocess.run(["systemd-analyze", *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, **env})
    return done.returncode, done.stdout, done.stderr


def loaded(unit):
    """What systemd makes of a unit and its drop-ins: the first value of each setting."""
    _, facts, _ = analyze("verify", "--man=no", unit, SYSTEMD_LOG_LEVEL="debug")
    facts = facts[facts.index(f"-> Unit {unit.name}:"):]
    found = {}
    for line in facts.splitlines():
        name, colon, value = line.strip().partition(": ")
        if colon:
            found.setdefault(name, value)
    return found


@needs_systemd
def test_the_units_are_sound(installed):
    code, _, complaints = analyze("verify", "--man=no", *(installed / f"modelwatch-{name}" for name in NAMES),
                                  installed / "modelwatch.target", installed / "modelwatch.slice")
    assert (code, complaints) == (0, "")


@needs_systemd
@pytest.mark.parametrize("name", NAMES)
def test_what_a_unit_exposes_is_little(installed, name):
    code, table, complaints = analyze("security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE_MAX}",
                                      installed / f"modelwatch-{name}")
    assert code == 0, table + complaints


@needs_systemd
@pytest.mark.parametrize("name", NAMES)
def test_systemd_reads_out_of_a_unit_what_is_meant(installed, name):
    facts = loaded(installed / f"modelwatch-{name}")
    service = name.split("@")[0].removesuffix(".service")
    command = f"{installed.parents[2]}/bin/modelwatch-{service} --config {installed.parents[3]}/etc/modelwatch/modelwatch.yaml"
    assert facts["Command Line"] == command + (" --instance 0/1" if "@" in name else "")
    assert {key: facts[key] for key in ("Type", "Restart", "RestartSec", "WatchdogSec", "Slice", "PartOf", "DynamicUser")} == {
        "Type": "notify", "Restart": "always", "RestartSec": "200ms", "WatchdogSec": "30s", "Slice": "modelwatch.slice",
        "PartOf": "modelwatch.target (origin-file)", "DynamicUser": "yes"}


def test_what_is_installed_can_be_run_and_removed(tmp_path):
    make("install", f"DESTDIR={tmp_path}")
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {f"usr/local/bin/modelwatch-{service}" for service in SERVICES} < files and "usr/local/bin/modelwatch" in files
    for unit in tmp_path.glob("usr/local/lib/systemd/system/*.service"):
        assert "ExecStart=/usr/local/bin/" in unit.read_text() and str(tmp_path) not in unit.read_text()
    example = tmp_path / "etc/modelwatch/modelwatch.yaml.example"
    subprocess.run([tmp_path / "usr/local/bin/modelwatch", "check", example], check=True, stdout=subprocess.DEVNULL)
    configuration = example.with_name("modelwatch.yaml")
    configuration.write_text("the operator's\n")
    make("uninstall", f"DESTDIR={tmp_path}")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [configuration]


# ---- the filter

@pytest.fixture
def sandboxed(service, tmp_path):
    """Starts services as the fixture `service` does, each under the filters of its unit, in kill mode."""

    def start(name, *args, **options):
        unit = UNITS / next(f"modelwatch-{n}" for n in ("%s@.service" % name, "%s.service" % name)
                            if (UNITS / f"modelwatch-{n}").exists())
        names = tmp_path / f"{name}.filter"
        names.write_text(filter_of(unit))
        return service(name, ROOT / "tests/live/sandbox.py", names, ROOT / "build" / f"modelwatch-{name}", *args,
                       binary=PYTHON, **options)

    return start


def filter_of(unit):
    if "@." in unit.name:                                   # systemd loads instances
        unit = unit.with_name(unit.name.replace("@.", "@0-1."))
    return loaded(unit)["SystemCallFilter"]


@needs_systemd
@pytest.mark.parametrize("code,outcome", [
    ("import os; os.chroot('/')", "killed"),
    ("import os; os.chown('/dev/null', 0, 0)", "killed"),
    ("import os; os.setpriority(os.PRIO_PROCESS, 0, 1)", "killed"),
    ("import mmap; mmap.mmap(-1, 4096, prot=7)", "Operation not permitted"),
    ("import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)", "Address family not supported"),
    ("print(open('/proc/self/status').read())", "CapBnd:\t0000000000000000\n"),
    ("import socket; print(socket.socketpair())", "family=1")])
def test_the_launcher_of_these_tests_refuses_what_it_should(tmp_path, code, outcome):
    (tmp_path / "filter").write_text(filter_of(UNITS / "modelwatch-ingest@.service"))
    done = subprocess.run([PYTHON, ROOT / "tests/live/sandbox.py", tmp_path / "filter", PYTHON, "-c", code],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert (done.returncode == -signal.SIGSYS) if outcome == "killed" else (outcome in done.stdout), done.stdout


@contextlib.contextmanager
def credentials(directory, **files):
    """As LoadCredential= does it: services that are started in here find these files by their names."""
    directory.mkdir()
    for name, source in files.items():
        shutil.copy(source, directory / name.replace("_", "."))
    os.environ["CREDENTIALS_DIRECTORY"] = str(directory)
    try:
        yield
    finally:
        del os.environ["CREDENTIALS_DIRECTORY"]


def with_tls(servers, *args, **sections):
    """one_incident() whose services log in to Kafka and Redis over TLS; passwords are not where the configuration is."""
    env = servers.env
    chain = one_incident(
        servers, *args, create=False, **sections,
        redis=f"{{url: '{env['REDIS_TLS_URL']}', user: {env['REDIS_USER']}, password_file: redis.password, "
              f"ca: '{env['REDIS_CA_FILE']}', prefix: 'modelwatch:sandbox'}}",
        kafka=f", properties: {{security.protocol: SASL_SSL, sasl.mechanism: {env['KAFKA_SASL_MECHANISM']}, sasl.username: "
              f"{env['KAFKA_USER']}, sasl.password_file: kafka.password, ssl.ca.location: '{env['KAFKA_CA_FILE']}'}}")
    chain.config.write_text(chain.config.read_text().replace(f"'{servers.brokers}'", f"'{env['KAFKA_SASL_SSL']}'"))
    create_topic(servers.brokers, chain.topic)
    return chain


def judged_ok(chain):
    return any(verdict["signal"] == "latency" and verdict["against"] == "canary" and verdict["verdict"] == "ok"
               for model in chain.status()["models"] if model["model"] == "fraud" for verdict in model["verdicts"])


@needs_systemd
def test_all_services_work_under_their_filter(servers_tls, sandboxed, tmp_path, deploy, hook):  # noqa: F811
    """A slow release from its events to its verified rollback, with TLS to Kafka and Redis, and a reload."""
    chain = with_tls(servers_tls, sandboxed, tmp_path, deploy, hook)
    with credentials(tmp_path / "credentials", hook_key=tmp_path / "hook.key",
                     redis_password=servers_tls.env["REDIS_PASSWORD_FILE"],
                     kafka_password=servers_tls.env["KAFKA_PASSWORD_FILE"]):
        (tmp_path / "hook.key").unlink()
        chain.init()
        chain.start(*SERVICES)
    load = Fleet(servers_tls.brokers, chain.topic, deploy, 1000, seed=1)
    try:
        eventually(lambda: judged_ok(chain), 60, "a verdict: ok")
        deploy.release("fraud", production="8-slow")
        eventually(lambda: any(a["state"] == "verified" for a in chain.ask("actions")), 120, "the verified action")
        eventually(lambda: hook.alerts("resolved"), 20, "that the end was told")
    finally:
        load.close()
    assert hook.forged == 0 and deploy.state("fraud")["rollbacks"] == 1
    eventually(lambda: sum(log["counted"] for log in chain.status()["logs"]) == load.sent, 30, "that every event is counted")
    for name, started in chain.services.items():
        started.signal(signal.SIGHUP)
        eventually(lambda: "event=reloaded" in started.stderr.read_text(), 20, f"that {name} reloads")
    for name, started in chain.services.items():
        assert started.running() and started.stop() == 0, name


# ---- the watchdog

class Watched(Service):
    """Knows when it fed the watchdog."""

    def __init__(self, *args, **options):
        self.fed = []
        super().__init__(*args, **options)

    def _listen(self, notify, ready):
        with notify:
            while data := notify.recv(65536):
                if b"WATCHDOG=1" in data:
                    self.fed.append(time.monotonic())
                if b"READY=1" in data:
                    ready.set()

    def longest_hunger(self, begin, end):
        fed = [begin, *(at for at in self.fed if begin < at < end), end]
        return max(after - before for before, after in zip(fed, fed[1:]))


@pytest.fixture
def watched(tmp_path):
    started = []

    def start(name, *args):
        started.append(Watched(name, *args, directory=tmp_path, env={"WATCHDOG_USEC": str(WATCHDOG_S * 1_000_000)}))
        return started[-1]

    yield start
    for each in started:
        each._end(signal.SIGKILL, 10)


WATCHDOG_S = 30                                             # of systemd/modelwatch-.service.d


@pytest.mark.parametrize("server", ["redis", "kafka"])
def test_a_server_that_hangs_gets_nobody_bitten(servers, watched, tmp_path, server):
    """Redis is waited for 10 s, and by many partitions over one connection."""
    chain = Chain(servers, watched, tmp_path, partitions=6)
    chain.start(*SERVICES)
    produce_some(chain)
    eventually(lambda: sum(log["counted"] for log in chain.status()["logs"]) == 600, 30, "that events are counted")
    if server == "redis":
        produce_some(chain)                                 # there is work when it stops answering
    getattr(servers, f"pause_{server}")()
    begin = time.monotonic()
    time.sleep(WATCHDOG_S * 3 / 4)
    hunger = {name: started.longest_hunger(begin, time.monotonic()) for name, started in chain.services.items()}
    assert max(hunger.values()) < WATCHDOG_S / 2, hunger
    assert all(started.running() for started in chain.services.values())


def produce_some(chain):
    now = int(time.time() * 1000)
    produce(chain.servers.brokers, chain.topic, [
        (b"m%d" % n, b'{"ts":%d,"model":"m%d","latency_ms":5,"status":200}' % (now, n)) for n in range(600)])
