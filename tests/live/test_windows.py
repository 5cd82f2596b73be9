"""Windows of every recorded trace against an independent fold of it, cell by cell: counts, exact sums and bins."""
import math
import subprocess
from fractions import Fraction

import oracle
import pytest
from chain import MODELWATCH, RECORDED, traces

CONFIG = """
kafka: {brokers: "localhost:9092", topics: [{topic: ml.events, format: recorded}]}
formats: {recorded: {class: /predicted_class}}
time: {max_age: off}
receivers: [{name: nobody}]
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "modelwatch.yaml"
    path.write_text(CONFIG)
    return path


def replay(config, *args):
    done = subprocess.run([MODELWATCH, "replay", "--config", config, *map(str, args)], check=True, stdout=subprocess.PIPE)
    return done.stdout.splitlines()


def replayed_windows(config, settings, *args):
    found = {}
    for line in replay(config, "--windows", *args):
        if line.startswith(b'{"kind":"window"'):
            key, cell = oracle.window_of(line, settings)
            assert key not in found, f"{key} twice"
            found[key] = cell
    return found


@pytest.mark.parametrize("trace", traces("predictions/*/events.jsonl.zst", "latency/vmnoise_*/events.jsonl.zst",
                                         "latency/llmperf_*/events.jsonl.zst"))
def test_replay_has_the_windows_of_an_independent_fold(config, trace):
    settings = oracle.Settings(pointers=RECORDED, max_age=None)
    expected = oracle.fold(oracle.lines(trace), settings=settings)
    assert expected.counted + expected.late + sum(expected.rejected.values()) == expected.messages
    difference = oracle.difference(replayed_windows(config, settings, trace), expected.windows)
    assert not difference, difference


def test_a_window_counts_what_its_events_say(config, tmp_path):
    """Small enough to be computed by hand: the oracle's own test, too."""
    events = tmp_path / "events.jsonl"
    events.write_text("\n".join([
        '{"ts":1000,"model":"m","latency_ms":2.0000005,"status":200}',
        '{"ts":4999,"model":"m","latency_ms":2.0078125,"status":500}',
        '{"ts":2000,"model":"m","score":0.005,"predicted_class":1.0}',
        '{"ts":3000,"model":"m","score":1,"predicted_class":"1"}',
        '{"ts":3000,"model":"m","score":NaN}',
        '{"ts":5000,"model":"m","latency_ms":0}']) + "\n")
    arm = ("m", "", "production", "")                       # and the lane: there is no version
    # As a double 2.0000005 lies a little above the half; 2.0078125 is one, and goes to the even neighbour.
    assert [oracle.millionths(x) for x in (2.0000005, 2.0078125, -1.5)] == [2_000_001, 2_007_812, -1_500_000]
    expected = {
        oracle.Key(*arm, "latency", 0): oracle.Cell(2, 4_007_813, frozenset({((2.0, oracle.LATENCY[177]), 2)})),
        oracle.Key(*arm, "latency", 5000): oracle.Cell(1, 0, frozenset({((0.0, oracle.LATENCY[1]), 1)})),
        oracle.Key(*arm, "errors", 0): oracle.Cell(5, None, frozenset({(("ok",), 4), (("failed",), 1)})),
        oracle.Key(*arm, "rate", 0): oracle.Cell(5, None, frozenset()),
        oracle.Key(*arm, "score", 0): oracle.Cell(3, 1_005_000, frozenset({
            (oracle.bin_of(oracle.PROBABILITY, 0.005), 1), ((1 - 0.0001, 1.0), 1), (("NaN",), 1)})),
        oracle.Key(*arm, "class", 0): oracle.Cell(2, None, frozenset({(("1",), 2)}))}
    settings = oracle.Settings(pointers=RECORDED)
    difference = oracle.difference(oracle.fold(oracle.lines(events), settings=settings).windows, expected)
    assert not difference, f"the oracle: {difference}"
    difference = oracle.difference(replayed_windows(config, settings, events), expected)
    assert not difference, difference


def test_late_events_count_in_the_oldest_open_tick(config, tmp_path):
    events = tmp_path / "events.jsonl"
    times = [0, 1_000_000, 998_000, 997_999, 993_000, 399_999, 400_000, 990_000]
    events.write_text("".join(f'{{"ts":{ts},"model":"m","latency_ms":1}}\n' for ts in times))
    found = replayed_windows(config, oracle.Settings(), events)
    by_hand = {("latency", 0): 1, ("latency", 1_000_000): 1, ("latency", 995_000): 5,
               ("late", 995_000): 4}                        # 993 000, 990 000 and both near 10 minutes; one of these not counted
    assert {(key.signal, key.start): cell.n for key, cell in found.items()} == by_hand
    late, = (cell for key, cell in found.items() if key.signal == "late")
    assert late.sum == sum(1_000_000 - ts for ts in (993_000, 399_999, 400_000, 990_000)) * 1_000_000
    assert not (text := oracle.difference(found, oracle.fold(oracle.lines(events)).windows)), text


def test_edges_are_the_doubles_nearest_to_the_exact_ones():
    for k in range(-159, 641):                              # e is nearest to 2^(k/16): neighbours' middles lie around it
        edge = oracle.LATENCY[k + 160]
        low, high = ((Fraction(edge) + Fraction(other)) / 2 for other in
                     (math.nextafter(edge, 0), math.nextafter(edge, float("inf"))))
        assert low ** 16 < Fraction(2) ** k < high ** 16
