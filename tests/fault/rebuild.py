"""How soon all is back after a Redis that lost everything: --count events at 1 000 a second of event time, folded, FLUSHALL.

Clocked from the FLUSHALL until ingest has folded the log to its end again; ingest's STATUS on the way is recorded. Then
every window and counter is compared with those of an independent fold. What a day of such events would take is calculated
from the rate: once from the clock, which on a busy machine tells of that machine, and once from the processor time of
ingest, which is what a core of its own could do.
"""
import os
import random
import time
from pathlib import Path

from measure import chains, load_average, measure, options, say
import events
import oracle
from conftest import eventually

PER_SECOND = 1000                                           # of event time
PROMISED_S, DAY = 900, 86_400 * PER_SECOND
SERVICES = ("console", "ingest", "detectors")
HERTZ = os.sysconf("SC_CLK_TCK")


def cpu_s(service):
    fields = Path(f"/proc/{service.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / HERTZ


def write_trace(path, count, seed):
    """Both roles of all models, in order; some are late, some are none."""
    chance, begin = random.Random(seed), int(time.time() * 1000) - count * 1000 // PER_SECOND - 10_000
    made = [body for model in events.MODELS for role in ("production", "canary") for body in events.bodies(model, "1", role)]
    with open(path, "wb", 1 << 20) as file:
        for n in range(count):
            ts, body = begin + n * 1000 // PER_SECOND, made[int(chance.random() * len(made))]
            if n % events.LATE_EVERY == 7:
                ts -= 9000
            if n % events.BAD_EVERY == 11:
                body = b',"model":"fraud", what is this'
            file.write(events.event(ts, body) + b"\n")


def folded(chain):
    """How many messages of the log are folded."""
    counters = chain.counters().values() if chain.answers() else ()
    return sum(log["offset"] - log["start"] for log in counters if log.get("offset", -1) >= 0)


def wait_for(chain, count, what):
    """(seconds, processor seconds of ingest) until all is folded."""
    ingest = chain.services["ingest"]
    begin, cpu = time.monotonic(), cpu_s(ingest)
    while (done := folded(chain)) < count:
        assert time.monotonic() - begin < 1800 and ingest.running(), f"{what}: {done} of {count}"
        time.sleep(0.1)
    return time.monotonic() - begin, cpu_s(ingest) - cpu


def run(bench, stack, options):
    chain = chains.Chain(bench.servers, bench.service, bench.directory, oracle.Settings())
    trace = bench.directory / "events.jsonl"
    write_trace(trace, options.count, options.seed)
    chain.play(trace)
    trace.unlink()
    chain.start(*SERVICES)
    first_s, first_cpu = wait_for(chain, options.count, "the first time")
    said = len(chain.services["ingest"].status)
    chain.servers.redis_cli("flushall")
    seconds, cpu = wait_for(chain, options.count, "again")
    say(f"rebuild: folded in {first_s:.1f} s ({first_cpu:.1f} of processor), again in {seconds:.1f} s ({cpu:.1f})")
    progress = [line for line in chain.services["ingest"].status[said:] if "catching up" in line]
    starts = {log["start"] for log in chain.counters().values()}
    assert starts == {0}, f"the log was not read from its beginning: {starts}"
    assert progress, "STATUS told of no progress"
    last = options.count * 1000 // PER_SECOND
    eventually(lambda: chain.detectors_are_through(range(chains.PARTITIONS)), 120, "that detectors are through")
    folded_now, cells = events.check(chain)
    assert folded_now == options.count, f"{folded_now} events in the log, {options.count} were sent"
    rate, per_core = options.count / seconds, options.count / cpu
    return {"command": f"make rebuild EVENTS={options.count}", "faults": {"redis FLUSHALL": 1}, "events": folded_now, "cells": cells,
            "hours": round(last / 3.6e6, 2), "rebuilt_s": round(seconds, 1), "cpu_s": round(cpu, 1),
            "first_s": round(first_s, 1), "per_second": str(round(rate)), "per_core_second": str(round(per_core)),
            "day_s": str(round(DAY / rate)), "day_on_one_core_s": str(round(DAY / per_core)), "progress": progress[:: max(1, len(progress) // 4)],
            "load": load_average(), "wrong": 0 if DAY / per_core <= PROMISED_S else f"a day would take {DAY / per_core:.0f} s"}


if __name__ == "__main__":
    chosen = options(__doc__, count=5_000_000)
    measure("rebuild", chosen, lambda bench, stack: run(bench, stack, chosen))
