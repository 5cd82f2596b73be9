/* bench/drop.c: the yardstick of `make bench`: the same reader as ingest's, every payload dropped.
 *
 * bench-drop --brokers LIST --topic TOPIC [--events N]: reads N events (0: up to the end as it is
 * reached) of all partitions from their beginnings and prints "events N seconds S cpu_ns_per_event
 * X": wall time and processor time of the whole process from the first message on. */
#include "ports/clock.h"
#include "ports/log.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { TAKE_MAX = 1000, WAIT_MS = 10000, SILENCE_MS_MAX = 30000 };

struct run {
	const char *brokers, *topic;
	size_t wanted, taken;
	int32_t partitions;
	int64_t started_ms, started_cpu_us;
};

static int64_t cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return ((int64_t)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
	       usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static bool is_at_end(struct run *run, struct log_reader *reader)
{
	for (int32_t p = 0; p < run->partitions; p++)
		if (log_end_age_ms(reader, run->topic, p) < 0)
			return false;
	return true;
}

static enum rc assign_all(
	struct run *run, struct log *log, struct log_reader *reader, struct err *err)
{
	TRY(log_partitions(log, run->topic, WAIT_MS, &run->partitions, err));
	for (int32_t p = 0; p < run->partitions; p++)
		TRY(log_assign(reader, run->topic, p, OFFSET_BEGINNING, err));
	return RC_OK;
}

static enum rc drop_all(struct run *run, struct log_reader *reader, struct err *err)
{
	int64_t heard_ms = clock_monotonic_ms();

	while (!run->wanted || run->taken < run->wanted) {
		const struct log_message *messages;
		size_t count;
		struct log_gap gap;
		enum rc rc = log_take(reader, 20, TAKE_MAX, &messages, &count, &gap, err);

		if (rc == RC_OK && !run->taken) {
			run->started_ms = clock_monotonic_ms();
			run->started_cpu_us = cpu_us();
		}
		if (rc == RC_REJECT || rc == RC_FATAL)
			return rc;
		run->taken += count;
		if (count)
			heard_ms = clock_monotonic_ms();
		else if (!run->wanted && is_at_end(run, reader))
			break;
		else if (clock_monotonic_ms() - heard_ms > SILENCE_MS_MAX)
			return err_set(err, RC_FATAL, "topic %s: only %zu events came", run->topic,
				run->taken);
	}
	return run->taken ? RC_OK : err_set(err, RC_FATAL, "topic %s is empty", run->topic);
}

static void print(const struct run *run)
{
	double seconds = (double)(clock_monotonic_ms() - run->started_ms) / 1e3;
	double cpu_ns = (double)(cpu_us() - run->started_cpu_us) * 1e3;

	printf("events %zu seconds %.3f cpu_ns_per_event %.1f\n", run->taken, seconds,
		cpu_ns / (double)run->taken);
}

static enum rc work(struct run *run, struct err *err)
{
	struct config_kafka kafka = {.brokers = (char *)run->brokers};
	struct log *log;
	struct log_reader *reader;

	TRY(log_open(&kafka, "bench-drop", &log, err));
	enum rc rc = log_reader_open(log, &reader, err);
	if (rc == RC_OK) {
		rc = assign_all(run, log, reader, err);
		if (rc == RC_OK)
			rc = drop_all(run, reader, err);
		if (rc == RC_OK)
			print(run);
		log_reader_close(reader);
	}
	log_close(log);
	return rc;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"brokers", required_argument, NULL, 'b'},
		{"topic", required_argument, NULL, 't'},
		{"events", required_argument, NULL, 'n'},
		{NULL, 0, NULL, 0},
	};
	struct run run = {0};
	struct err err;

	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
		switch (option) {
		case 'b':
			run.brokers = optarg;
			break;
		case 't':
			run.topic = optarg;
			break;
		case 'n':
			run.wanted = strtoul(optarg, NULL, 10);
			break;
		default:
			return 2;
		}
	if (!run.brokers || !run.topic) {
		fprintf(stderr, "usage: bench-drop --brokers LIST --topic TOPIC [--events N]\n");
		return 2;
	}
	if (work(&run, &err) == RC_OK)
		return 0;
	fprintf(stderr, "bench-drop: %s\n", err.text);
	return 1;
}
