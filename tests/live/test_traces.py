"""Recorded events through the live chain: ingest's windows are the oracle's, findings are those of replay, byte for byte;
and what is known of two of the traces is found.

TRACES=all plays all of them; by default three, for they take their time.
"""
import json
import os
import subprocess

import oracle
import pytest
from chain import DATA, MODELWATCH, RECORDED, Chain, check_same, traces
from test_windows import CONFIG

DAY = 86_400_000
PLAYED = ("predictions/*/events.jsonl.zst", "latency/vmnoise_*/events.jsonl.zst", "latency/llmperf_*/events.jsonl.zst")
if os.environ.get("TRACES") != "all":
    PLAYED = ("predictions/bike_faults/events.jsonl.zst", "latency/vmnoise_rw_regressed/events.jsonl.zst",
              "latency/llmperf_7b/events.jsonl.zst")


@pytest.mark.parametrize("trace", traces(*PLAYED))
def test_live_and_replay_agree(servers, service, tmp_path, trace):
    settings = oracle.Settings(pointers=RECORDED, max_age=None)
    chain = Chain(servers, service, tmp_path, settings, topic_format="recorded",
                  formats="{recorded: {class: /predicted_class}}", time="{max_age: off}")
    chain.start("ingest", "detectors", "console")
    chain.play(trace)
    log = chain.settle(timeout=120)
    assert sum(map(len, log.values())) == len(oracle.lines(trace))
    folds = chain.check_windows(log)
    chain.check_invariant(log, folds)
    check_same(chain.findings(), chain.replayed_findings(log), "findings of the live chain against those of replay")


def replay(tmp_path, trace):
    config = tmp_path / "modelwatch.yaml"
    config.write_text(CONFIG)
    done = subprocess.run([MODELWATCH, "replay", "--config", config, "--verdicts", trace], check=True, stdout=subprocess.PIPE)
    return [json.loads(line) for line in done.stdout.splitlines()]


def of_latency(records, kind):
    return [r for r in records if r["kind"] == kind and r["signal"] == "latency" and r["against"] in ("production", "canary")]


@pytest.mark.skipif(not DATA.exists(), reason=f"there are no recorded events in {DATA}")
def test_a_slower_canary_is_found_within_ten_days(tmp_path):
    trace = DATA / "latency" / "vmnoise_rw_regressed" / "events.jsonl.zst"
    first = json.loads(oracle.lines(trace)[0][2])["ts"]
    alarms = [f for f in of_latency(replay(tmp_path, trace), "finding") if f["verdict"] == "alarm"]
    assert alarms and alarms[0]["role"] == "canary" and alarms[0]["against"] == "production"
    assert first < alarms[0]["ts"] <= first + 10 * DAY, f"{(alarms[0]['ts'] - first) / DAY:.1f} days"


@pytest.mark.skipif(not DATA.exists(), reason=f"there are no recorded events in {DATA}")
def test_equal_canaries_are_never_blamed_and_end_as_ok(tmp_path):
    records = replay(tmp_path, DATA / "latency" / "vmnoise_ro_aa" / "events.jsonl.zst")
    assert not [f for f in of_latency(records, "finding") if f["verdict"] == "alarm"]
    verdict, = of_latency(records, "verdict")
    assert verdict["verdict"] == "ok", verdict
    assert verdict["n_arm"] >= 5000 and verdict["n_reference"] >= 5000, verdict
