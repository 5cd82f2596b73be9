/* tests/tsan/kafka_stand_in.h: chance and time for those who hammer, shared by all threads. */
#ifndef TESTS_TSAN_KAFKA_STAND_IN_H
#define TESTS_TSAN_KAFKA_STAND_IN_H

#define STAND_IN_TOPIC "events"
enum { STAND_IN_PARTITIONS = 4 };

unsigned stand_in_chance(unsigned below);
void stand_in_pause(unsigned us_max);

#endif
