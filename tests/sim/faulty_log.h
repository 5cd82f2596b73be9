/* tests/sim/faulty_log.h: the writer of a memory log whose acknowledgements get lost, so that
 * records come twice, whose records sometimes do not arrive at all, or late, even after the death
 * of the process that gave them, and whose fates are told late. */
#ifndef SIM_FAULTY_LOG_H
#define SIM_FAULTY_LOG_H

#include "ports/log.h"
#include "tests/sim/chance.h"

struct log_faults {         /* probabilities per record */
	double lost;        /* not written, told as not delivered */
	double ack_lost;    /* written, told as not delivered */
	double late;        /* on its way for a while, and what the writer gives next behind it */
	double again;       /* arrives a second time, a while later */
	double fate_untold; /* per look: nothing is told this time */
};

/* What is on its way to a log. chance and faults must outlive it, and it its writers. */
struct log_wire;
struct log_wire *log_wire_open(
	struct log *log, struct chance *chance, const struct log_faults *faults);
void log_wire_close(struct log_wire *wire);
void log_wire_turn(struct log_wire *wire, int64_t now_ms); /* what is due arrives */

struct log_writer *faulty_writer_open(struct log_wire *wire);

#endif
