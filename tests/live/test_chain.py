"""One incident from end to end: production goes slow, the stable canary does not, and what follows is what was promised."""
import json
import os
import random
import time

import jsonschema
import oracle
import pytest
from chain import SERVICES, Chain, Fleet, deploy, hook  # noqa: F401 (fixtures)
from conftest import ROOT, consume_all, eventually, produce

SCHEMAS = ROOT / "config" / "schemas"
FRAUD = ("[{match: {model: fraud}, owner: payments, canary: stable, tick: 1s, clear_for: 4, "
         "tolerate: {latency: {p50: 10%, p99: 50%}}}, {tick: 1s}]")    # wide, so that it is soon sure that all is well


def one_incident(servers, service, tmp_path, deploy, hook, **sections):
    """A chain that rolls fraud back by itself when production gets slow."""
    settings = oracle.Settings(tick=1000, lateness=1000)
    target = (f"[{{name: fraud, http: {{rollback: {{url: '{deploy.url}/models/fraud/rollback'}}, "
              f"status: {{url: '{deploy.url}/models/fraud', converged: /converged}}}}}}]")
    policy = ("[{matchers: ['alertname=\"ModelLatency\"', 'model=\"fraud\"'], mode: auto, target: fraud, "
              "ladder: [rollback, page], verify_hold: 2s, verify_timeout: 120s}]")
    deploy.release("fraud", production="7", canary="6", canary_share=0.4)
    return Chain(servers, service, tmp_path, settings, **{
        "time": "{lateness: 1s}", "models": FRAUD, "targets": target, "policies": policy,
        "receivers": f"[{{name: oncall, webhook_configs: [{{url: '{hook.url}', secret_file: hook.key}}]}}]",
        "route": "{receiver: oncall, group_by: ['...'], group_wait: 0s, group_interval: 1s}", **sections})


def validator(name):
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    stored = {f"{other}.json": json.loads((SCHEMAS / f"{other}.json").read_text()) for other in ("finding",)}
    resolver = jsonschema.RefResolver("", schema, store=stored)
    return jsonschema.Draft202012Validator(schema, resolver=resolver)


@pytest.fixture
def fleet(servers, deploy, request):  # noqa: F811
    started = []

    def start(chain, per_second, seed):
        started.append(Fleet(servers.brokers, chain.topic, deploy, per_second, seed))
        return started[-1]

    yield start
    for each in started:
        each._stop.set()


def test_a_slow_release_is_found_told_rolled_back_and_verified(servers, service, tmp_path, deploy, hook, fleet):  # noqa: F811
    chain = one_incident(servers, service, tmp_path, deploy, hook)
    chain.start(*SERVICES)
    load = fleet(chain, 1000, seed=1)
    eventually(lambda: any(v["signal"] == "latency" and v["against"] == "canary" and v["verdict"] == "ok"
                           for m in chain.status()["models"] if m["model"] == "fraud" for v in m["verdicts"]), 60, "a verdict: ok")
    assert chain.ask("findings") == [] and chain.ask("alerts") == []
    deploy.release("fraud", production="8-slow")
    eventually(lambda: deploy.state("fraud")["rollbacks"], 60, "the rollback")
    eventually(lambda: any(a["state"] == "verified" for a in chain.ask("actions")), 120, "the verified action")
    alert, = (a for a in chain.ask("alerts") if (a["alertname"], a["labels"]["role"]) == ("ModelLatency", "production"))
    eventually(lambda: alert["id"] in hook.alerts("resolved"), 10, "that the end was told")
    load.close()
    log = chain.settle()
    folds = chain.check_windows(log)
    chain.check_invariant(log, folds)

    # The finding says who, against whom, and by how much.
    finding = min((f for f in chain.ask("findings", "--model", "fraud") if f["verdict"] == "alarm"), key=lambda f: f["ts"])
    assert (finding["version"], finding["role"], finding["signal"]) == ("8-slow", "production", "latency")
    assert alert["labels"]["version"] == "8-slow" and alert["labels"]["severity"] == "page"
    assert alert["id"] in hook.alerts("firing") and hook.forged == 0
    state = deploy.state("fraud")
    assert (state["production"], state["rollbacks"], state["rollback_calls"]) == ("7", 1, 1)
    actions = [a for a in chain.ask("actions") if a["alert"] == alert["id"]]
    assert [a["state"] for a in actions] == ["intent", "done", "verified"], actions
    assert len({a["id"] for a in actions}) == 1 and actions[0]["operation"] == "rollback"

    # Every record on every topic, and every window, is what its schema says.
    for topic, schema in (("findings", "finding"), ("alerts", "alert"), ("actions", "action"), ("notifications", "notification")):
        records = [json.loads(value) for _, value in chain.topic_records(topic)]
        assert records, topic
        for record in records:
            validator(schema).validate(record)
    windows = [json.loads(line) for line in chain.run("windows", "fraud", "--json", url=True).splitlines()]
    for record in windows[:200]:
        validator("window").validate(record)
    for _, _, _, value, _ in consume_all(servers.brokers, chain.topic)[:200]:
        validator("event").validate(json.loads(value))


@pytest.mark.skipif("RUN_LONG" not in os.environ, reason="takes minutes: RUN_LONG=1 runs it")
def test_five_million_events_are_all_accounted_for(servers, service, tmp_path):
    """RUN_LONG=N: so many million; 1 is five."""
    count = 5_000_000 if os.environ["RUN_LONG"] == "1" else int(os.environ["RUN_LONG"]) * 1_000_000
    chance, begin = random.Random(5), int(time.time() * 1000) - 600_000
    latencies = [round(20 * chance.lognormvariate(0, 0.3), 3) for _ in range(65_537)]

    def messages():
        for n in range(count):
            ts, model, role = begin + n * 600_000 // count, b"m%d" % (n % 20), b"canary" if n % 3 == 0 else b"production"
            if n % 1000 == 999:
                yield model, b'{"model":"m", what is this'
                continue
            if n % 500 == 7:
                ts -= 5000 * (n // 500 % 200)          # late, some of them by more than ten minutes
            yield model, b'{"ts":%d,"model":"%s","version":"1","role":"%s","latency_ms":%a,"status":%d}' % (
                ts, model, role, latencies[n % 65_537], 500 if n % 321 == 0 else 200)

    chain = Chain(servers, service, tmp_path)
    sent = time.monotonic()
    assert produce(servers.brokers, chain.topic, messages(), **{"queue.buffering.max.messages": 1_000_000}) == count
    chain.start("ingest", "detectors", "console")
    started = time.monotonic()
    eventually(lambda: sum(c.get("offset", 0) for c in chain.counters().values()) == count, 600, "that all is folded")
    print(f"{count} events sent in {started - sent:.0f} s, folded in {time.monotonic() - started:.1f} s")
    log = chain.settle(timeout=120)
    folds = chain.check_windows(log)
    chain.check_invariant(log, folds)
    assert sum(fold.counted + fold.late + sum(fold.rejected.values()) for fold in folds.values()) == count
    print({name: sum(getattr(f, name) for f in folds.values()) for name in ("counted", "late")},
          {code: sum(f.rejected[code] for f in folds.values()) for code in ("E_JSON",)})
