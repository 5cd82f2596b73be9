#!/usr/bin/python3
"""tests/torture/trace.py: events of a release that goes bad beside a stable canary, among them what is no event."""
import json
import random

chance = random.Random(20261124)
for second in range(40):
    for i in range(20):
        bad = second > 15 and i % 2 == 0
        print(json.dumps({
            "ts": 1_760_000_000_000 + second * 1000 + i * 40, "model": "fraud", "version": "87"[i % 2],
            "role": ("production", "canary")[i % 2], "latency_ms": round(20 * chance.lognormvariate(0, 0.3) * (3 if bad else 1), 3),
            "status": 500 if bad else 200, "score": round(chance.random(), 4), "class": "yes" if chance.random() < 0.3 else "no",
            "features": {"amount": round(chance.random() * 10, 3), "country": "de"}}))
    print('{"ts":1,"model":', "\u00ff not json", '{"ts":1,"version":"1"}', sep="\n")
