// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "traffic.h"

#include <math.h>
#include <string.h>

enum shape {
	SHAPE_ECHO,
	SHAPE_DOWN,
	SHAPE_UP,
	SHAPE_BOTH,
	SHAPE_IMMEDIATE,
	SHAPE_CLIENT_FIN,
	SHAPE_SERVER_FIN,
	SHAPE_CLIENT_RESET,
	SHAPE_SERVER_RESET,
	SHAPE_CLIENT_STALL,
	SHAPE_SERVER_STALL,
	SHAPE_BYTES,
	SHAPE_EAGER,
	SHAPE_BURST,
	SHAPE_IDLE,
	SHAPE_COUNT
};

const char *const shape_names[] = {[SHAPE_ECHO] = "echo",
				   [SHAPE_DOWN] = "down",
				   [SHAPE_UP] = "up",
				   [SHAPE_BOTH] = "both",
				   [SHAPE_IMMEDIATE] = "immediate",
				   [SHAPE_CLIENT_FIN] = "client-fin",
				   [SHAPE_SERVER_FIN] = "server-fin",
				   [SHAPE_CLIENT_RESET] = "client-reset",
				   [SHAPE_SERVER_RESET] = "server-reset",
				   [SHAPE_CLIENT_STALL] = "client-stall",
				   [SHAPE_SERVER_STALL] = "server-stall",
				   [SHAPE_BYTES] = "bytes",
				   [SHAPE_EAGER] = "eager",
				   [SHAPE_BURST] = "burst",
				   [SHAPE_IDLE] = "idle",
				   NULL};

/* Sizes at which a shape stops to be what its name says. */
#define BYTES_MAX 4096
#define EAGER_MAX 65536
#define BURST_MAX 65536
#define GREETER_MAX 4096
#define EAGER_PACE_US 3000

uint32_t shape_parse(const char *list)
{
	uint32_t shapes = 0;

	while (*list) {
		size_t length = strcspn(list, ",");
		unsigned shape = 0;

		if (length == 3 && !strncmp(list, "all", 3)) {
			shapes |= (1u << SHAPE_IDLE) - 1;
		} else {
			while (shape < SHAPE_COUNT &&
			       (strlen(shape_names[shape]) != length ||
				strncmp(shape_names[shape], list, length) != 0))
				shape++;
			if (shape == SHAPE_COUNT)
				return 0;
			shapes |= 1u << shape;
		}
		list += length;
		list += *list == ',';
	}
	return shapes;
}

static enum shape choose(uint32_t shapes, uint64_t random)
{
	unsigned nth =
		(unsigned)(random % (unsigned)__builtin_popcount(shapes));
	unsigned shape = 0;

	while (!(shapes & 1u << shape) || nth--)
		shape++;
	return (enum shape)shape;
}

/* Between the bounds, small sizes as often as large ones. */
static uint64_t choose_size(const struct options *options, uint64_t random)
{
	double low = log2((double)options->size_min + 1);
	double high = log2((double)options->size_max + 1);
	double at = (double)(random >> 11) / (double)(1ULL << 53);

	if (options->size_min == options->size_max)
		return options->size_min;
	return (uint64_t)exp2(low + at * (high - low)) - 1;
}

static uint64_t at_most(uint64_t value, uint64_t limit)
{
	return value < limit ? value : limit;
}

/* The shapes in which the way a stream ends is the point. */
static void plan_end(enum shape shape, struct plan *client, struct plan *server,
		     uint64_t size, uint64_t reset_at)
{
	switch ((int)shape) {
	case SHAPE_CLIENT_FIN:
		client->bytes = at_most(size, GREETER_MAX);
		server->bytes = size;
		server->start = START_AFTER_END;
		break;
	case SHAPE_SERVER_FIN:
		client->bytes = size;
		client->start = START_AFTER_END;
		server->bytes = at_most(size, GREETER_MAX);
		break;
	case SHAPE_CLIENT_RESET:
		*client = (struct plan){.bytes = reset_at, .end = END_RESET};
		*server = (struct plan){.bytes = size ? size : 1,
					.end = END_FIN_LAST};
		break;
	case SHAPE_SERVER_RESET:
		*client = (struct plan){.bytes = size ? size : 1,
					.end = END_FIN_LAST};
		*server = (struct plan){.bytes = reset_at, .end = END_RESET};
		break;
	}
}

static void plan_pace(enum shape shape, const struct options *options,
		      struct plan *client, struct plan *server)
{
	switch ((int)shape) {
	case SHAPE_CLIENT_STALL:
		client->bytes = 0;
		client->stall_at = server->bytes / 4;
		client->stall_ms = options->stall_ms;
		client->end = END_FIN_LAST;
		break;
	case SHAPE_SERVER_STALL:
		server->bytes = 0;
		server->stall_at = client->bytes / 4;
		server->stall_ms = options->stall_ms;
		server->end = END_FIN_LAST;
		break;
	case SHAPE_BYTES:
		client->bytes = at_most(client->bytes, BYTES_MAX);
		server->bytes = at_most(server->bytes, BYTES_MAX);
		client->chunk = 1;
		server->chunk = 1;
		break;
	case SHAPE_EAGER:
		client->bytes = at_most(client->bytes, EAGER_MAX);
		client->chunk = 1400;
		client->pace_us = EAGER_PACE_US;
		break;
	case SHAPE_BURST:
		client->bytes = at_most(client->bytes, BURST_MAX);
		server->end = END_FIN_LAST;
		break;
	}
}

/* What the command line says of segments, where the shape leaves it open. */
static void plan_segments(const struct options *options, struct plan *client,
			  struct plan *server)
{
	client->chunk = options->chunk;
	server->chunk = options->chunk;
	client->pace_us = options->pace_us;
	if (server->start != START_ANSWER)
		server->pace_us = options->pace_us;
}

void shape_choose(const struct options *options, uint64_t id,
		  struct pact *ret_pact, bool *ret_immediate, bool *ret_hold)
{
	uint64_t random = pattern_mix(options->seed, id);
	enum shape shape = choose(options->shapes, pattern_mix(random, 1));
	uint64_t size = choose_size(options, pattern_mix(random, 2));
	uint64_t reset_at = at_most(options->reset_at,
				    pattern_mix(random, 3) %
					    (at_most(size, 1ULL << 62) + 1));
	struct plan client = {.bytes = size}, server = {.bytes = size};

	if (options->reset_at != UNLIMITED)
		reset_at = options->reset_at;
	if (shape == SHAPE_DOWN)
		client = (struct plan){.end = END_FIN_LAST};
	if (shape == SHAPE_UP)
		server = (struct plan){.end = END_FIN_LAST};
	if (shape == SHAPE_ECHO || shape == SHAPE_IDLE) {
		client.start = START_ASK;
		client.message = options->message;
		client.end = END_FIN_DONE;
		server.start = START_ANSWER;
		server.end = END_FIN_LAST;
	}
	if (shape == SHAPE_IDLE)
		client.bytes = server.bytes = 2 * options->message;
	plan_end(shape, &client, &server, size, reset_at);
	plan_pace(shape, options, &client, &server);
	if (shape <= SHAPE_BOTH)
		plan_segments(options, &client, &server);
	if (size == UNLIMITED) {
		client.end = END_CUT;
		server.end = END_CUT;
	}
	*ret_pact = (struct pact){.seed = options->seed,
				  .id = id,
				  .client = client,
				  .server = server};
	*ret_immediate = shape == SHAPE_IMMEDIATE || shape == SHAPE_BURST;
	*ret_hold = shape == SHAPE_IDLE;
}
