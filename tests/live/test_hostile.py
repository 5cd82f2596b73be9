"""What an outsider may send, a wrong configuration, and servers that are not there: refused or waited for, never worse."""
import collections
import json
import subprocess
import time

import oracle
import pytest
from chain import MODELWATCH, SERVICES, Chain
from conftest import consume_all, eventually, produce

MIB = 1 << 20


def event(**fields):
    """A good event of now; a field that is None is left out."""
    whole = {"ts": int(time.time() * 1000), "model": "hostile", "latency_ms": 1, "status": 200, **fields}
    return json.dumps({name: value for name, value in whole.items() if value is not None}).encode()


def raw(text, **fields):
    """A good event with further text before its closing brace."""
    return event(**fields)[:-1] + b"," + (text if isinstance(text, bytes) else text.encode()) + b"}"


def ago(seconds):
    return int((time.time() - seconds) * 1000)


def corpus():
    """(what, message, its code or None): by docs/events.md, read as a stranger would."""
    yield from [
        ("empty", b"", "E_EMPTY"),
        ("a tombstone", None, "E_EMPTY"),
        ("10 MB", raw('"x":"' + "y" * 10 * MIB + '"'), "E_OVERSIZE"),
        ("a million deep", b"[" * 1_000_000 + b"]" * 1_000_000, "E_OVERSIZE"),
        ("30 000 deep", b"[" * 30_000 + b"]" * 30_000, "E_DEPTH"),
        ("9 deep", raw('"x":' + "[" * 8 + "]" * 8), "E_DEPTH"),
        ("8 deep", raw('"x":' + "[" * 7 + "]" * 7), None),
        ("brackets in a text", raw('"x":"' + "[{" * 50 + '"'), None)]
    yield from [(f"cut off after {size}", event()[:size], "E_JSON") for size in (1, 2, 10, 30, len(event()) - 1)]
    yield from [
        ("words", b"hello", "E_JSON"),
        ("two objects", event() + event(), "E_JSON"),
        ("a byte order mark", b"\xef\xbb\xbf" + event(), "E_JSON"),
        ("a leading zero", raw('"x":01'), "E_JSON"),
        ("a comma too many", raw('"x":[1,]'), "E_JSON"),
        ("a raw NUL in a text", raw(b'"x":"a\0b"'), "E_JSON"),
        ("a raw newline in a text", raw('"x":"a\nb"'), "E_JSON"),
        ("NaN where it may not be", raw('"x":NaN'), "E_JSON"),
        ("NaN as ts", event(ts=None)[:-1] + b',"ts":NaN}', "E_JSON"),
        ("NaN as status", event(status=float("nan")), "E_JSON"),
        ("NaN as score", event(score=float("nan")), None),
        ("Infinity as score", event(score=float("inf")), None),
        ("NaN as a feature", event(features={"a": float("nan"), "b": None}), None),
        ("-Infinity as a metric", event(type="metric", name="queue", value=float("-inf")), None),
        ("invalid UTF-8", raw(b'"x":"\xff"'), "E_UTF8"),
        ("overlong UTF-8", raw(b'"x":"\xc0\xaf"'), "E_UTF8"),
        ("a surrogate in UTF-8", raw(b'"x":"\xed\xa0\x80"'), "E_UTF8"),
        ("half a surrogate pair", raw(r'"x":"\ud800"'), "E_UTF8"),
        ("an escaped NUL", raw(r'"x":"\u0000"'), "E_UTF8"),
        ("a key twice", raw('"model":"other"'), "E_DUPKEY"),
        ("a key twice, further in", raw('"x":{"a":1,"a":1}'), "E_DUPKEY"),
        ("a key twice, spelt in two ways", raw(r'"x":{"a":1,"\u0061":1}'), "E_DUPKEY"),
        ("1e400", raw('"x":1e400'), "E_NUMBER"),
        ("400 digits", raw('"x":' + "9" * 400), "E_NUMBER"),
        ("1e-400", raw('"x":1e-400'), None),
        ("a registry's frame of JSON", b"\0\0\0\0\x07" + event(), None),
        ("a registry's frame of Avro", b"\0\0\0\0\x07\x02abc", "E_FRAME"),
        ("a registry's frame cut off", b"\0\0\0", "E_FRAME"),
        ("no ts", event(ts=None), "E_MISSING"),
        ("no model", event(model=None), "E_MISSING"),
        ("nothing but ts and model", event(latency_ms=None, status=None), "E_MISSING"),
        ("a label of nothing", event(type="label", label="a"), "E_MISSING"),
        ("a deployment of nothing", event(type="deploy"), "E_MISSING"),
        ("an array", b"[" + event() + b"]", "E_TYPE"),
        ("a text", b'"text"', "E_TYPE"),
        ("null", b"null", "E_TYPE"),
        ("latency as a text", event(latency_ms="1"), "E_TYPE"),
        ("model as a number", event(model=1), "E_TYPE"),
        ("ts as a boolean", event(ts=True), "E_TYPE"),
        ("ts with a fraction", event(ts=ago(0) + 0.5), "E_TYPE"),
        ("ts as words", event(ts="yesterday"), "E_TYPE"),
        ("features as an array", event(features=[1]), "E_TYPE"),
        ("a feature as an object", event(features={"a": {}}), "E_TYPE"),
        ("class as an array", event(**{"class": []}), "E_TYPE"),
        ("score as a text", event(score="0.5"), "E_TYPE"),
        ("an unknown type", event(type="anything"), "E_ENUM"),
        ("an unknown role", event(role="shadow"), "E_ENUM"),
        ("an unknown status", event(status="fine"), "E_ENUM"),
        ("a name with a newline", event(model="a\nPRIORITY=0"), "E_NAME"),
        ("a name with a blank", event(version="a b"), "E_NAME"),
        ("a name with a letter beyond ASCII", event(segment="\u00e4"), "E_NAME"),
        ("a name of 129", event(model="m" * 129), "E_NAME"),
        ("a name of nothing", event(model=""), "E_NAME"),
        ("a name with braces", event(model="{x}"), "E_NAME"),
        ("a class with an escape", event(**{"class": "\u001b[31m"}), "E_NAME"),
        ("a class with a C1 control", event(**{"class": "\u0085"}), "E_NAME"),
        ("a path as a name", event(model="../../etc/passwd"), None),
        ("percents as a name of a class", event(**{"class": "%s%n"}), None),
        ("a latency above 1e12", event(latency_ms=1.1e12), "E_RANGE"),
        ("a probability of 1.5", event(score=1.5), "E_RANGE"),
        ("status 1000", event(status=1000), "E_RANGE"),
        ("ts before 1970", event(ts=-1), "E_RANGE"),
        ("ts beyond 9999", event(ts=10 ** 16), "E_RANGE"),
        ("ts beyond 64 bits", event(ts=2 ** 64), "E_NUMBER"),
        ("a latency of NaN", event(latency_ms=float("nan")), "E_NONFINITE"),
        ("a latency below 0", event(latency_ms=-0.5), "E_LATENCY_NEG"),
        ("ts in seconds", event(ts=int(time.time())), "E_LATE"),
        ("two days old", event(ts=ago(2 * 86400)), "E_LATE"),
        ("ten minutes from now", event(ts=ago(-600)), "E_FUTURE"),
        ("512 features", event(features={f"f{i}": i for i in range(512)}), None),
        ("513 features", event(features={f"f{i}": i for i in range(513)}), "E_CARD_FEATURE"),
        ("wrong in three ways", event(ts="yesterday", role="shadow", model="a b"), "E_TYPE"),
        ("twice and missing", b'{"a":1,"a":2}', "E_DUPKEY")]
    yield from [(f"version {n} of one model", event(model="versions", version=f"v{n}"), None) for n in range(16)]
    yield ("a version too many", event(model="versions", version="v16"), "E_CARD_VERSION")
    yield from [(f"class {n} of one model", event(model="classes", **{"class": f"c{n}"}), None) for n in range(300)]


HEADERS = {"code", "stage", "detail", "byte", "topic", "partition", "offset", "append", "fingerprint", "service"}


def check_letter(letter, message, partition, offset, code):
    headers = dict(letter[4])
    assert headers.keys() >= HEADERS and headers["code"].decode() == code
    assert headers["detail"] and (int(headers["partition"]), int(headers["offset"])) == (partition, offset)
    assert (letter[3] or b"") == (b"" if code == "E_OVERSIZE" else message or b""), "the message, unchanged"


def test_each_hostile_message_has_its_code_and_is_a_dead_letter(servers, service, tmp_path):
    chain = Chain(servers, service, tmp_path, partitions=1)
    chain.start("ingest", "console")
    cases = []
    for what, message, code in corpus():
        cases += [(what, message, code), ("a good one between", event(model="good", latency_ms=2), None)]
    produce(servers.brokers, chain.topic, ((b"hostile", message) for _, message, _ in cases))
    log = chain.settle()
    folds = chain.check_windows(log)
    fold = folds[0]
    told = {what: fold.outcomes.get(offset) for offset, (what, _, _) in enumerate(cases)}
    assert told == {what: code for what, _, code in cases}, "the oracle's own reading"
    letters = {int(dict(letter[4])["offset"]): letter for letter in consume_all(servers.brokers, f"{chain.prefix}.deadletter")}
    codes = {offset: dict(letter[4])["code"].decode() for offset, letter in letters.items()}
    wrong = [(what, code, codes.get(offset)) for offset, (what, _, code) in enumerate(cases) if codes.get(offset) != code]
    assert not wrong, f"(what, expected, found): {wrong}"
    for offset, (_, message, code) in enumerate(cases):
        if code:
            check_letter(letters[offset], message, 0, offset, code)
    chain.check_invariant(log, folds)
    groups = chain.ask("deadletter", "list")
    assert sum(group["total"] for group in groups) == sum(1 for _, _, code in cases if code)
    assert chain.services["ingest"].process.returncode == 0 # settle() has stopped it: it had not died


def peak_rss(process):
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024


def test_a_hundred_thousand_names_cost_neither_memory_nor_a_count(servers, service, tmp_path):
    chain = Chain(servers, service, tmp_path, oracle.Settings(configured=lambda model: model == "good"), partitions=1,
                  models="[{match: {model: good}}]")
    chain.start("ingest", "console")

    def messages():
        for n in range(100_000):
            yield b"k", event(model=f"attack-{n}", version=f"{n}", segment=f"s{n}", **{"class": f"c{n}"})
            if n % 10 == 0:
                yield b"k", event(model="good", segment=f"s{n % 1000}")

    produce(servers.brokers, chain.topic, messages())
    ingest = chain.services["ingest"]
    eventually(lambda: chain.counters().get(0, {}).get("offset") == 110_000, 60, "that all is folded")
    memory = peak_rss(ingest.process)
    log = chain.settle()
    folds = chain.check_windows(log, ("good", "attack-0", "attack-500", "attack-999"))
    assert folds[0].rejected["E_CARD_MODEL"] == 99_000
    chain.check_invariant(log, folds)
    print(f"ingest at its peak: {memory / MIB:.0f} MiB")
    assert memory < 200 * MIB, f"{memory / MIB:.0f} MiB"
    assert 100 <= len(consume_all(servers.brokers, f"{chain.prefix}.deadletter")) < 99_000 / 10


WRONG = """kafka: {brokers: "", topics: [a, {topic: "b c", format: nosuch}], properties: {sasl.password: letmein}}
redis: http://x
false_alarms: 1 per 30 dayz
time: {lateness: 2 s, max_late: -1m, tardiness: 3s}
models:
  - match: {model: "fraud*"}
    tolerat: {}
    tick: 7s
  - {tick: 1s}
  - {tick: 1s}
receivers: [{name: a}, {name: a}, {webhook_configs: [{url: "ftp://x"}]}]
route: {receiver: b}
policies: [{matchers: ['x'], target: t, mode: aut}]
"""
WHERE = """1:18: brokers: found ""|1:42: topic: found "b c"|1:57: format: "nosuch"|1:80: sasl.password: |2:8: redis: found "http://x"
3:15: false_alarms: found "1 per 30 dayz"|4:18: lateness: found "2 s"|4:33: max_late: found "-1m"|4:38: tardiness: no such key
7:5: tolerat: no such key in models[0]; did you mean 'tolerate'?|8:11: tick: found "7s"|10:5: models[2]: never used
11:31: name: "a" |11:35: name: missing|url: found "ftp://x"|12:19: receiver: "b"|13:24: matchers: |13:38: target: "t" |mode: found "aut"
""".replace("\n", "|").strip("|").split("|")


def test_a_wrong_configuration_is_told_whole_and_nothing_starts_with_it(service, tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(WRONG)
    done = subprocess.run([MODELWATCH, "check", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 2
    told = done.stdout.splitlines()
    missing = [where for where in WHERE if not any(where in line for line in told)]
    assert not missing and len(told) == len(WHERE) + 1, f"not told: {missing}\n{done.stdout}"
    assert all(line.startswith(f"{path}:") for line in told[:-1])
    assert "letmein" not in done.stdout, "a secret was repeated"
    for name in SERVICES:
        started = service(name, "--config", path)
        assert started.process.wait(10) == 78, name
        assert "4:38: tardiness" in started.stderr.read_text()


# ---- servers that are not there

@pytest.mark.parametrize("absent", ["kafka", "redis"])
def test_servers_that_are_absent_at_the_start_are_waited_for(servers, service, tmp_path, absent):
    chain = Chain(servers, service, tmp_path, oracle.Settings(tick=1000, lateness=1000), models="[{tick: 1s}]",
                  time="{lateness: 1s}")
    getattr(servers, f"stop_{absent}")()
    chain.start(*SERVICES)                                  # READY is about the service, not about its servers
    waiting = [name for name in SERVICES if not (absent == "kafka" and name == "console")]
    for name in waiting:
        eventually(lambda: [line for line in chain.services[name].status if "wait" in line and absent in line.lower()], 15,
                   f"that {name} says it waits for {absent}; it said {chain.services[name].status}")
    assert all(s.running() for s in chain.services.values())
    getattr(servers, f"start_{absent}")()
    produce(servers.brokers, chain.topic, ((b"m", event(model="m")) for _ in range(100)))
    log = chain.settle()
    chain.check_invariant(log, chain.check_windows(log))
    assert all(s.running() for name, s in chain.services.items() if name != "ingest")


@pytest.mark.parametrize("absent", ["kafka", "redis"])
def test_servers_that_go_away_for_five_seconds_lose_nothing(servers, service, tmp_path, absent):
    chain = Chain(servers, service, tmp_path, oracle.Settings(tick=1000, lateness=1000), models="[{tick: 1s}]",
                  time="{lateness: 1s}")
    chain.start(*SERVICES)
    for part in range(8):
        if part == 3:
            getattr(servers, f"stop_{absent}")()
            before = {name: len(s.status) for name, s in chain.services.items()}
            time.sleep(5)
            for name in ("ingest", *(("detectors", "console") if absent == "redis" else ())):
                said = chain.services[name].status[before[name]:]
                assert any("wait" in line and absent in line.lower() for line in said), (name, said)
            getattr(servers, f"start_{absent}")()
        produce(servers.brokers, chain.topic, ((m.encode(), event(model=m)) for m in ("a", "b", "c", "d") * 100))
        time.sleep(0.3)
    log = chain.settle()
    assert sum(map(len, log.values())) >= 3200
    chain.check_invariant(log, chain.check_windows(log))
    assert all(s.running() for name, s in chain.services.items() if name != "ingest")
    logged = collections.Counter(name for name, s in chain.services.items() for _ in s.stderr.read_text().splitlines())
    assert all(count < 60 for count in logged.values()), logged
