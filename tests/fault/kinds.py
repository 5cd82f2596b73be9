"""The kinds of rounds. A new kind is one class: which worlds, which plagues (see Round in round.py)."""
import collections
import itertools
import signal
import threading
import time

import outside
import round as rounds
import test_alerts
from gap import Gap
from round import RESTART, Round, World, phase
from servers import Broker, Redis

STEP = ("store.after_load", "store.before_advance", "store.after_advance")
OUTBOX = ("outbox.before_write", "outbox.after_write", "outbox.before_drop", "outbox.after_drop")
POINTS = {"ingest": STEP, "detectors": STEP + OUTBOX,
          "alerts": STEP + OUTBOX + ("alerts.before_call", "alerts.after_call"),
          "remediate": STEP + OUTBOX + ("remediate.after_intent", "remediate.before_call", "remediate.after_call")}
OWNED = ("alerts", "remediate")                             # look for 1.5 s whether there is an owner


class Kills(Round):
    """SIGKILL at random: each service of two worlds by a schedule of its own, with systemd's 200 ms before its restart."""

    name = "kills"
    WORLDS = 2

    def plagues(self):
        return [self._killing(name, service) for name, service in self.each_service()]

    def _killing(self, name, service):
        while True:
            self.kill(name, service)
            yield RESTART
            service.start()
            yield self._life(name)

    def _life(self, name):
        """Seconds: some lives end before they have done anything, some are long enough for much."""
        if name in OWNED and self.chance.random() < 0.6:
            return self.chance.uniform(1.5, 4)
        return self.chance.uniform(0, 0.3) if self.chance.random() < 0.3 else self.chance.expovariate(1)


class Points(Round):
    """SIGKILL at each named crash point in turn, of every service of one world."""

    name = "points"
    PROGRAMS = "build/crash"
    REACH = 10                                              # seconds until a point is given up for this time

    def plagues(self):
        return [self._crashing(name, service) for name, service in self.each_service() if name in POINTS]

    def _crashing(self, name, service):
        points = list(POINTS[name])
        self.chance.shuffle(points)
        service.kill()
        for point in itertools.cycle(points):
            often = 1 if point == "store.after_load" else self.chance.randint(1, 4 if point in STEP else 2)
            service.env["MODELWATCH_CRASH"] = f"{point}:{often}"
            service.start()
            deadline = time.monotonic() + self.REACH
            while service.running() and time.monotonic() < deadline:
                yield 0.02
            if service.running():
                service.kill()
                self.facts["points not reached in time"] += 1
            else:
                assert service.process.returncode == -9, f"{name} ended with {service.process.returncode} by itself"
                self.faults[f"{name}: {point}"] += 1
            yield RESTART

    def heal(self):
        for name, service in self.each_service():
            if service.env.pop("MODELWATCH_CRASH", None):
                service.kill()
        super().heal()


class Room(World):
    """alerts and remediate alone, with much to do: findings come by hand, one incident of a model after the other."""

    SERVICES = OWNED
    RELEASES, PER_SECOND, BRIEF = 8, 0, 0

    def _load(self):
        self.done = threading.Event()
        self.incidents = dict.fromkeys(self.models, 0)
        self.waiting, self.stage = [], dict.fromkeys(self.models, "rest")
        self._thread = threading.Thread(target=self._judge, daemon=True)
        self.failure = None
        self._thread.start()
        return self

    def find(self, model, verdict):
        test_alerts.Room.find(self.chain, model, verdict)

    def _judge(self):
        """What detectors would find: alarm; ok once it was told and rolled back; and again once that is verified."""
        try:
            stage = self.stage
            while not self.done.is_set() or set(stage.values()) != {"rest"}:
                verified = self._states("verified")
                told = collections.Counter(dict(self._told()).values())
                for model in self.models:
                    stage[model] = self._advance(model, stage[model], verified, told[model])
                time.sleep(0.2)
        except Exception as failure:                        # raised by story()
            self.failure = failure

    def _told(self):
        for _, data, _ in list(self.pager.deliveries):
            yield from ((a["id"], a["labels"]["model"]) for a in data["alerts"] if a["state"] == "firing")

    def _advance(self, model, stage, verified, told):
        effects = self.deployments.effects[model]
        if stage == "rest" and not self.done.is_set():
            self.deployments.release(model, "8-slow")
            self.incidents[model] += 1
            self.find(model, "alarm")
            return "alarm"
        if stage == "alarm" and len(effects) == told == self.incidents[model]:
            self.find(model, "ok")
            return "ok"
        return "rest" if stage == "ok" and verified.issuperset(effects) else stage

    def story(self):
        self.done.set()
        self._thread.join(rounds.PATIENCE)
        assert not self._thread.is_alive(), f"an incident has no rollback, or none that is verified: {self.stage}"
        if self.failure:
            raise self.failure

    def check(self):
        self.check_acts()

    def _incidents(self):
        return self.incidents

    def close(self):
        self.done.set()
        self.pager.close()
        self.deployments.close()


class Effects(Points):
    """SIGKILL at each named crash point in turn, of alerts and remediate in four rooms."""

    name = "effects"
    WORLDS, STORM = 4, 75

    def world(self):
        return Room(self)


class Outside(Round):
    """Pager and deployment API hang, reset, answer 500, 429, garbage, late, or not after the effect; and kills at times."""

    name = "outside"
    WORLDS, STORM = 3, 75
    CHANCE = 0.45                                           # of a request to get into trouble

    def world(self):
        room = Room(self)
        for other in (room.pager, room.deployments):
            other.trouble = self._trouble
        return room

    def plagues(self):
        return [self._killing(name, service) for name, service in self.each_service()]

    def _trouble(self):
        if self.chance.random() < self.CHANCE:
            return self.chance.choice(outside.IN_VAIN + outside.TOO_LATE)

    def _killing(self, name, service):
        yield self.chance.uniform(4, 12)
        while True:
            self.kill(name, service)
            yield RESTART
            service.start()
            yield self.chance.uniform(4, 12)

    def heal(self):
        for world in self.worlds:
            for what, other in (("pager", world.pager), ("deployments", world.deployments)):
                other.trouble = lambda: None
                for trouble, count in other.troubles.items():
                    self.faults[f"{what}: {trouble}"] += count
        super().heal()


class Zombies(Round):
    """Two processes of every service; the one at work is frozen until the other has taken over, and wakes up."""

    name = "zombies"
    STORM = 100

    def world(self):
        world = World(self)
        for name in POINTS:
            world.services[f"{name}.twin"] = self.service(name, "--config", world.chain.config, "--metrics", "127.0.0.1:0")
        return world

    def plagues(self):
        return [self._freezing(name, world.services[name], world.services[f"{name}.twin"])
                for world in self.worlds for name in POINTS]

    def _freezing(self, name, *twins):
        while True:
            at_work = [service for service in twins if phase(service) == "at work"]
            victim = self.chance.choice(at_work or twins)
            if self.chance.random() < 0.2:
                self.kill(name, victim)
                yield RESTART
                victim.start()
            else:
                self.check_running(name, victim)
                victim.signal(signal.SIGSTOP)
                self.faults[f"freeze {name}"] += 1
                yield self.chance.uniform(6, 11) if name in OWNED else self.chance.uniform(0.5, 6)
                victim.signal(signal.SIGCONT)
            yield self.chance.uniform(0.5, 4)

    def heal(self):
        """The twins have to go: the oracles stop ingest, and look at one."""
        for name, service in self.each_service():
            if service.running():
                service.signal(signal.SIGCONT)
        super().heal()
        for world in self.worlds:
            for name in POINTS:
                self.facts["takeovers"] += sum(service.stderr.read_text().count("event=active")
                                               for service in (world.services[name], world.services[f"{name}.twin"]))
                world.services.pop(f"{name}.twin").kill()


KINDS = {kind.name: kind for kind in (Kills, Points, Effects, Zombies, Outside, Redis, Broker, Gap)}
