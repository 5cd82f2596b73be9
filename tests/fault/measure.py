"""What the measurements share: the programs and servers of one, and the ledger that gets a line of each."""
import argparse
import contextlib
import json
import os
import shutil
import sys
import time

import ledger
from ledger import ROOT

sys.path.insert(0, str(ROOT / "tests" / "live"))

import chain as chains                                      # noqa: E402
import conftest                                             # noqa: E402


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def options(text, **defaults):
    """Of the command line: --seed, --ledger, and those given here with their defaults."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in {"seed": 1, "ledger": ROOT / "build" / "faults.jsonl", **defaults}.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    return parser.parse_args()


class Bench:
    """A copy of the programs, which nobody's build changes meanwhile, a broker and a Redis, in build/fault/NAME."""

    def __init__(self, name):
        self.commit, self.begin = ledger.commit(), time.monotonic()
        self.directory = ROOT / "build" / "fault" / name
        shutil.rmtree(self.directory, ignore_errors=True)
        self.binaries = self.directory / "build"
        self.binaries.mkdir(parents=True)
        for path in [*(ROOT / "build").glob("modelwatch*"), *(ROOT / "build").glob("demo-*")]:
            if path.is_file():
                shutil.copy(path, self.binaries)
        chains.MODELWATCH = self.binaries / "modelwatch"
        self.servers = conftest.Servers(self.directory / "servers")
        self.services = []

    def service(self, name, *args):
        """As the fixture of the same name."""
        self.services.append(conftest.Service(name, *args, directory=self.directory,
                                              binary=self.binaries / f"modelwatch-{name}"))
        return self.services[-1]

    def close(self):
        for service in self.services:
            if service.running():
                service.signal(conftest.signal.SIGCONT)
            service.kill()
        self.servers.heal()
        self.servers.close()


def measure(kind, options, run):
    """Runs run(bench, stack), which returns what the ledger's line is to say; stack: an ExitStack for what it opens. Ends
    the process with 1 if anything is wrong."""
    bench, facts = Bench(f"{kind}-{options.seed}"), {}
    with contextlib.ExitStack() as stack:
        stack.callback(bench.close)
        try:
            facts = run(bench, stack)
        except (Exception, conftest.pytest.fail.Exception) as failure:
            facts["wrong"] = f"{type(failure).__name__}: {failure}"[:1500]
    lines = facts if isinstance(facts, list) else [facts]
    for line in lines:
        ledger.append(options.ledger, {"kind": kind, "commit": bench.commit, "seed": options.seed, **line,
                                       "seconds": round((time.monotonic() - bench.begin) / len(lines), 1)})
        say(f"{kind}:", json.dumps(line))
    wrong = [line for line in lines if line["wrong"]]
    if not wrong:
        shutil.rmtree(bench.directory, ignore_errors=True)
    sys.exit(1 if wrong else 0)


def load_average():
    return round(os.getloadavg()[0], 1)
