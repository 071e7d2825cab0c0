// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <unistd.h>
#include "../../userspace/pipes.h"

static unsigned open_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static void test_a_returned_pipe_is_borrowed_again(void **state)
{
	struct pipes pipes = {.most = 2};
	struct pipe *pipe = pipes_borrow(&pipes);

	(void)state;
	assert_non_null(pipe);
	pipes_return(&pipes, pipe);
	assert_ptr_equal(pipes_borrow(&pipes), pipe);
	assert_int_equal(pipes.count, 1);
	pipes_return(&pipes, pipe);
	pipes_done(&pipes);
}

static void test_a_pipe_with_bytes_left_is_closed(void **state)
{
	unsigned before = open_descriptors();
	struct pipes pipes = {.most = 2};
	struct pipe *pipe = pipes_borrow(&pipes);

	(void)state;
	assert_int_equal(write(pipe->fd[1], "x", 1), 1);
	pipe->bytes = 1;
	pipes_return(&pipes, pipe);
	assert_int_equal(pipes.count, 0);
	assert_null(pipes.kept);
	assert_int_equal(open_descriptors(), before);
}

static void test_no_more_are_kept_or_given_than_said(void **state)
{
	unsigned before = open_descriptors();
	struct pipe *pipe[PIPES_MAX];
	struct pipes pipes = {.most = PIPES_MAX};

	(void)state;
	for (unsigned i = 0; i < PIPES_MAX; i++)
		assert_non_null(pipe[i] = pipes_borrow(&pipes));
	assert_null(pipes_borrow(&pipes));
	for (unsigned i = 0; i < PIPES_MAX; i++)
		pipes_return(&pipes, pipe[i]);
	assert_int_equal(pipes.kept_count, PIPES_KEPT);
	assert_int_equal(pipes.count, PIPES_KEPT);
	pipes_done(&pipes);
	assert_int_equal(open_descriptors(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_returned_pipe_is_borrowed_again),
		cmocka_unit_test(test_a_pipe_with_bytes_left_is_closed),
		cmocka_unit_test(test_no_more_are_kept_or_given_than_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
