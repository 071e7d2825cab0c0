// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../../userspace/pipes.h"

/* A user with no processes and no pipes, by convention. */
#define NOBODY 65534

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
	struct pipe *pipe[PIPES_KEPT + 4];
	struct pipes pipes = {.most = PIPES_KEPT + 4};

	(void)state;
	for (unsigned i = 0; i < pipes.most; i++)
		assert_non_null(pipe[i] = pipes_borrow(&pipes));
	assert_null(pipes_borrow(&pipes));
	for (unsigned i = 0; i < pipes.most; i++)
		pipes_return(&pipes, pipe[i]);
	assert_int_equal(pipes.kept_count, PIPES_KEPT);
	assert_int_equal(pipes.count, PIPES_KEPT);
	pipes_done(&pipes);
	assert_int_equal(open_descriptors(), before);
}

/* Of a user who has no more pages for pipes: as many of the full size as there
 * are, then none, not a pipe of two pages. Return: exit status. */
static int borrow_all_as_nobody(void)
{
	unsigned before = open_descriptors();
	struct pipes pipes = {.most = 4 * PIPES_MAX};
	struct pipe *pipe;
	unsigned given = 0;

	if (!geteuid() && setuid(NOBODY))
		return 1;
	while ((pipe = pipes_borrow(&pipes))) {
		given++;
		if (fcntl(pipe->fd[1], F_GETPIPE_SZ) < PIPE_BYTES)
			return 2;
	}
	if (!given || given != pipes.count)
		return 3;
	return open_descriptors() == before + 2 * given ? 0 : 4;
}

static void test_a_small_pipe_is_none(void **state)
{
	struct rlimit many = {.rlim_cur = 8 * PIPES_MAX + 64,
			      .rlim_max = 8 * PIPES_MAX + 64};
	pid_t child;
	int status;

	(void)state;
	child = fork();
	assert_int_not_equal(child, -1);
	if (!child) {
		if (setrlimit(RLIMIT_NOFILE, &many))
			_exit(5);
		_exit(borrow_all_as_nobody());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_returned_pipe_is_borrowed_again),
		cmocka_unit_test(test_a_pipe_with_bytes_left_is_closed),
		cmocka_unit_test(test_no_more_are_kept_or_given_than_said),
		cmocka_unit_test(test_a_small_pipe_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
