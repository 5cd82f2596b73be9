"""Killed anywhere, any time: what is counted is exact, what was found is found once, told under one id, repaired once.

Each run kills its victims once, at moments that follow from a seed, while a release goes slow and is rolled back.
SEEDS="1 2 3" runs those instead of one, KILLS=10 kills each victim so many times: a campaign. A failure names its seed.
"""
import collections
import json
import os
import random
import time

import pytest
from chain import SERVICES, Chain, check_same, deploy, hook  # noqa: F401 (fixtures)
from conftest import eventually, produce
from test_chain import fleet, one_incident  # noqa: F401 (fixture)

SEEDS = [int(seed) for seed in os.environ.get("SEEDS", "20261124").split()]
KILLS = int(os.environ.get("KILLS", 1))
PER_SECOND = 2000
RELEASE_AT, LAST_KILL_AT = 7, 20                            # seconds of a run


def kill(chain, victim):
    if victim == "redis":
        chain.servers.kill_redis()
        time.sleep(0.3)
        chain.servers.start_redis()
    elif victim == "kafka":
        chain.servers.kill_kafka()
        chain.servers.start_kafka()
    elif victim == "flushall":
        chain.servers.redis_cli("flushall")
    else:
        chain.services[victim].kill()
        time.sleep(0.2)                                     # what systemd waits before it starts it again
        chain.services[victim].start()


def run_incident(chain, deploy, victims, seed, meanwhile=lambda: None):  # noqa: F811
    """Kills while the release goes slow, and calls meanwhile() when the rollback is done; returns when it is verified."""
    chance = random.Random(f"{seed} {victims}")
    plan = sorted((chance.uniform(2, LAST_KILL_AT), victim) for victim in victims * KILLS)
    begin, released = time.monotonic(), False
    print(f"seed {seed}: kills {[(round(at, 3), victim) for at, victim in plan]}")
    while plan or not released:
        now = time.monotonic() - begin
        if not released and now >= RELEASE_AT:
            deploy.release("fraud", production="8-slow")
            released = True
        elif plan and now >= plan[0][0]:
            kill(chain, plan.pop(0)[1])
        else:
            time.sleep(0.005)
    eventually(lambda: deploy.state("fraud")["rollbacks"], 90, f"seed {seed}: the rollback")
    meanwhile()
    eventually(lambda: "verified" in states_of_actions(chain), 120, f"seed {seed}: the verified action")


def states_of_actions(chain):
    return [json.loads(value)["state"] for _, value in chain.topic_records("actions")]


def ids_of(hook):  # noqa: F811
    return {identity for identity, _, _ in hook.deliveries}


def ids_sent(chain):
    records = [json.loads(value) for _, value in chain.topic_records("notifications")]
    return {record["id"] for record in records if record["state"] == "sent"}


def check_told(chain, hook):  # noqa: F811
    """Every alert was told, and each notification has one id, however often it came."""
    records = [json.loads(value) for _, value in chain.topic_records("alerts")]
    fired = {r["id"] for r in records}
    ended = {r["id"] for r in records if r["state"] == "resolved"}
    eventually(lambda: fired <= hook.alerts("firing"), 15, "that every alert was told")
    eventually(lambda: ended <= hook.alerts("resolved"), 15, "that every end was told")
    ids = collections.defaultdict(set)                      # what is told, to whom: under which ids
    for _, value in chain.topic_records("notifications"):
        record = json.loads(value)
        ids[record["receiver"], record["group_key"], *record["alerts"]].add(record["id"])
    assert all(len(found) == 1 for found in ids.values()), ids
    assert ids_of(hook) == set().union(*ids.values())
    assert hook.forged == 0


def check_repaired_once(chain, deploy):  # noqa: F811
    state = deploy.state("fraud")
    assert state["rollbacks"] == 1 and state["production"] == "7", state
    by_id = collections.defaultdict(list)
    for _, value in chain.topic_records("actions"):
        action = json.loads(value)
        by_id[action["id"]].append(action["state"])
    acted = [states for states in by_id.values() if "done" in states]
    assert len(acted) == 1 and acted[0].count("done") == 1 and "verified" in acted[0], dict(by_id)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("victims", [(*SERVICES, "redis"), ("ingest", "alerts", "remediate", "kafka")], ids=["redis", "kafka"])
def test_a_kill_loses_and_doubles_nothing(servers, service, tmp_path, deploy, hook, fleet, victims, seed):  # noqa: F811
    chain = one_incident(servers, service, tmp_path, deploy, hook)
    chain.start(*SERVICES)
    load = fleet(chain, PER_SECOND, seed)
    run_incident(chain, deploy, victims, seed)
    load.close()
    log = chain.settle(timeout=120)
    folds = chain.check_windows(log)
    chain.check_invariant(log, folds)
    check_same(chain.findings(), chain.replayed_findings(log), f"seed {seed}: findings")
    check_told(chain, hook)
    check_repaired_once(chain, deploy)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_redis_that_lost_everything_is_rebuilt_from_kafka(servers, service, tmp_path, deploy, hook, fleet, seed):  # noqa: F811
    chain = one_incident(servers, service, tmp_path, deploy, hook)
    chain.start(*SERVICES)
    load = fleet(chain, PER_SECOND, seed)

    def lose_it_again():
        """While the alert fires: what is recorded as told or done is not told or done again."""
        eventually(lambda: hook.alerts("firing") and ids_sent(chain) == ids_of(hook), 20, f"seed {seed}: the record of the notice")
        eventually(lambda: "done" in states_of_actions(chain), 20, f"seed {seed}: the record of the rollback")
        told = len(hook.deliveries)
        chain.servers.redis_cli("flushall")
        time.sleep(6)
        assert [data for _, data, _ in hook.deliveries[told:]] == []
        assert deploy.state("fraud")["rollback_calls"] == 1

    run_incident(chain, deploy, ("flushall",), seed, lose_it_again)
    load.close()
    log = chain.settle(timeout=120)
    folds = chain.check_windows(log)
    chain.check_invariant(log, folds)
    check_told(chain, hook)
    check_repaired_once(chain, deploy)


def test_partitions_that_were_idle_when_redis_lost_everything_are_seen_again(servers, service, tmp_path):
    chain = Chain(servers, service, tmp_path)
    ingest = chain.start("console", "ingest")
    eventually(lambda: any("4 partitions" in line for line in ingest.status), 10, "that ingest reads the empty topic")
    chain.servers.redis_cli("flushall")
    now = int(time.time() * 1000)
    produce(servers.brokers, chain.topic, ((b"m", b'{"ts":%d,"model":"m","latency_ms":1}' % now) for _ in range(100)))
    eventually(lambda: sum(log["counted"] for log in chain.status()["logs"]) == 100, 10, "that the console shows the log")
