"""Redis lost everything: ingest and detectors begin with their snapshots of one cut, and read the log on from there."""
import json
import random
import time

import oracle
from chain import Chain, delete_records
from conftest import eventually, produce

REACH_S, PER_SECOND = 20, 40
PORTION_S = 5                                               # of the reach: a quarter
FIRST_S, APART_S, SECOND_S = 90, 120, 40                    # seconds of event time: what is idle between is not late after it


def events(begin_ms, seconds, seed):
    chance = random.Random(seed)
    for i in range(seconds * PER_SECOND):
        ts = begin_ms + i * 1000 // PER_SECOND
        role = "canary" if i % 3 == 0 else "production"
        event = {"type": "latency", "ts": ts, "model": "fraud", "version": role[0], "role": role, "request_id": f"{seed}-{i}",
                 "latency_ms": round(chance.lognormvariate(3, 0.4), 3), "status": 200}
        yield b"fraud", json.dumps(event).encode()


def begin(servers, service, directory):
    """The chain has folded the first part, and what its services wrote of it is in the log."""
    chain = Chain(servers, service, directory, partitions=1, time=f"{{rebuild: {REACH_S}s}}")
    chain.start("console", "ingest", "detectors")
    chain.begins_ms = int(time.time() * 1000) // 1000 * 1000 - 600_000
    for second in range(0, FIRST_S, PORTION_S):              # a step is cut once at the most, at its end
        produce(servers.brokers, chain.topic, events(chain.begins_ms + second * 1000, PORTION_S, second))
        eventually(lambda: counted(chain) == (second + PORTION_S) * PER_SECOND, 30, "that a portion is folded")
    for name in ("ingest", "detectors"):
        eventually(lambda: written(chain, name) >= FIRST_S // PORTION_S - 2, 30, f"snapshots of {name}")
    return chain


def counted(chain):
    return sum(log["counted"] for log in chain.counters().values())


def written(chain, name):
    """So many snapshots."""
    mine = f"{name}/{chain.topic}-0/".encode()
    return sum(1 for key, _ in chain.topic_records("state") if key.startswith(mine) and key.endswith(b"/0"))


def lose_all(chain):
    """Returns how far event time had come."""
    chain.services["ingest"].stop()                          # idle time would go on
    watermark_ms = chain.counters()[0]["watermark"]
    chain.servers.redis_cli("flushall")
    chain.start("ingest")
    eventually(lambda: "rebuilt" in chain.services["ingest"].stderr.read_text(), 30, "that ingest tells it")
    return watermark_ms


def check(chain):
    """All is counted once, and what closed behind the cut is there to the last cell. Returns the cut's time."""
    produce(chain.servers.brokers, chain.topic, events(chain.begins_ms + (FIRST_S + APART_S) * 1000, SECOND_S, 2))
    log = chain.settle()
    found = chain.counters()[0]
    assert (found["counted"], found["late"]) == ((FIRST_S + SECOND_S) * PER_SECOND, 0), found
    fold = chain.folds(log)[0]
    cut_ms = found["rebuilt_from"]
    expected = {key: cell for key, cell in fold.closed_windows.items() if key.start >= cut_ms}
    windows = chain.windows("fraud", cut_ms, max(key.start for key in expected) + 1)
    behind = {key: cell for key, cell in windows.items() if key.start >= cut_ms}
    assert len(expected) > 20
    assert not (text := oracle.difference(behind, expected)), text
    return cut_ms


def test_both_begin_behind_one_cut_and_read_on(servers, service, tmp_path):
    chain = begin(servers, service, tmp_path)
    before_ms = lose_all(chain)
    cut_ms = check(chain)
    assert REACH_S * 1000 <= before_ms - cut_ms <= REACH_S * 1000 * 1.5 + 10_000
    assert chain.counters()[0]["gaps"] == []
    assert chain.metrics("detectors")["modelwatch_detectors_gaps_total"] == "0"     # it did not begin anew


def test_where_the_log_is_shorter_than_the_reach_a_later_snapshot_serves(servers, service, tmp_path):
    chain = begin(servers, service, tmp_path)
    kept = FIRST_S * PER_SECOND - 12 * PER_SECOND             # records of the last twelve seconds
    delete_records(servers.brokers, chain.topic, {0: kept})
    lose_all(chain)
    eventually(lambda: chain.counters() and counted(chain) == FIRST_S * PER_SECOND, 30, "that all is counted again")
    found = chain.counters()[0]
    assert found["gaps"] == []
    assert chain.begins_ms + (FIRST_S - 13) * 1000 <= found["rebuilt_from"] <= chain.begins_ms + (FIRST_S + 10) * 1000


def test_where_the_log_has_nothing_of_it_the_newest_snapshot_and_a_gap_serve(servers, service, tmp_path):
    chain = begin(servers, service, tmp_path)
    chain.services["ingest"].stop()
    produce(servers.brokers, chain.topic, events(chain.begins_ms + (FIRST_S + APART_S) * 1000, SECOND_S, 2))
    kept = (FIRST_S + SECOND_S // 2) * PER_SECOND
    delete_records(servers.brokers, chain.topic, {0: kept})
    servers.redis_cli("flushall")
    chain.start("ingest")
    eventually(lambda: chain.counters() and chain.counters()[0]["offset"] == (FIRST_S + SECOND_S) * PER_SECOND, 30,
               "that the rest is folded")
    found = chain.counters()[0]
    (gap,) = found["gaps"]
    assert gap["to"] == kept
    assert found["counted"] == gap["from"] + (FIRST_S + SECOND_S) * PER_SECOND - kept
