#include "core/alert.h"
#include "tests/fuzz/record.h"

RECORD_TARGET(alert, alert_done)
