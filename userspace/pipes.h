/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Pipes for splice(2), borrowed by a flow only while they hold its bytes. */
#ifndef SNICTL_PIPES_H
#define SNICTL_PIPES_H

#include <stddef.h>
#include <stdint.h>

/* Kept for the next borrower, a thread. */
#define PIPES_KEPT 16
/* In all, a thread, where there are descriptors for so many. */
#define PIPES_MAX 256
/* Of a pipe, and so what one stalled reader can make us hold. A user may have
 * 256 such ones (/proc/sys/fs/pipe-user-pages-soft). Beyond that the kernel
 * gives pipes of two pages, which are slower than to copy. */
#define PIPE_BYTES (256 << 10)

/**
 * struct pipe - one pipe.
 * @fd:    [0] read end, [1] write end.
 * @inode: what tells it from all others.
 * @bytes: in it now.
 */
struct pipe {
	struct pipe *next;
	int fd[2];
	uint64_t inode;
	size_t bytes;
};

/**
 * struct pipes - a thread's pool.
 * @most: pipes at the same time, kept ones too: flows cannot have their
 *        descriptors.
 */
struct pipes {
	struct pipe *kept;
	unsigned kept_count;
	unsigned count;
	unsigned most;
};

/**
 * pipes_borrow() - an empty pipe.
 * Return: NULL where none is to be had; the caller copies instead.
 */
struct pipe *pipes_borrow(struct pipes *pipes);

/**
 * pipes_adopt() - make one of these two ends, which hold @bytes.
 * Return: NULL where memory is short.
 */
struct pipe *pipes_adopt(struct pipes *pipes, const int fd[2], uint64_t inode,
			 size_t bytes);

/** pipes_return() - give it back; one that still holds bytes is closed. */
void pipes_return(struct pipes *pipes, struct pipe *pipe);

/** pipes_done() - close what is kept. */
void pipes_done(struct pipes *pipes);

#endif
