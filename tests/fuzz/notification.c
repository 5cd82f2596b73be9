#include "core/notification.h"
#include "tests/fuzz/record.h"

RECORD_TARGET(notification, notification_done)
