/* ports/log_kafka_reader.h: a reader of Kafka as its own thread (log_kafka_reader.c) and its helper
 * thread (log_kafka_ends.c) share it. Private to these two. */
#ifndef PORTS_LOG_KAFKA_READER_H
#define PORTS_LOG_KAFKA_READER_H

#include "ports/log_kafka.h"

struct place { /* all but the first two under the reader's mutex */
	char topic[256];
	int32_t partition;
	int64_t next;      /* offset of the first message not yet taken; -1: not yet known */
	int64_t low, high; /* as last heard; low only after a gap */
	int64_t heard_ms;  /* monotonic, when that was asked; -1: nothing heard */
	rd_kafka_resp_err_t trouble; /* of the last question: it is asked about alone */
	int64_t ask_ms;              /* then: not before */
	int64_t gapped_ms; /* since when its offset is known not to be in the log; -1: it is */
};

struct kafka_reader {
	struct log_reader reader;
	struct kafka_log *log;
	rd_kafka_t *client;
	rd_kafka_queue_t *queue;
	rd_kafka_message_t **held; /* what the last take gave out */
	size_t held_count, capacity;
	struct log_message *messages;
	size_t message_count;

	pthread_t helper;
	pthread_mutex_t mutex; /* of what follows; only the reader's own thread changes the list */
	pthread_cond_t changed;
	struct place **places;
	size_t place_count;
	bool closing;
};

/* All with the mutex held, except by the reader's own thread, which alone changes the list. NULL:
 * not assigned. */
struct place *kafka_place(const struct kafka_reader *reader, const char *topic, int32_t partition);
/* Known not to be in the log, and what the log has instead is not yet heard. */
bool kafka_gap_waits(const struct place *place);

/* The helper thread; signalling `changed` makes it ask at once. False: there is no thread to be
 * had. */
bool kafka_helper_start(struct kafka_reader *reader);
void kafka_helper_stop(struct kafka_reader *reader);

#endif
