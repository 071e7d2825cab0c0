// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * lookup_bench [ROUTES...] - what a lookup and an `apply` cost at so many
 * routes (1, 1,000, 100,000 and 1,000,000 by default), as JSON, a line each.
 *
 * Of the routes, one in 16 is a wildcard, half of them "*.", at two depths;
 * the lookups are random: names of exact routes, names below wildcards, and
 * names without a route. "lookup_ns" is the mean over all three alike.
 * In a mount namespace and on a bpffs of its own; needs root.
 */
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "../../userspace/config_file.h"
#include "../../userspace/number.h"
#include "../../userspace/route.h"
#include "../../userspace/state.h"

#define WILDCARD_EVERY 16
#define QUERIES 20000
#define ROUNDS 10
#define ROUTES_MAX 4000000

enum sample {
	SAMPLE_EXACT,
	SAMPLE_WILDCARD,
	SAMPLE_MISS,
	SAMPLE_COUNT
};

static const char *const sample_names[SAMPLE_COUNT] = {
	[SAMPLE_EXACT] = "exact",
	[SAMPLE_WILDCARD] = "wildcard",
	[SAMPLE_MISS] = "miss",
};

/* splitmix64: names that look random and are the same in every run. */
static uint64_t mix(uint64_t value)
{
	value += 0x9e3779b97f4a7c15ULL;
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ULL;
	value = (value ^ value >> 27) * 0x94d049bb133111ebULL;
	return value ^ value >> 31;
}

static uint64_t nanoseconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* The name of the route with that number, without "*." or ".". */
static int route_name(uint64_t number, char *text, size_t size)
{
	if (number % WILDCARD_EVERY)
		return snprintf(text, size, "h%" PRIx64 ".d%u.example.com",
				mix(number), (unsigned)(number % 1000));
	if (number / WILDCARD_EVERY % 2)
		return snprintf(text, size, "w%" PRIx64 ".example.net",
				mix(number));
	return snprintf(text, size, "w%" PRIx64 ".d%u.example.org", mix(number),
			(unsigned)(number % 1000));
}

static const char *prefix(uint64_t number)
{
	if (number % WILDCARD_EVERY)
		return "";
	return number / WILDCARD_EVERY % 4 < 2 ? "*." : ".";
}

static void write_routes(const char *path, uint64_t routes)
{
	FILE *file = fopen(path, "we");
	char name[128];

	if (!file)
		err(1, "%s", path);
	fprintf(file, "listen add 443\n");
	/* From 1, so that the only one of 1 is exact. */
	for (uint64_t i = 1; i <= routes; i++) {
		route_name(i, name, sizeof(name));
		fprintf(file, "route add %s%s 10.%u.%u.%u:443 --proxy v2\n",
			prefix(i), name, (unsigned)(i >> 16 & 255),
			(unsigned)(i >> 8 & 255), (unsigned)(i & 255));
	}
	if (fclose(file))
		err(1, "%s", path);
}

static void make_query(enum sample sample, uint64_t routes, uint64_t random,
		       struct name *ret_name)
{
	uint64_t number = random % routes + 1;
	char text[128];

	if (sample == SAMPLE_WILDCARD && routes >= WILDCARD_EVERY) {
		number = random % (routes / WILDCARD_EVERY) + 1;
		number *= WILDCARD_EVERY;
		memcpy(text, "www.", 4);
		route_name(number, text + 4, sizeof(text) - 4);
	} else if (sample == SAMPLE_MISS) {
		snprintf(text, sizeof(text), "m%" PRIx64 ".d%u.example.com",
			 mix(random), (unsigned)(random % 1000));
	} else {
		number -= number > 1 && !(number % WILDCARD_EVERY);
		route_name(number, text, sizeof(text));
	}
	ret_name->length = (uint8_t)strlen(text);
	memcpy(ret_name->text, text, ret_name->length + 1U);
}

/* Mean nanoseconds of the processor a lookup of that kind. */
static double measure(const struct store *store, enum sample sample,
		      uint64_t routes)
{
	struct route_table table = ROUTE_TABLE_NONE;
	struct name *names = calloc(QUERIES, sizeof(*names));
	int expected = sample == SAMPLE_MISS ? -ENOENT : 0;
	struct abi_route_key key;
	struct abi_route route;
	uint64_t start;

	if (!names)
		err(1, "memory");
	for (unsigned i = 0; i < QUERIES; i++)
		make_query(sample, routes, mix(i * 4U + sample), &names[i]);
	start = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
	for (unsigned i = 0; i < QUERIES * ROUNDS; i++) {
		struct route_query query = {.kind = ROUTE_QUERY_NAME,
					    .listener_id = 1,
					    .name = &names[i % QUERIES]};

		if (route_lookup(store, &table, &query, &key, &route) !=
		    expected)
			errx(1, "%s: not the expected route", query.name->text);
	}
	start = nanoseconds(CLOCK_THREAD_CPUTIME_ID) - start;
	route_table_close(&table);
	free(names);
	return (double)start / (QUERIES * ROUNDS);
}

static void bench(struct store *store, const struct paths *paths,
		  const char *file, uint64_t routes)
{
	struct config now, want;
	uint64_t start, parsed, applied;
	struct error error;
	double sum = 0;

	write_routes(file, routes);
	start = nanoseconds(CLOCK_MONOTONIC);
	if (config_file_read(file, NULL, &want, &error))
		errx(1, "%s", error.text);
	parsed = nanoseconds(CLOCK_MONOTONIC);
	if (state_load(store, &now, &error) ||
	    state_apply(store, paths, &now, &want, &error))
		errx(1, "%s", error.text);
	applied = nanoseconds(CLOCK_MONOTONIC);
	unlink(file);
	config_done(&now);
	config_done(&want);
	printf("{\"routes\": %" PRIu64, routes);
	for (unsigned i = 0; i < SAMPLE_COUNT; i++) {
		double mean = measure(store, i, routes);

		sum += mean;
		printf(", \"%s_ns\": %.0f", sample_names[i], mean);
	}
	printf(", \"lookup_ns\": %.0f, \"parse_ms\": %.1f, \"apply_ms\": %.1f, "
	       "\"memory_bytes\": %" PRIu64 "}\n",
	       sum / SAMPLE_COUNT, (double)(parsed - start) / 1e6,
	       (double)(applied - start) / 1e6, store_memory(store));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const uint64_t usual[] = {1, 1000, 100000, 1000000};
	char folder[] = "/tmp/lookup_bench.XXXXXX";
	char bpffs[64], state[64], file[64];
	struct paths paths = {bpffs, folder, state};
	struct store store;
	struct error error;
	uint64_t routes;

	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		err(1, "this needs root");
	if (!mkdtemp(folder) || mount("bpf", folder, "bpf", 0, NULL))
		err(1, "%s", folder);
	snprintf(bpffs, sizeof(bpffs), "%s/snictl", folder);
	snprintf(state, sizeof(state), "%s.state", folder);
	snprintf(file, sizeof(file), "%s.routes", folder);
	if (state_open(&paths, &store, &error))
		errx(1, "%s", error.text);
	for (int i = 1; i < argc; i++) {
		if (number_parse(argv[i], 1, ROUTES_MAX, &routes))
			errx(2, "\"%s\" is no number of routes", argv[i]);
		bench(&store, &paths, file, routes);
	}
	for (unsigned i = 0; argc < 2 && i < 4; i++)
		bench(&store, &paths, file, usual[i]);
	store_close(&store);
	unlink(state);
	umount2(folder, MNT_DETACH);
	rmdir(folder);
	return 0;
}
