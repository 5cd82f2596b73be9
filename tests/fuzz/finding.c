#include "core/finding.h"
#include "tests/fuzz/record.h"

static void finding_done(struct finding *finding)
{
	(void)finding;
}

RECORD_TARGET(finding, finding_done)
