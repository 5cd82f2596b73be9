"""The kind of rounds in which the log is cut away under ingest: what is lost is shown, the rest is exact."""
import collections
import json

import chain as chains
import oracle
from confluent_kafka import Consumer, TopicPartition
from round import RESTART, Round, World, wait


class Reader:
    """Remembers the log, also what is deleted later."""

    def __init__(self, brokers, topic):
        self.messages, self.topic = collections.defaultdict(dict), topic
        self._consumer = Consumer({"bootstrap.servers": brokers, "group.id": "gap", "enable.auto.commit": False,
                                   "auto.offset.reset": "error"})
        self._consumer.assign([TopicPartition(topic, p, 0) for p in range(chains.PARTITIONS)])

    def read(self):
        """All that is there now; returns the ends."""
        ends = {p: self._consumer.get_watermark_offsets(TopicPartition(self.topic, p), 30)[1] for p in range(chains.PARTITIONS)}

        def there():
            for message in self._consumer.consume(10_000, 0.2):
                assert message.error() is None, message.error()
                self.messages[message.partition()][message.offset()] = (message.timestamp()[1], message.value())
            return all(not end or end - 1 in self.messages[p] for p, end in ends.items())

        wait(there, "that the log is read")
        return ends


class Counting(World):
    """Counts and judges; who could be told is not there."""

    SERVICES = ("console", "ingest", "detectors")
    RELEASES = 0

    def _load(self):
        self.reader, self.lost = Reader(self.round.servers.brokers, self.chain.topic), collections.defaultdict(list)
        return super()._load()

    def story(self):
        self.load.close()

    def cut(self, chance):
        """Deletes the log of some partitions beyond their cursors, while ingest is away."""
        cursors = {partition: log["offset"] for partition, log in self.chain.counters().items()}
        ends = {}
        for partition, end in self.reader.read().items():
            if end > cursors.get(partition, end) and chance.random() < 0.7:
                ends[partition] = chance.randint(cursors[partition] + 1, end)
                self.lost[partition].append((cursors[partition], ends[partition]))
        if ends:
            chains.delete_records(self.round.servers.brokers, self.chain.topic, ends)
        return len(ends)

    def check(self):
        ends = self.reader.read()
        wait(lambda: self._is_through(ends), "that all is folded and all ticks are closed")
        self.chain.services["ingest"].stop()
        self.round.facts["events"] += sum(ends.values())
        marks, counters, expected = self.chain.marks(), self.chain.counters(), {}
        for partition, messages in self._left().items():
            fold = oracle.fold(messages, marks[partition], self.chain.settings)
            found = counters[partition]
            gaps = [(gap["from"], gap["to"]) for gap in found["gaps"]]
            assert gaps == self.lost[partition], f"partition {partition}: gaps {gaps}, deleted was {self.lost[partition]}"
            counted = found["counted"], found["late"], found["rejected"]
            assert counted == (fold.counted, fold.late, dict(fold.rejected)), f"partition {partition}: {found}"
            expected.update(fold.closed_windows)
        found = {}
        for model in {key.model for key in expected}:
            starts = [key.start for key in expected if key.model == model]
            found.update(self.chain.windows(model, min(starts), max(starts) + 1))
        text = oracle.difference(found, expected)
        assert not text, text

    def _left(self):
        for partition, messages in self.reader.messages.items():
            for begin, end in self.lost[partition]:
                self.round.facts["events deleted unread"] += sum(1 for offset in messages if begin <= offset < end)
        return {partition: [(offset, at, value) for offset, (at, value) in sorted(messages.items())
                            if not any(begin <= offset < end for begin, end in self.lost[partition])]
                for partition, messages in self.reader.messages.items()}

    def _is_through(self, ends):
        counters = self.chain.counters()
        last = {p: max(json.loads(value)["ts"] for _, value in m.values()) for p, m in self.reader.messages.items() if m}
        return all(counters[p]["offset"] == ends[p] and counters[p]["watermark"] >= ts + 2000 for p, ts in last.items())


class Gap(Round):
    """The log begins behind the cursor, again and again: records were deleted while ingest was away."""

    name = "gap"
    STORM = 60

    def world(self):
        return Counting(self)

    def plagues(self):
        return [self._cutting()]

    def _cutting(self):
        world, ingest = self.worlds[0], self.worlds[0].services["ingest"]
        yield 3
        while True:
            self.kill("ingest", ingest)
            yield self.chance.uniform(0.5, 3)
            self.faults["log cut beyond the cursor"] += world.cut(self.chance)
            yield RESTART
            ingest.start()
            yield self.chance.uniform(2, 5)
