"""Kinds of rounds in which Redis and Kafka are struck, not modelwatch."""
import collections
import itertools
import json
import resource
import shutil
import signal
import subprocess
from pathlib import Path

import chain as chains
from conftest import eventually
from round import RESTART, Round, World


class Rebuilt(World):
    """With less traffic, since it is counted again and again. Redis lost steps, perhaps marks too, which are in no log. So
    what was found in a life that is lost may have been found otherwise in this one: nothing is missing, and what is more
    than expected is counted."""

    SWINGS, PER_SECOND = 2, 300

    def findings(self):
        """All versions of each: a life that is lost may have had other evidence for the same."""
        found = collections.defaultdict(list)
        for _, value in self.chain.topic_records("findings"):
            found[json.loads(value)["id"]].append(value)
        return found

    def check_findings(self, found, expected):
        self.round.facts["findings with other evidence in lost lives"] += sum(len(lines) > 1 for lines in found.values())
        chains.check_same({identity: line if line in found[identity] else found[identity][-1]
                           for identity, line in expected.items() if identity in found}, expected, "findings")
        self.round.facts["findings of lost lives"] += len(found.keys() - expected.keys())


class Redis(Round):
    """Redis killed, paused, emptied, out of memory, its disk full, replaced by a replica that lags or has nothing."""

    name = "redis"
    STORM = 120

    def world(self):
        return Rebuilt(self)

    def plagues(self):
        return [self._striking(), *(self._supervising(name, service) for name, service in self.each_service())]

    def _supervising(self, name, service):
        """Without the function, whoever needs it ends and is started again, as by systemd, until somebody has installed it."""
        while True:
            if not service.running():
                code, said = service.process.returncode, service.stderr.read_text(errors="replace").rstrip().splitlines()
                assert code == 1 and any("run modelwatch init" in line for line in said[-3:]), f"{name} ended with {code}: {said[-3:]}"
                self.facts["ended for want of the function"] += 1
                service.start()
            yield RESTART

    def _striking(self):
        yield self.chance.uniform(3, 5)
        strikes = {"kill": self._kill, "kill twice": self._kill_twice, "lagging replica": self._lagging_replica,
                   "empty replica": self._empty_replica, "FLUSHALL": self._flush, "out of memory": self._out_of_memory,
                   "disk full": self._disk_full, "pause": self._pause}
        order = [*strikes, "kill", "kill", "kill", "kill twice", "lagging replica", "lagging replica"]
        while True:
            for name in self.chance.sample(order, len(order)):
                yield from strikes[name]()
                self.faults[f"redis {name}"] += 1
                yield self.chance.uniform(0.8, 3.5)

    def _kill(self):
        self.servers.kill_redis()
        yield self.chance.uniform(0, 1)
        self.servers.start_redis()

    def _kill_twice(self):
        for _ in range(2):
            yield from self._kill()
            yield self.chance.uniform(0, 0.5)

    def _lagging_replica(self):
        """It is stopped for a while, then the first is lost, and what the replica has on its disk is what there is. What was
        acknowledged meanwhile is gone."""
        port, = chains.free_ports(1)
        self.servers.redis_cli("config", "set", "port", port)
        replica = Replica(self.directory / "replica", port)
        try:
            yield self.chance.uniform(0, 1)
            replica.process.send_signal(signal.SIGSTOP)
            yield self.chance.uniform(0.2, 4)
            self.servers.kill_redis()
        finally:
            replica.close()
        self._replace_data(replica.directory)
        self.servers.start_redis()

    def _empty_replica(self):
        """Whoever puts it there has to install the function, too."""
        self.servers.kill_redis()
        self._replace_data(None)
        self.servers.start_redis()
        yield self.chance.uniform(0, 1)
        for world in self.worlds:
            world.chain.init()

    def _flush(self):
        self.servers.redis_cli("flushall")
        yield 0

    def _out_of_memory(self):
        self.servers.redis_cli("config", "set", "maxmemory", "1mb")
        yield self.chance.uniform(0.5, 4)
        self.servers.redis_cli("config", "set", "maxmemory", "0")

    def _disk_full(self):
        """Not a byte more fits into the append-only file; once Redis has noticed that, it refuses all writes."""
        pid = int((self.servers.directory / "redis" / "pid").read_text())
        size = max(path.stat().st_size for path in Path(f"/proc/{pid}/fd").iterdir() if path.resolve().suffix == ".aof")
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        eventually(lambda: "aof_last_write_status:err" in self.servers.redis_cli("info", "persistence"), 60, "that the disk is full")
        yield self.chance.uniform(1, 5)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def _pause(self):
        self.servers.pause_redis()
        yield self.chance.uniform(0.5, 12)
        self.servers.resume_redis()

    def heal(self):
        super().heal()
        self.servers.redis_cli("config", "set", "maxmemory", "0")
        pid = int((self.servers.directory / "redis" / "pid").read_text())
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        for world in self.worlds:
            world.chain.init()                              # the storm may have ended before that of an empty replica

    def _data(self):
        return self.servers.directory / "redis" / "appendonlydir"

    def _replace_data(self, directory):
        shutil.rmtree(self._data())
        if directory:
            shutil.move(directory / "appendonlydir", self._data())


class Replica:
    """A replica whose append-only file has followed until now."""

    def __init__(self, directory, port):
        self.directory = directory
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        with open(directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["redis-server", "--port", "0", "--unixsocket", directory / "redis.sock", "--dir", directory,
                 "--appendonly", "yes", "--save", "", "--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1", str(port)],
                stdout=log, stderr=log)
        eventually(self._follows, 30, "that the replica follows")

    def _follows(self):
        done = subprocess.run(["redis-cli", "-s", self.directory / "redis.sock", "info"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
        return all(word in done.stdout for word in ("master_link_status:up", "aof_rewrite_in_progress:0", "aof_rewrite_scheduled:0"))

    def close(self):
        self.process.kill()
        self.process.wait()


class Broker(Round):
    """The Kafka broker killed, stopped, paused, slow."""

    name = "broker"
    STORM = 120

    def plagues(self):
        return [self._striking()]

    def _striking(self):
        yield self.chance.uniform(2, 4)
        strikes = {"kill": self._kill, "kill again": self._kill, "stop": self._stop, "pause": self._pause, "slow": self._slow}
        for name in itertools.cycle(self.chance.sample([*strikes], len(strikes))):
            yield from strikes[name]()
            self.faults[f"broker {name.split()[0]}"] += 1
            yield self.chance.uniform(1, 4)

    def _kill(self):
        self.servers.kill_kafka()
        yield self.chance.uniform(0, 1)
        self.servers.start_kafka()

    def _stop(self):
        self.servers.stop_kafka()
        yield self.chance.uniform(0, 4)
        self.servers.start_kafka()

    def _pause(self):
        self.servers.pause_kafka()
        yield self.chance.uniform(0.5, 12)
        self.servers.resume_kafka()

    def _slow(self):
        """It works a fifth of the time."""
        for _ in range(self.chance.randint(10, 30)):
            self.servers.pause_kafka()
            yield 0.2
            self.servers.resume_kafka()
            yield 0.05
