/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A client, a backend and, between them, what the agent does to splice their
 * connections: all in one process, and in namespaces of its own.
 */
#ifndef SNICTL_SPLICE_RIG_H
#define SNICTL_SPLICE_RIG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include "../bpf/abi.h"
#include "splice_wire.h"

struct splice;

/* Until a wait for something that has to happen has failed. */
#define RIG_PATIENCE_MS 3000
/* Several segments, which fit into the buffers at first. */
#define RIG_BURST 20000
/* What rig_verdict() says of a machine that is too busy for its times to mean
 * anything. */
#define RIG_AGAIN (-ECANCELED)

/**
 * struct splice_rig - two connections of one family.
 * @splice: of splice_open_apart().
 * @listening: by enum wire_end.
 * @far:  the client's socket and the backend's; by enum abi_direction.
 * @near: the router's own, that face them.
 * @slot: of the connections.
 * @sent, @received: bytes of a pattern, by the side that sends.
 * @without: the client has neither timestamps nor selective acknowledgements.
 * @is_tried: if it fails from here on, the splice does.
 */
struct splice_rig {
	struct splice *splice;
	struct splice_wire wire;
	sa_family_t family;
	int listening[2];
	int far[2];
	int near[2];
	uint32_t slot;
	uint32_t sent[2];
	uint32_t received[2];
	bool without;
	bool is_tried;
	uint8_t buffer[RIG_BURST];
};

/* All of them return 0 or -errno, unless something else is said. */

/** rig_hang() - put the programs where they belong, on a wire that is laid. */
int rig_hang(const struct splice_rig *rig);

/** rig_listen() - give the ends their addresses of @family, and listen there.
 */
int rig_listen(struct splice_rig *rig);

/** rig_begin() - end what there was of connections; a new slot. */
int rig_begin(struct splice_rig *rig);

/** rig_meet() - a client connects, and its hello is read. */
int rig_meet(struct splice_rig *rig);

/** rig_forward() - arm; the backend gets the hello, and acknowledges it. */
int rig_forward(struct splice_rig *rig);

/**
 * rig_verdict() - wait for the programs to decide.
 * Return: 0: as they should; RIG_AGAIN; or -errno.
 */
int rig_verdict(struct splice_rig *rig, enum abi_splice_state wanted,
		enum abi_why why);

/** rig_join() - all of that, up to SPLICED. */
int rig_join(struct splice_rig *rig);

/** rig_close_near() - without a word, as the agent does then. */
void rig_close_near(struct splice_rig *rig);

/** rig_splice() - rig_join() and rig_close_near(). */
int rig_splice(struct splice_rig *rig);

/** rig_closed() - wait for the programs to see this end. */
int rig_closed(struct splice_rig *rig, enum abi_splice_end end);

/** rig_byte() - of the pattern of a side. */
uint8_t rig_byte(enum abi_direction from, uint32_t offset);

/** rig_send() - by @fd, what comes next of the pattern: RIG_BURST bytes. */
int rig_send(struct splice_rig *rig, enum abi_direction from, int fd);

/** rig_receive() - from @fd, and compare, all of it that was sent. */
int rig_receive(struct splice_rig *rig, enum abi_direction from, int fd);

/** rig_burst() - both, from one far end to the other. */
int rig_burst(struct splice_rig *rig, enum abi_direction from);

/** rig_write() - all of @bytes. */
int rig_write(int fd, const void *bytes, size_t size);

/** rig_read_end() - a FIN, and nothing before it. */
int rig_read_end(int fd);

#endif
