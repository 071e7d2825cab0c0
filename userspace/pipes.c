// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "pipes.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void pipe_close(struct pipe *pipe)
{
	close(pipe->fd[0]);
	close(pipe->fd[1]);
	free(pipe);
}

static struct pipe *pipe_open(void)
{
	struct pipe *pipe = calloc(1, sizeof(*pipe));
	struct stat status;

	if (!pipe)
		return NULL;
	if (pipe2(pipe->fd, O_CLOEXEC | O_NONBLOCK)) {
		free(pipe);
		return NULL;
	}
	if (fcntl(pipe->fd[1], F_SETPIPE_SZ, PIPE_BYTES) < PIPE_BYTES ||
	    fstat(pipe->fd[0], &status)) {
		pipe_close(pipe);
		return NULL;
	}
	pipe->inode = status.st_ino;
	return pipe;
}

struct pipe *pipes_borrow(struct pipes *pipes)
{
	struct pipe *pipe = pipes->kept;

	if (pipe) {
		pipes->kept = pipe->next;
		pipes->kept_count--;
		return pipe;
	}
	if (pipes->count >= pipes->most)
		return NULL;
	pipe = pipe_open();
	if (pipe)
		pipes->count++;
	return pipe;
}

struct pipe *pipes_adopt(struct pipes *pipes, const int fd[2], uint64_t inode,
			 size_t bytes)
{
	struct pipe *pipe = calloc(1, sizeof(*pipe));

	if (!pipe)
		return NULL;
	*pipe = (struct pipe){NULL, {fd[0], fd[1]}, inode, bytes};
	pipes->count++;
	return pipe;
}

void pipes_return(struct pipes *pipes, struct pipe *pipe)
{
	if (pipe->bytes || pipes->kept_count >= PIPES_KEPT) {
		pipe_close(pipe);
		pipes->count--;
		return;
	}
	pipe->next = pipes->kept;
	pipes->kept = pipe;
	pipes->kept_count++;
}

void pipes_done(struct pipes *pipes)
{
	while (pipes->kept) {
		struct pipe *pipe = pipes->kept;

		pipes->kept = pipe->next;
		pipe_close(pipe);
	}
	pipes->kept_count = 0;
}
