"""No memory, no descriptors, nowhere to write: a service ends as it says, or waits, and goes on exactly where it was."""
import os
import resource
import socket
import time

import pytest
from chain import Chain
from conftest import eventually, produce

TURN_MS_MAX = 10            # of CPU between two waits, of a service that waits; a loop that spins does not wait at all


def events(count):
    now = int(time.time() * 1000)
    return ((b"m%d" % (i % 5), b'{"ts":%d,"model":"m%d","latency_ms":%d}' % (now, i % 5, i % 50)) for i in range(count))


def turn_ms(pid, seconds):
    """Milliseconds of CPU that its main thread uses between two waits. That says the same on a busy machine: a loop
    that spins uses less of a core there, but waits no more often."""
    def counts():
        with open(f"/proc/{pid}/task/{pid}/stat") as file:
            ticks = sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))
        with open(f"/proc/{pid}/task/{pid}/status") as file:
            waits, = [int(line.split()[1]) for line in file if line.startswith("voluntary_ctxt_switches")]
        return ticks * 1000 / os.sysconf("SC_CLK_TCK"), waits
    before = counts()
    time.sleep(seconds)
    after = counts()
    return (after[0] - before[0]) / max(1, after[1] - before[1])


def check(chain):
    log = chain.settle()
    chain.check_invariant(log, chain.check_windows(log))


def test_out_of_memory_ends_ingest_with_one_line_and_nothing_is_lost(servers, service, tmp_path):
    chain = Chain(servers, service, tmp_path)
    ingest = chain.start("console", "ingest")
    produce(servers.brokers, chain.topic, events(1000))
    eventually(lambda: sum(log["counted"] for log in chain.status()["logs"]) == 1000, 20, "the first events")
    with open(f"/proc/{ingest.process.pid}/statm") as file:
        mapped = int(file.read().split()[0]) * resource.getpagesize()
    resource.prlimit(ingest.process.pid, resource.RLIMIT_AS, (mapped, resource.RLIM_INFINITY))
    # Each model is state of its own.
    produce(servers.brokers, chain.topic, ((b"m", b'{"ts":%d,"model":"%s%d","latency_ms":1}' %
                                            (time.time() * 1000, b"x" * 100, i)) for i in range(20000)))
    ingest.process.wait(60)
    said = ingest.stderr.read_text()
    print(said[-500:])
    assert (ingest.process.returncode == 1 and said.endswith("level=error event=out_of_memory action=exit\n")) or \
        ingest.process.returncode == -6, (ingest.process.returncode, said)    # librdkafka aborts by itself
    ingest._stop_listening()
    chain.start("ingest")
    check(chain)


@pytest.mark.parametrize("name", ["ingest", "console", "detectors", "alerts", "remediate"])
def test_no_descriptors_is_waited_for_and_gone_on_from(servers, service, tmp_path, name):
    chain = Chain(servers, service, tmp_path)
    chain.start(*{"console": 0, "ingest": 0, name: 0})
    produce(servers.brokers, chain.topic, events(1000))
    eventually(lambda: sum(log["counted"] for log in chain.status()["logs"]) == 1000, 20, "the first events")
    process = chain.services[name].process
    limit = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    # No number below is free; poll(2) takes no more descriptors than the limit, so that it can not be 0.
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (4, limit[1]))
    servers.kill_redis()
    servers.start_redis()
    clients = [socket.create_connection(("127.0.0.1", chain.ports[name]), 5) for _ in range(20)]
    produce(servers.brokers, chain.topic, events(1000))
    time.sleep(1)
    used = turn_ms(process.pid, 5)
    assert process.poll() is None
    assert used < TURN_MS_MAX, f"{name} used {used:.1f} ms of CPU between two waits while it had no descriptors"
    if name == "ingest":
        # STATUS needs a descriptor too, the journal does not.
        said = chain.services[name].stderr.read_text()
        assert "Too many open files" in said, said
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, limit)
    for client in clients:
        client.close()
    eventually(chain.answers, 30, "an answer of the console")
    check(chain)


def test_a_stderr_that_takes_nothing_is_no_reason_to_stop(servers, service, tmp_path):
    chain = Chain(servers, service, tmp_path)
    os.symlink("/dev/full", tmp_path / "full")
    for name in ("console", "ingest"):
        chain.services[name] = started = service(name, "--config", chain.config)
        started.stop()
        started.stderr = tmp_path / "full"
        started.check_sanitizers = lambda: None             # /dev/full can be read for ever
    chain.start("console", "ingest")
    produce(servers.brokers, chain.topic, events(1000))
    servers.kill_redis()
    time.sleep(4)                                           # long enough to be told
    servers.start_redis()
    produce(servers.brokers, chain.topic, events(1000))
    check(chain)
