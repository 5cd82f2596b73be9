"""The fold that tests/fault/events.py checks tens of millions with gives what the oracle gives, and notices what is not so."""
import random
import sys
from pathlib import Path

import oracle

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fault"))
import events                                               # noqa: E402


def settings():
    return oracle.Settings(tick=lambda model: 1000 if model == "fraud" else 5000, lateness=1000)


def some_messages(count):
    """Of 20 s: all models, late ones, much too late ones, and what is none."""
    chance = random.Random(1)
    bodies = [body for model in events.MODELS for body in events.bodies(model, "1", "production")]
    for offset in range(count):
        ts = 1_763_654_400_000 + offset * 20_000 // count
        sent = ts - {7: 9000, 11: 700_000, 13: 90_000_000}.get(offset % 500, 0)
        body = b',"model":"fraud", what is this' if offset % 900 == 0 else chance.choice(bodies)
        yield offset, ts + chance.randrange(5), events.event(sent, body)


def test_the_quick_fold_is_the_oracles():
    messages, marks = list(some_messages(10_000)), [(2500, 1_763_654_408_000), (6000, 1_763_654_413_500)]
    expected, found = oracle.fold(messages, marks, settings()), events.fold(messages, marks, settings())
    assert expected.late and expected.rejected.keys() == {"E_JSON", "E_LATE"}
    assert not (text := oracle.difference(found.closed_windows, expected.closed_windows)), text
    assert (found.counted, found.late, found.rejected) == (expected.counted, expected.late, expected.rejected)
    less = events.fold(messages[:-1], marks, settings())
    assert oracle.difference(less.windows, expected.windows), "one event less is not noticed"
