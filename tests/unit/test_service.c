/* The watchdog's rule of ports/service.h, with a socket of ours in systemd's place, and how soon
 * one that stands by looks again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ports/clock.h"
#include "ports/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PERIOD_MS = 200 }; /* of the watchdog: it is fed four times in it, and starved after two */

struct place {
	char directory[64], config[96], socket[96];
	int notified;
	struct service service;
};

static void open_service(struct place *place)
{
	char *arguments[] = {"test", "--config", place->config, "--metrics", "127.0.0.1:0", NULL};
	int exit_status = -1;

	assert_true(service_open(
		&place->service, "test", SERVICE_INGEST, false, 5, arguments, &exit_status));
	assert_int_equal(exit_status, 0);
}

static int set_up(void **state)
{
	struct place *place = calloc(1, sizeof *place);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char period_us[16];

	strcpy(place->directory, "/tmp/test_service.XXXXXX");
	assert_non_null(mkdtemp(place->directory));
	snprintf(place->config, sizeof place->config, "%s/c.yaml", place->directory);
	snprintf(place->socket, sizeof place->socket, "%s/notify", place->directory);
	FILE *file = fopen(place->config, "w");

	fputs("kafka: {brokers: 'localhost:9', topics: [t]}\nreceivers: [{name: nobody}]\n", file);
	fclose(file);
	strcpy(address.sun_path, place->socket);
	place->notified = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(
		bind(place->notified, (const struct sockaddr *)&address, sizeof address), 0);
	snprintf(period_us, sizeof period_us, "%d", PERIOD_MS * 1000);
	setenv("NOTIFY_SOCKET", place->socket, 1);
	setenv("WATCHDOG_USEC", period_us, 1);
	unsetenv("WATCHDOG_PID");
	open_service(place);
	*state = place;
	return 0;
}

static int tear_down(void **state)
{
	struct place *place = *state;

	service_close(&place->service);
	close(place->notified);
	unlink(place->config);
	unlink(place->socket);
	rmdir(place->directory);
	free(place);
	return 0;
}

/* How often the watchdog was fed since it was last asked. */
static int meals(struct place *place)
{
	char text[512];
	int count = 0;

	for (ssize_t size; (size = recv(place->notified, text, sizeof text - 1, 0)) > 0;) {
		text[size] = '\0';
		count += strstr(text, "WATCHDOG=1") != NULL;
	}
	return count;
}

/* Turns for three periods; each turn has done so much more work. Returns the meals of the last
 * period. */
static int turn(struct place *place, bool well, bool waiting, uint64_t work)
{
	int64_t begin = clock_monotonic_ms();
	bool last = false;
	uint64_t done = 0;

	service_status(&place->service, well, "testing");
	for (int64_t now = begin; now < begin + 3 * PERIOD_MS; now = clock_monotonic_ms()) {
		if (!last && now >= begin + 2 * PERIOD_MS + PERIOD_MS / 4) {
			last = true;
			meals(place);
		}
		done += work;
		service_progress(&place->service, done, waiting);
		assert_true(service_turn(&place->service));
		clock_rest(2);
	}
	return meals(place);
}

static void a_loop_that_turns_feeds_it(void **state)
{
	assert_true(turn(*state, true, false, 0) > 0);
}

static void a_loop_that_works_feeds_it(void **state)
{
	assert_true(turn(*state, true, true, 1) > 0);
}

static void a_loop_that_waits_for_something_unwell_feeds_it(void **state)
{
	assert_true(turn(*state, false, true, 0) > 0);
}

static void a_loop_that_leaves_its_work_lying_starves_it(void **state)
{
	assert_int_equal(turn(*state, true, true, 0), 0);
}

static void one_that_goes_on_with_its_work_feeds_it_again(void **state)
{
	assert_int_equal(turn(*state, true, true, 0), 0);
	assert_true(turn(*state, true, true, 1) > 0);
}

static void a_loop_that_does_not_turn_starves_it(void **state)
{
	service_turn(&((struct place *)*state)->service);
	meals(*state);
	clock_rest(2 * PERIOD_MS);
	assert_int_equal(meals(*state), 0);
}

static void without_a_watchdog_nothing_is_fed(void **state)
{
	struct place *place = *state;

	service_close(&place->service);
	unsetenv("WATCHDOG_USEC");
	open_service(place);
	assert_int_equal(turn(place, true, false, 0), 0);
}

/* An owner that dies is missed after so and so long: what is waited longer than that is lost. */
static void one_that_stands_by_looks_again_soon_however_often_it_did(void **state)
{
	struct place *place = *state;
	struct err err = {.text = "another process advances this fold"};

	for (int i = 0; i < 8; i++) {
		int64_t begin = clock_monotonic_ms();

		service_came(&place->service, RC_NONE, &err, true);
		meals(place); /* a full socket would stop the service */
		assert_in_range(clock_monotonic_ms() - begin, 0, 250);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_loop_that_turns_feeds_it),
		TEST(a_loop_that_works_feeds_it),
		TEST(a_loop_that_waits_for_something_unwell_feeds_it),
		TEST(a_loop_that_leaves_its_work_lying_starves_it),
		TEST(one_that_goes_on_with_its_work_feeds_it_again),
		TEST(a_loop_that_does_not_turn_starves_it),
		TEST(without_a_watchdog_nothing_is_fed),
		TEST(one_that_stands_by_looks_again_soon_however_often_it_did),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
