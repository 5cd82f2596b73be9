/* tests/sim/faulty_log.h: the writer of a memory log whose acknowledgements get lost, so that
 * records come twice, whose records sometimes do not arrive at all, and whose fates are told late.
 */
#ifndef SIM_FAULTY_LOG_H
#define SIM_FAULTY_LOG_H

#include "ports/log.h"
#include "tests/sim/chance.h"

struct log_faults {         /* probabilities per record */
	double lost;        /* not written, told as not delivered */
	double ack_lost;    /* written, told as not delivered */
	double fate_untold; /* per look: nothing is told this time */
};

/* Over a writer of its own on this memory log. chance and faults must outlive it. */
struct log_writer *faulty_writer_open(
	struct log *log, struct chance *chance, const struct log_faults *faults);

#endif
