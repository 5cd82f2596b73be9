"""One incident from end to end: production goes slow, the stable canary does not, and what follows is what was promised."""
import json

import jsonschema
import oracle
import pytest
from chain import SERVICES, Chain, Fleet, deploy, hook  # noqa: F401 (fixtures)
from conftest import ROOT, consume_all, eventually

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
