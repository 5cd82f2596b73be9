"""Two processes of a service of which one advances the fold: the other stands by, and goes on when the first is gone."""
import threading
import time

from chain import deploy  # noqa: F401 (fixture)
from conftest import eventually
from test_alerts import receiver, room, webhook  # noqa: F401 (fixtures)
from test_remediate import gate, incident  # noqa: F401 (fixtures)

STANDBY = "standby: another process advances this fold"


def stands_by(service):
    return service.status and service.status[-1] == STANDBY


def roles(*services):
    """(the one that stands by, the other) once the roles are clear."""
    eventually(lambda: sum(map(bool, map(stands_by, services))) == 1, 10, "that one stands by")
    return sorted(services, key=stands_by, reverse=True)


def count(service, event):
    return service.stderr.read_text().count(f"event={event}")


class Flow:
    """Findings about one model after the other until close()."""

    def __init__(self, room):  # noqa: F811
        self.models, self._room, self._stop = [], room, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.wait(0.2):
            self._room.find(f"model{len(self.models)}")
            self.models.append(f"model{len(self.models)}")

    def close(self):
        self._stop.set()
        self._thread.join()


def told(receiver):  # noqa: F811
    return {alert["labels"]["model"] for request in list(receiver.requests) for alert in request.data["alerts"]}


def test_of_two_alerts_one_stands_by_and_goes_on_when_the_other_is_killed(room, receiver, service):  # noqa: F811
    first = room.configure(webhook(receiver)).start()
    room.find("early")
    receiver.wait(1)
    second = service("alerts", "--config", room.path, "--metrics", "127.0.0.1:0").ready()
    idle, active = roles(first, second)
    assert idle is second, "who comes later does not disturb"
    flow = Flow(room)
    time.sleep(8)                                           # longer than a token may stand still
    assert stands_by(idle) and not stands_by(active)
    assert count(active, "unwell") == count(idle, "unwell") == count(idle, "active") == 0, "they take turns"

    active.kill()
    killed = time.monotonic()
    eventually(lambda: not stands_by(idle), 10, "that the other takes over")
    after = len(flow.models)
    eventually(lambda: f"model{after}" in told(receiver), 10 - (time.monotonic() - killed), "that it tells")
    flow.close()
    eventually(lambda: told(receiver) >= {"early", *flow.models}, 10, "that all is told")
    incidents = len(flow.models) + 1
    records = room.told_all(incidents)
    sent = {record["id"] for record in records}
    assert sent <= {request.id for request in receiver.requests}
    assert len(sent) == incidents                           # each was told once
    assert count(idle, "active") == 1

    active.start()                                          # and the one that comes back stands by
    active.ready()
    assert roles(idle, active) == [active, idle]
    room.find("late")
    eventually(lambda: "late" in told(receiver), what="that the last one is told")


def test_two_idle_alerts_do_not_take_turns(room, receiver, service):  # noqa: F811
    first = room.configure(webhook(receiver)).start()
    second = service("alerts", "--config", room.path, "--metrics", "127.0.0.1:0").ready()
    idle, active = roles(first, second)
    before = idle.stderr.read_text(), active.stderr.read_text()
    time.sleep(15)
    assert stands_by(idle) and not stands_by(active)
    assert (idle.stderr.read_text(), active.stderr.read_text()) == before


def test_one_that_crashes_right_after_each_start_does_not_keep_the_fold_from_the_other(room, receiver, service):  # noqa: F811
    room.configure(webhook(receiver)).start()
    other = service("alerts", "--config", room.path, "--metrics", "127.0.0.1:0").ready()
    for n in range(10):
        other.kill()
        other.start()
        other.ready()
        time.sleep(0.5)
        room.find(f"model{n}")
    eventually(lambda: told(receiver) == {f"model{n}" for n in range(10)}, 5, "that all is told")
    assert count(other, "active") == 0


def test_of_two_remediates_one_rolls_back_and_the_other_verifies_it_when_the_first_is_killed(incident):  # noqa: F811
    first = incident.start()
    second = incident.another("--metrics", "127.0.0.1:0")
    idle, active = roles(first, second)
    incident.tell("firing")
    incident.watch.wait("done")
    active.kill()
    incident.settle()
    assert len(incident.gate.keys()) == 1 and not stands_by(idle)


def test_a_remediate_that_is_killed_during_its_call_has_it_repeated_by_the_other(incident):  # noqa: F811
    first = incident.start()
    second = incident.another("--metrics", "127.0.0.1:0")
    _, active = roles(first, second)
    incident.gate.after.clear()
    incident.tell("firing")
    assert incident.gate.arrived.wait(20)
    active.kill()
    incident.gate.open()
    incident.watch.wait("done")
    incident.settle()
    assert len(incident.gate.keys()) == 2


def test_a_frozen_remediate_that_wakes_up_does_nothing_more(incident):  # noqa: F811
    first = incident.start()
    second = incident.another("--metrics", "127.0.0.1:0")
    idle, active = roles(first, second)
    active.signal(19)                                       # SIGSTOP
    eventually(lambda: not stands_by(idle), 10, "that the other takes over")
    incident.tell("firing")
    incident.watch.wait("done")
    active.signal(18)                                       # SIGCONT
    eventually(lambda: stands_by(active), 10, "that it stands by")
    incident.settle()
    assert len(incident.gate.keys()) == 1
