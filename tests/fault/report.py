#!/usr/bin/python3
"""docs/faults.md from docs/faults.jsonl: `report.py` writes it, `report.py --check` fails where it is not what the ledger gives.

A line of the ledger is an object with kind, command, commit, wrong (0, or what was wrong) and seconds; seed, or first and
last of several; faults: their counts by name; whatever else is a number, or stands in facts, is shown as a sum. A line with
broken is a round of programs that are broken by that patch, and is right when it is wrong.
"""
import collections
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEDGER, PAGE = ROOT / "docs" / "faults.jsonl", ROOT / "docs" / "faults.md"

# What is demanded: how often, and what counts, as (kind or "", how the fault's name begins, how often it counts).
DEMANDED = (
    ("SIGKILL of a service", 5000, (("", "kill ", 1),)),
    ("Redis killed, or replaced by a replica that lags or is empty", 300,
     (("redis", "redis kill twice", 2), ("redis", "redis kill", 1), ("redis", "redis lagging", 1), ("redis", "redis empty", 1))),
    ("broker killed, stopped, paused or slow", 100, (("broker", "broker ", 1),)),
    ("crash points of alerts and remediate", 2000, (("", "alerts: ", 1), ("", "remediate: ", 1))))

KINDS = {
    "kills": "every service of two worlds is killed by a schedule of its own, and started again after 200 ms",
    "points": "every service dies at each of its named crash points in turn (`ports/crash_point.h`)",
    "effects": "alerts and remediate die at each crash point in turn, with incidents under way all the time in four rooms",
    "zombies": "two processes of each service; the one at work is frozen until the other has taken over, then wakes up",
    "redis": "Redis (append-only file, fsync every second) is killed, paused, emptied, full, out of memory, replaced",
    "broker": "the broker is killed, stopped, paused, or works a fifth of the time",
    "gap": "the log begins behind the cursor, because records were deleted",
    "outside": "pager and deployment API hang, reset, answer 500, 429, garbage, too late, or not after the effect; and kills",
    "sim": "the whole chain in one process under a seeded scheduler, with faulty ports",
    "fuzz": "every entry under a fuzzer",
    "model": "the protocol of actions, all orders",
    "soak": "hours of load",
    "recovery": "how long until a killed service is ready, and applies again",
    "rebuild": "Redis loses everything: how long until every window is back",
}

INVARIANTS = (
    "no event lost or counted twice", "no finding, no alert lost", "repeats carry the same id", "no action twice",
    "goes on by itself", "no crash")
MATRIX = (
    ("SIGKILL of any service, any time", ("kills", "kills", "kills", "kills", "kills", "kills")),
    ("SIGKILL at each named crash point", ("points", "points", "points effects", "points effects", "points effects", "points effects")),
    ("SIGSTOP and back; two owners", ("zombies",) * 6),
    ("broker killed, stopped, paused, slow", ("broker",) * 6),
    ("log begins behind the cursor", ("gap", "", "", "", "gap", "gap")),
    ("Redis killed, paused", ("redis",) * 6),
    ("Redis emptied, gone back in time", ("redis",) * 6),
    ("Redis full, its disk full", ("redis",) * 6),
    ("pager or deployment API bad", ("-", "outside", "outside", "outside", "outside", "outside")),
    ("any order of these, faulty ports", ("sim",) * 6),
)

UNCOVERED = """
- Several brokers: leader changes, unclean elections. Rounds have one broker; the Kafka of Debian's clients and one process is what a test machine carries.
- A network that is cut one way. Between services and servers there is loopback or a Unix socket; silence (SIGSTOP) and resets stand for it.
- A machine that loses power. A killed process loses what it had not written; what the kernel had not yet written is not lost here.
- The clock of the machine is not stepped; event time comes from events and the broker. Steps of clocks are for unit tests.
- Allocations that fail and descriptors that run out: `make torture`, `tests/live/test_torture.py`, not in this ledger.
- Findings after a loss of marks: idle marks are recorded in Redis alone (decision 1), so after such a loss findings of the lost life may be more than a replay gives. None may be missing; the surplus is counted (`findings of lost lives`).
""".strip()


def lines_of(ledger):
    return [json.loads(line) for line in ledger.read_text().splitlines() if line.strip()]


def seeds_of(lines):
    """Seeds as ranges: 1-5, 8."""
    found = sorted({seed for line in lines for seed in (range(line["first"], line["last"] + 1) if "first" in line
                                                        else [line["seed"]] if "seed" in line else [])})
    spans = []
    for seed in found:
        if spans and seed == spans[-1][1] + 1:
            spans[-1][1] = seed
        else:
            spans.append([seed, seed])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans) or "-"


def sums_of(lines):
    """Everything that was counted besides faults, by name."""
    found = collections.Counter()
    for line in lines:
        for name, value in {**line, **line.get("facts", {})}.items():
            if isinstance(value, int) and name not in ("seed", "first", "last", "wrong"):
                found[name] += value
    return found


def named(lines, what):
    return sum((collections.Counter(line.get(what, {})) for line in lines), collections.Counter())


def reached(lines, rules):
    """Every fault counts by the first rule that fits."""
    count = 0
    for line in lines:
        for name, often in line.get("faults", {}).items():
            weights = (weight for kind, begin, weight in rules if kind in ("", line["kind"]) and name.startswith(begin))
            count += often * next(weights, 0)
    return count


def table(head, rows):
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


def counts(counter):
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counter.items()) if count) or "-"


def by_kind(lines):
    found = collections.defaultdict(list)
    for line in lines:
        found[line["kind"]].append(line)
    return {kind: found[kind] for kind in [*KINDS, *sorted(found.keys() - KINDS.keys())] if kind in found}


def cell(kinds, right):
    if kinds in ("", "-"):
        return kinds or "not covered"
    return ", ".join(kind if kind in right else f"{kind}: no round yet" for kind in kinds.split())


def broken_rows(lines):
    for line in sorted(lines, key=lambda line: (line["broken"], line["kind"], line["seed"])):
        patch = next((ROOT / folder / f"{line['broken']}.patch" for folder in ("tests/broken", "tests/fault/broken")
                      if (ROOT / folder / f"{line['broken']}.patch").exists()), None)
        sentence = patch.read_text().split("\n")[0] if patch else ""
        caught = cleaned(line["wrong"]) if line["wrong"] else "NOT caught"
        yield f"`{line['broken']}`", sentence, f"{line['kind']}, seed {line['seed']}, {line['commit']}", caught


def cleaned(text):
    """The beginning, in one line of a table."""
    if isinstance(text, list):
        text = "; ".join(map(str, text))
    return str(text).split("\n")[0].replace("|", "/")[:160]


def page(lines):
    broken, lines = [line for line in lines if "broken" in line], [line for line in lines if "broken" not in line]
    right = {line["kind"] for line in lines if not line["wrong"]}
    demanded = [(what, f"{count:,}", f"{reached(ok, rules):,}", sum(1 for line in lines if line["wrong"] and reached([line], rules)))
                for ok in [[line for line in lines if not line["wrong"]]] for what, count, rules in DEMANDED]
    kinds = [(f"`{kind}`", KINDS.get(kind, ""), len(of), sum(1 for line in of if line["wrong"]), seeds_of(of),
              len({line["commit"] for line in of}), f"{sum(line.get('seconds', 0) for line in of) / 60:.0f}")
             for kind, of in by_kind(lines).items()]
    faults = [(f"`{kind}`", counts(named(of, "faults")), counts(named(of, "phases")), counts(sums_of(of))) for kind, of in by_kind(lines).items()]
    wrong = [(f"`{line['command'] if 'command' in line else line['kind'] + ' ' + str(line['seed'])}`", line["commit"],
              cleaned(line["wrong"]), line.get("since", "")) for line in lines if line["wrong"]]
    matrix = [(what, *(cell(kinds, right) for kinds in cells)) for what, cells in MATRIX]
    return "\n\n".join([
        "# Faults: what was done to modelwatch, and what came of it",
        "<!-- `make faults-page` makes this page of docs/faults.jsonl; what is changed here by hand is lost. -->\n"
        "Every line of `docs/faults.jsonl` is a round on the shipped programs, a real Kafka and a real Redis (`sim`: on the "
        "programs' folds with simulated ports), with its command, its commit and its seed. A count is reached over several runs "
        "and commits: seeds that are in the ledger are not run again. `make fault KIND=kills SEED=3` plays one of them; seeds fix "
        "what strikes and in what order, not the machine's timing.",
        "## Demanded and reached",
        table(("fault", "demanded", "in rounds that were right", "rounds that were wrong"), demanded),
        "Right means: each offset of the log is counted once, by an independent reader of the log; every window has the same counts "
        "and sums as that reader's; findings are those of `modelwatch replay` on the same log and marks; every alert was told, "
        "beginning and end, under one id; each incident had one rollback at the deployment API, recorded as done once and verified; "
        "the cursor is at the end of the log, outboxes are empty, no service ended by itself.",
        "## Rounds",
        table(("kind", "what happens", "lines", "wrong", "seeds", "commits", "minutes"), kinds),
        table(("kind", "faults", "killed while the service was", "what else was counted"), faults),
        "## Which fault, which promise",
        table(("fault", *INVARIANTS), matrix),
        "## Builds that are broken on purpose",
        "A harness that cannot fail proves nothing. These patches break one rule each; the campaign built and ran them "
        "(`make fault KIND=… SEED=… BROKEN=NAME`). `make broken` does the same with the simulation and the unit tests.",
        table(("patch", "what it breaks", "caught by", "how"), broken_rows(broken)) if broken else "None was run yet.",
        "## Rounds that went wrong",
        table(("round", "commit", "what was wrong", "what became of it"), wrong) if wrong else "None.",
        "## What is not covered, and why",
        UNCOVERED,
        "## In every test run",
        "`make test` plays one short round of `effects`, of seed 1 with a storm of 15 s, and checks that this page is what the ledger gives."
    ]) + "\n"


def main():
    made = page(lines_of(LEDGER))
    if sys.argv[1:] == ["--check"]:
        same = PAGE.exists() and PAGE.read_text() == made
        print(f"{int(same)} passed, {int(not same)} failed" + ("" if same else ": docs/faults.md is not what docs/faults.jsonl gives; make faults-page"))
        return not same
    PAGE.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
