// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "../../userspace/log.h"
#include "../../userspace/name.h"

/* Of a test that blocks, which is how it fails. */
#define PATIENCE_S 10

/* A pipe in the place of standard error. */
struct reader {
	int fd;
	int standard_error;
	size_t length;
	char text[1 << 20];
};

static void reader_open(struct reader *reader)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	reader->fd = ends[0];
	reader->length = 0;
	reader->standard_error = dup(STDERR_FILENO);
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	alarm(PATIENCE_S);
}

static void reader_close(struct reader *reader)
{
	alarm(0);
	dup2(reader->standard_error, STDERR_FILENO);
	close(reader->standard_error);
	close(reader->fd);
}

static void reader_read(struct reader *reader)
{
	ssize_t got;

	while ((got = read(reader->fd, reader->text + reader->length,
			   sizeof(reader->text) - 1 - reader->length)) > 0)
		reader->length += (size_t)got;
	reader->text[reader->length] = '\0';
}

static void log_one(struct log *log, uint64_t id)
{
	static const struct abi_flow_hot hot;
	static const struct name name;
	struct abi_flow_cold cold = {.id = id};
	struct log_flow line = {.cold = &cold,
				.name = &name,
				.figures = &hot,
				.end = "closed",
				.listener = "443"};

	log_flow(log, &line, ABI_LOG_TEXT);
}

static unsigned count_lines(const char *text, const char *start)
{
	unsigned count = 0;

	for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
		assert_non_null(strchr(line, '\n'));
		count += !strncmp(line, start, strlen(start));
	}
	return count;
}

static void test_lines_are_whole_and_in_order(void **state)
{
	static struct reader reader;
	static struct log log;

	(void)state;
	reader_open(&reader);
	for (unsigned i = 0; i < 200; i++)
		log_one(&log, i);
	log_flush(&log);
	reader_read(&reader);
	reader_close(&reader);
	assert_int_equal(log.length, 0);
	assert_int_equal(count_lines(reader.text, "flow id="), 200);
	assert_non_null(strstr(reader.text, "flow id=199 "));
}

static void test_a_pipe_that_nobody_reads_stalls_nobody(void **state)
{
	static struct reader reader;
	static struct log log;
	unsigned lines, lost;

	(void)state;
	reader_open(&reader);
	for (unsigned i = 0; i < 2000; i++) {
		log_one(&log, i);
		log_flush(&log);
	}
	assert_true(log.lost > 0);
	log_say(LOG_LEVEL_NOTICE, "this does not block either");
	lost = (unsigned)log.lost;
	/* Somebody reads again: what was kept comes, and how much was not. */
	for (unsigned i = 0; i < 10; i++) {
		reader_read(&reader);
		log_flush(&log);
	}
	log_one(&log, 2000);
	log_flush(&log);
	reader_read(&reader);
	reader_close(&reader);
	assert_int_equal(log.lost, 0);
	lines = count_lines(reader.text, "flow id=");
	assert_int_equal(lines + lost, 2001);
	assert_int_equal(count_lines(reader.text, "snictld: "), 1);
	assert_non_null(strstr(reader.text, "lines were lost"));
	assert_non_null(strstr(reader.text, "flow id=2000 "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_are_whole_and_in_order),
		cmocka_unit_test(test_a_pipe_that_nobody_reads_stalls_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
