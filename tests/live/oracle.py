"""The fold of ingest a second time: from docs/events.md and the contract of core/layout.h, from no line of its code.

    expected = fold(messages, marks, Settings())          # one partition of a log, in order of offsets
    expected.windows[Key(model, version, role, segment, signal, start)] == Cell(n, sum, bins)

A message is (offset, append time in ms or None, bytes), a mark (offset, watermark). Windows are compared as the records of
`modelwatch windows --json` and `replay --windows`: window_of(record) gives (key, cell) of one.
What it does not model: models and versions that make room for others (it refuses to, see Fold._admit), formats with units
and tables of words, and Schema-Registry frames of anything but JSON.
"""
import bisect
import collections
import datetime
import functools
import json
import re
import subprocess
from decimal import Decimal, getcontext
from fractions import Fraction

getcontext().prec = 60

Key = collections.namedtuple("Key", "model version role segment signal start")
Cell = collections.namedtuple("Cell", "n sum bins")        # sum: exact, in millionths, None where there is none

# In the order in which the first one that holds is told.
CODES = ("E_EMPTY E_OVERSIZE E_JSON E_UTF8 E_DEPTH E_DUPKEY E_NUMBER E_FRAME E_MISSING E_TYPE E_ENUM E_NAME E_RANGE "
         "E_NONFINITE E_LATENCY_NEG E_LATE E_FUTURE E_CARD_MODEL E_CARD_VERSION E_CARD_FEATURE").split()


class Settings:
    """What of a configuration matters to a fold; all times in ms."""

    def __init__(self, **changes):
        self.tick = 5000                                    # or a function of the model's name
        self.lateness, self.max_late = 2000, 600_000
        self.max_age, self.max_ahead = 86_400_000, 300_000  # None: off
        self.score_is_real = lambda model: False
        self.configured = lambda model: False
        self.pointers = {}                                  # format: field -> JSON pointer
        self.event_bytes, self.depth, self.features, self.classes = 65536, 8, 512, 256
        self.models, self.versions, self.segments = 1000, 16, 64
        for name, value in changes.items():
            assert hasattr(self, name), name
            setattr(self, name, value)

    def tick_of(self, model):
        return self.tick(model) if callable(self.tick) else self.tick


# ---- bins

def latency_edges():
    """Edge i is where bin i begins; the first begins at 0, the last has no end."""
    edges = [float(Decimal(2) ** (Decimal(k) / 16)) for k in range(-160, 641)]
    return [0.0, *edges[1:]]


def probability_edges():
    fine = [Decimal(0)] + [Decimal("0.0001") * Decimal(100) ** (Decimal(j) / 14) for j in range(15)]
    return [float(e) for e in fine] + [i / 100 for i in range(2, 99)] + [float(1 - e) for e in reversed(fine)]


def real_edges():
    positive = [float(Fraction(2) ** e * (1 + Fraction(part, 16))) for e in range(-20, 41) for part in range(16)]
    return [-x for x in reversed([*positive, 2.0 ** 41])] + [*positive, 2.0 ** 41]


LATENCY, PROBABILITY, REAL = latency_edges(), probability_edges(), real_edges()
assert len(PROBABILITY) == 129 and LATENCY[160] == 1.0 and LATENCY[176] == 2.0 and LATENCY[168] == 2 ** 0.5
assert all(edges == sorted(set(edges)) for edges in (LATENCY, PROBABILITY, REAL))


def bin_of(edges, x):
    """(low, high) of the bin with low <= x < high; high is None where there is no end."""
    if x != x:
        return ("NaN",)
    if x in (float("inf"), float("-inf")):
        return ("Infinity",) if x > 0 else ("-Infinity",)
    i = bisect.bisect_right(edges, x) - 1
    if edges is PROBABILITY:
        i = min(i, len(edges) - 2)                          # the last one includes 1
    return edges[i], edges[i + 1] if i + 1 < len(edges) else None


def millionths(x):
    """x * 10^6 rounded half to even, of the exact value of the double."""
    numerator, denominator = x.as_integer_ratio()
    quotient, rest = divmod(numerator * 1_000_000, denominator)
    return quotient + (2 * rest > denominator or (2 * rest == denominator and quotient & 1))


# ---- decoding

class Rejected(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.code = code


class Bare(float):
    """NaN or an infinity that stood in the text as such."""

    made = 0                                                # how many there ever were: looked for only if there are any

    def __new__(cls, text):
        cls.made += 1
        return super().__new__(cls, text)


Event = collections.namedtuple("Event", "type ts model version role segment latency failed score cls features")
NAME = re.compile(r"[A-Za-z0-9_.:/@-]{1,128}")
TYPES = "prediction latency label metric heartbeat deploy".split()
FIELDS = "type ts model version role segment request_id unit latency_ms status error score class features label name value".split()


_flaws = set()                                              # of the text that is being parsed


def unique(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        _flaws.add("E_DUPKEY")
    return found


def checked_float(text):
    number = float(text)
    if number in (float("inf"), float("-inf")):
        _flaws.add("E_NUMBER")
    return number


def checked_int(text):
    if len(text) > 20 or not -(1 << 63) <= int(text) < 1 << 63:
        _flaws.add("E_NUMBER")                              # a whole number is one of 64 bits
        return 0
    return int(text)


_decoder = json.JSONDecoder(object_pairs_hook=unique, parse_constant=Bare, parse_float=checked_float, parse_int=checked_int)


def depth_of(text):
    depth = deepest = 0
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', text):
        if token[0] in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token[0] in "]}":
            depth -= 1
    return deepest


def walk(value):
    yield value
    if isinstance(value, dict):
        for key, member in value.items():
            yield key
            yield from walk(member)
    elif isinstance(value, list):
        for member in value:
            yield from walk(member)


def parse(message, settings):
    """The JSON object of a message."""
    if not message:
        raise Rejected("E_EMPTY")
    if len(message) > settings.event_bytes:
        raise Rejected("E_OVERSIZE")
    if message[0] == 0:
        message = message[5:]
        if not message.lstrip(b" \t\r\n").startswith(b"{"):
            raise Rejected("E_FRAME")
    _flaws.clear()
    try:
        text = message.decode()
    except UnicodeDecodeError:
        _flaws.add("E_UTF8")
        text = message.decode(errors="replace")
    # Most texts cannot be deep. One that is is not parsed: it could be deeper than Python goes.
    if text.count("{") + text.count("[") > settings.depth and depth_of(text) > settings.depth:
        raise Rejected("E_DEPTH")
    try:
        root = _decoder.decode(text)
    except ValueError:
        raise Rejected("E_JSON") from None
    if "\\u" in text and any(isinstance(value, str) and re.search("[\0\ud800-\udfff]", value) for value in walk(root)):
        _flaws.add("E_UTF8")
    if _flaws:
        raise Rejected(min(_flaws, key=CODES.index))
    if not isinstance(root, dict):
        raise Rejected("E_TYPE")
    return root


def at_pointer(root, pointer):
    value = root
    for part in pointer.split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def canonical(value):
    """The text that a class or a label goes by; None: it has none."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_number(value) and not isinstance(value, Bare):
        if isinstance(value, int):
            return str(value)
        return str(int(value)) if abs(value) < 1e15 and value == int(value) else repr(value)
    return None


class Reader:
    """The fields of one event; collects what is wrong."""

    def __init__(self, root, settings):
        self.flaws = []
        get = settings.pointers
        self.fields = {f: at_pointer(root, get[f]) if f in get else root.get(f) for f in FIELDS}
        allowed = [self.fields["score"], self.fields["value"], self.fields["latency_ms"]]
        if isinstance(self.fields["features"], dict):
            allowed += self.fields["features"].values()
        good = {id(value) for value in allowed}
        if Bare.made and any(isinstance(value, Bare) and id(value) not in good for value in walk(root)):
            self.flaws.append("E_JSON")

    def wrong(self, code):
        self.flaws.append(code)

    def name(self, field):
        value = self.fields[field]
        if value is None or value == "":
            return ""
        if not isinstance(value, str):
            self.wrong("E_TYPE")
        elif not NAME.fullmatch(value):
            self.wrong("E_NAME")
        else:
            return value
        return ""

    def free(self, field, most):
        value = self.fields[field]
        if value is None:
            return None
        text = canonical(value)
        if text is None:
            self.wrong("E_TYPE")
        elif not is_free_name(text, most):
            self.wrong("E_NAME")
        return text

    def number(self, field, low=-1e12, high=1e12, finite=False):
        value = self.fields[field]
        if value is None:
            return None
        if not is_number(value):
            self.wrong("E_TYPE")
            return None
        if isinstance(value, Bare):
            if finite:
                self.wrong("E_NONFINITE")
        elif not low <= value <= high:
            self.wrong("E_RANGE")
        return float(value)

    def ts(self):
        value = self.fields["ts"]
        if value is None:
            self.wrong("E_MISSING")
        elif isinstance(value, str):
            moment = rfc3339(value)
            if moment is not None:
                return moment
            self.wrong("E_TYPE")
        elif not is_number(value) or isinstance(value, Bare) or value != int(value):
            self.wrong("E_TYPE")
        elif not 0 <= value <= 253402300799999:
            self.wrong("E_RANGE")
        else:
            return int(value)
        return 0


def is_free_name(text, most):
    return 0 < len(text.encode()) <= most and not re.search(r"[\x00-\x1f\x7f-\x9f]", text)


def rfc3339(text):
    if not re.fullmatch(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", text):
        return None
    try:
        moment = datetime.datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return (moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(milliseconds=1)


def type_of(fields, reader):
    found = fields["type"]
    if found is not None:
        if not isinstance(found, str):
            reader.wrong("E_TYPE")
        elif found not in TYPES:
            reader.wrong("E_ENUM")
        else:
            return found
        return None
    if fields["label"] is not None:
        return "label"
    if fields["name"] is not None and fields["value"] is not None:
        return "metric"
    if any(fields[f] is not None for f in ("score", "class", "features", "status", "error")):
        return "prediction"
    if fields["latency_ms"] is not None:
        return "latency"
    reader.wrong("E_MISSING")
    return None


def read_failed(reader):
    """Whether the answer failed; None: nothing tells."""
    status, error = reader.fields["status"], reader.fields["error"]
    failed = None if status is None and error is None else False
    if is_number(status):
        if isinstance(status, Bare) or not 0 <= status <= 999:
            reader.wrong("E_RANGE")
        failed = status >= 400
    elif isinstance(status, str):
        if status not in ("ok", "error"):
            reader.wrong("E_ENUM")
        failed = status == "error"
    elif status is not None:
        reader.wrong("E_TYPE")
    if error is not None and not isinstance(error, (str, bool)):
        reader.wrong("E_TYPE")
    return True if error is True or (isinstance(error, str) and error) else failed


def read_features(reader):
    features = reader.fields["features"]
    if features is None:
        return 0
    if not isinstance(features, dict):
        reader.wrong("E_TYPE")
        return 0
    for name, value in features.items():
        if not is_free_name(name, 128):
            reader.wrong("E_NAME")
        if isinstance(value, (dict, list)):
            reader.wrong("E_TYPE")
        elif is_number(value) and not isinstance(value, Bare) and abs(value) > 1e12:
            reader.wrong("E_RANGE")
    return len(features)


def decode(message, settings):
    """One message as an Event; Rejected tells its code."""
    reader = Reader(parse(message, settings), settings)
    fields = reader.fields
    ts, model = reader.ts(), reader.name("model")
    if fields["model"] is None:
        reader.wrong("E_MISSING")
    elif fields["model"] == "":
        reader.wrong("E_NAME")
    version, segment, role = reader.name("version"), reader.name("segment"), "production"
    if fields["role"] is not None:
        role = fields["role"]
        if not isinstance(role, str):
            reader.wrong("E_TYPE")
        elif role not in ("production", "canary"):
            reader.wrong("E_ENUM")
    reader.free("request_id", 256)
    reader.free("unit", 256)
    kind = type_of(fields, reader)
    latency = failed = score = cls = None
    features = 0
    if kind in ("prediction", "latency"):
        if is_number(fields["latency_ms"]) and fields["latency_ms"] < 0 and not isinstance(fields["latency_ms"], Bare):
            reader.wrong("E_LATENCY_NEG")
            latency = float(fields["latency_ms"])
        else:
            latency = reader.number("latency_ms", finite=True)
        failed = read_failed(reader)
        real = settings.score_is_real(model)
        score = reader.number("score", *((-1e12, 1e12) if real else (0, 1)))
        cls = reader.free("class", 128)
        features = read_features(reader)
        if all(fields[f] is None for f in ("latency_ms", "status", "error", "score", "class", "features")):
            reader.wrong("E_MISSING")
        if kind == "latency" and fields["latency_ms"] is None:
            reader.wrong("E_MISSING")
    elif kind == "label":
        reader.free("label", 128)
        if fields["label"] is None or fields["request_id"] is None:
            reader.wrong("E_MISSING")
    elif kind == "metric":
        reader.free("name", 128)
        reader.number("value")
        if fields["name"] is None or fields["value"] is None:
            reader.wrong("E_MISSING")
    elif kind == "deploy" and not version:
        reader.wrong("E_MISSING")
    if reader.flaws:
        raise Rejected(min(reader.flaws, key=CODES.index))
    return Event(kind, ts, model, version, role, segment, latency, failed, score, cls, features)


# ---- the fold

class Fold:
    """One partition. windows holds those that are open, too: closed(key) tells."""

    def __init__(self, settings):
        self.settings = settings
        self._open = {}                                     # key -> [n, sum, bins by name or edges]
        self.counted = self.late = 0
        self.rejected = collections.Counter()
        self.watermark = 0
        self.last_ts = self.last_append = None
        self.first_ts = None
        self.models, self.unconfigured = set(), 0
        self.versions, self.segments = collections.defaultdict(set), collections.defaultdict(set)
        self.outcomes = {}                                  # offset -> code, of what was rejected
        self.messages = 0

    def mark(self, watermark):
        if self.last_ts is not None and watermark > self.watermark:
            self.watermark = watermark

    def message(self, offset, append, value):
        self.messages += 1
        try:
            event = decode(value, self.settings)
            self._check_time(event, append)
            segment = self._admit(event)
        except Rejected as reason:
            self.rejected[reason.code] += 1
            self.outcomes[offset] = reason.code
            return
        self._count(event, segment)
        self.first_ts = self.first_ts if self.first_ts is not None else event.ts
        self.last_ts = event.ts if self.last_ts is None else max(self.last_ts, event.ts)
        reached = self.last_ts
        if append is not None:
            self.last_append = append if self.last_append is None else max(self.last_append, append)
            reached = min(reached, self.last_append + 1000)
        self.watermark = max(self.watermark, reached)

    def _check_time(self, event, append):
        settings = self.settings
        if append is None:
            return
        if settings.max_age is not None and event.ts < append - settings.max_age:
            raise Rejected("E_LATE")
        if settings.max_ahead is not None and event.ts > append + settings.max_ahead:
            raise Rejected("E_FUTURE")

    def _admit(self, event):
        """The segment that the event counts in. Nobody makes room here, so event time must not go on for an hour once a
        limit is reached."""
        settings = self.settings
        if event.features > settings.features:
            raise Rejected("E_CARD_FEATURE")
        new = event.model not in self.models
        counts = new and not settings.configured(event.model)
        if counts and self.unconfigured >= settings.models:
            assert event.ts - self.first_ts < 3_600_000, "the oracle does not know who makes room"
            raise Rejected("E_CARD_MODEL")
        with_version = event.type in ("prediction", "latency", "deploy")
        versions = self.versions[event.model]
        if with_version and event.version not in versions and len(versions) >= settings.versions:
            raise Rejected("E_CARD_VERSION")
        self.models.add(event.model)
        self.unconfigured += counts
        if with_version:
            versions.add(event.version)
        segments = self.segments[event.model]
        if event.segment not in segments and len(segments) >= settings.segments:
            return "__other__"
        segments.add(event.segment)
        return event.segment

    def _count(self, event, segment):
        settings = self.settings
        tick = settings.tick_of(event.model)
        start = event.ts - event.ts % tick
        passed = self.watermark - settings.lateness
        lane = (event.model, "", event.role, segment)
        if event.type in ("prediction", "latency", "heartbeat") and start + tick <= passed:
            start, lateness = passed - passed % tick, self.watermark - event.ts
            self._add(Key(*lane, "late", start), lateness * 1_000_000, None)
            if lateness > settings.max_late:
                self.late += 1
                return
        self.counted += 1
        if event.type == "heartbeat":
            self._window(Key(*lane, "rate", start), None)
        if event.type not in ("prediction", "latency"):
            return
        arm = (event.model, event.version, event.role, segment)
        if event.failed is not None or event.score is not None or event.cls is not None:
            self._add(Key(*arm, "errors", start), None, ("failed",) if event.failed else ("ok",))
            self._add(Key(*lane, "rate", start), None, None)
        if event.latency is not None:
            self._add(Key(*arm, "latency", start), *of_latency(event.latency))
        if event.score is not None:
            self._add(Key(*arm, "score", start), *of_score(event.score, settings.score_is_real(event.model)))
        if event.cls is not None:
            self._add_class(Key(*arm, "class", start), event.cls)

    def _window(self, key, total):
        return self._open.setdefault(key, [0, total, collections.Counter()])

    def _add(self, key, amount, place):
        window = self._window(key, None if amount is None else 0)
        window[0] += 1
        if amount is not None:
            window[1] += amount
        if place:
            window[2][place] += 1

    def _add_class(self, key, name):
        bins = self._window(key, None)[2]
        # Once as many names are known as may be, others share one.
        self._add(key, None, (name,) if (name,) in bins or len(bins) < self.settings.classes else ("__other__",))

    def closed(self, key):
        return key.start + self.settings.tick_of(key.model) + self.settings.lateness <= self.watermark

    @property
    def windows(self):
        return {key: Cell(n, total, frozenset(bins.items())) for key, (n, total, bins) in self._open.items()}

    @property
    def closed_windows(self):
        return {key: cell for key, cell in self.windows.items() if self.closed(key)}


@functools.lru_cache(1 << 16)
def of_latency(x):
    return millionths(x), bin_of(LATENCY, x)


@functools.lru_cache(1 << 16)
def of_score(x, real):
    finite = x == x and abs(x) != float("inf")
    return millionths(x) if finite else 0, bin_of(REAL if real else PROBABILITY, x)


def fold(messages, marks=(), settings=None):
    """Messages of one partition in order; marks of it in order, each taken before the message at its offset."""
    state = Fold(settings or Settings())
    marks = collections.deque(marks)
    for offset, append, value in messages:
        while marks and marks[0][0] <= offset:
            state.mark(marks.popleft()[1])
        state.message(offset, append, value)
    for _, watermark in marks:
        state.mark(watermark)
    return state


def lines(path):
    """The messages of a recorded trace."""
    if str(path).endswith(".zst"):
        data = subprocess.run(["zstd", "-dc", path], check=True, stdout=subprocess.PIPE).stdout
    else:
        data = open(path, "rb").read()
    return [(offset, None, line) for offset, line in enumerate(data.splitlines())]


# ---- records

def window_of(line, settings=None):
    """(key, cell) of a window's record; with settings its end is checked, too."""
    record = json.loads(line, parse_float=Decimal)
    assert record["kind"] == "window", line
    key = Key(*(record[f] for f in ("model", "version", "role", "segment", "signal", "from")))
    if settings:
        assert record["to"] == record["from"] + settings.tick_of(key.model), line
    total = None
    if "sum" in record:
        total = Decimal(record["sum"]) * 1_000_000
        assert total == int(total), line
        total = int(total)
    bins = frozenset((place_of(b[:-1]), b[-1]) for b in record.get("bins", []))
    assert ("bins" in record) == (key.signal not in ("rate", "late")), line
    return key, Cell(record["n"], total, bins)


def place_of(edges):
    if len(edges) == 1:
        return (edges[0],)
    low, high = edges
    return float(low), None if high is None else float(high)


def difference(found, expected):
    """The first few differences of two dicts of windows, as text; "" when they are equal."""
    if found == expected:
        return ""
    keys = [key for key in {**found, **expected} if found.get(key) != expected.get(key)]
    keys.sort(key=lambda key: (key.start, key))
    shown = [f"{key}\n  found    {found.get(key)}\n  expected {expected.get(key)}" for key in keys[:5]]
    return f"{len(keys)} of {len(expected)} windows differ, {len(found)} were found:\n" + "\n".join(shown)
