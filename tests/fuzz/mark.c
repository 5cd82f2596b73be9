#include "core/close.h"
#include "tests/fuzz/record.h"

static void mark_done(struct mark *mark)
{
	(void)mark;
}

RECORD_TARGET(mark, mark_done)
