// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The table and the search in it, on memory of our own. What the kernel and
 * writers add is in test_store.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../../userspace/config.h"
#include "../../userspace/route.h"
#include "../../userspace/route_map.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/** struct fixture - a store that is only what a lookup looks at. */
struct fixture {
	struct abi_meta meta;
	struct store store;
	struct route_table table;
};

static void make(struct fixture *fixture, uint64_t count, uint64_t words)
{
	uint64_t total = route_map_words(count, words);

	*fixture = (struct fixture){.store = STORE_NONE};
	memcpy(fixture->meta.hash_key, "sixteen letters.", 16);
	fixture->store.meta = &fixture->meta;
	fixture->table.map = calloc(total, sizeof(uint64_t));
	assert_non_null(fixture->table.map);
	fixture->table.bytes = total * sizeof(uint64_t);
	route_map_init(fixture->table.map, total, route_map_slots(count));
}

static void unmake(struct fixture *fixture)
{
	free(fixture->table.map);
}

static struct pattern pattern_of(const char *text)
{
	struct pattern pattern;
	const char *reason;

	if (pattern_parse(text, &pattern, &reason))
		fail_msg("%s: %s", text, reason);
	return pattern;
}

/* The route's first target tells it from others: 10.0.0.NUMBER. */
static struct abi_route route_of(const struct pattern *pattern, uint8_t number)
{
	struct abi_route route = {.action = ABI_ACTION_FORWARD,
				  .target_count = 1,
				  .apex = pattern->apex,
				  .name_length = pattern->name.length};

	route.target[0] = (struct abi_endpoint){
		.addr = {10, 0, 0, number}, .family = 2, .port_be = 443};
	memcpy(route.name, pattern->name.text, pattern->name.length);
	return route;
}

static void put(struct fixture *fixture, uint32_t scope, const char *text,
		uint8_t number)
{
	struct pattern pattern = pattern_of(text);
	struct abi_route route = route_of(&pattern, number);
	struct abi_route_key key;
	unsigned bit;

	route_key(&fixture->store, scope, &pattern, &key);
	assert_int_equal(route_map_put(fixture->table.map, &key, &route), 0);
	fixture->meta.scoped_routes += scope != 0;
	if (pattern.kind != ABI_ROUTE_WILDCARD)
		return;
	bit = name_labels(&pattern.name) - 1;
	fixture->meta.depths[scope != 0][bit / 64] |= UINT64_C(1) << bit % 64;
}

static int del(struct fixture *fixture, uint32_t scope, const char *text)
{
	struct pattern pattern = pattern_of(text);
	struct abi_route_key key;

	route_key(&fixture->store, scope, &pattern, &key);
	return route_map_del(fixture->table.map, &key);
}

static struct name name_of(const char *text)
{
	struct name name = {.length = (uint8_t)strlen(text)};

	assert_true(strlen(text) <= ABI_NAME_MAX);
	memcpy(name.text, text, strlen(text) + 1);
	return name;
}

/* "-": not TLS; "": no name. Returns the number of the route, 0 for none. */
static unsigned look_up(struct fixture *fixture, uint32_t listener,
			const char *text)
{
	struct name name = name_of(text);
	struct route_query query = {.listener_id = listener, .name = &name};
	struct abi_route_key key, expected;
	struct abi_route route;
	struct pattern pattern;
	int status;

	query.kind = !*text		  ? ROUTE_QUERY_NO_NAME
		     : !strcmp(text, "-") ? ROUTE_QUERY_NOT_TLS
					  : ROUTE_QUERY_NAME;
	memset(&route, 0x5a, sizeof(route));
	status = route_lookup(&fixture->store, &fixture->table, &query, &key,
			      &route);
	if (status) {
		assert_int_equal(status, -ENOENT);
		assert_int_equal(route.action, 0x5a);
		return 0;
	}
	/* The key is that of the route, not of the name asked for. */
	pattern = (struct pattern){.kind = key.kind};
	pattern.name.length = route.name_length;
	memcpy(pattern.name.text, route.name, route.name_length);
	route_key(&fixture->store, key.scope, &pattern, &expected);
	assert_memory_equal(&key, &expected, sizeof(key));
	return route.target[0].addr[3];
}

static void test_precedence(void **state)
{
	static const struct {
		const char *name;
		unsigned listener;
		unsigned number;
	} rows[] = {
		{"pbx.example.com", 1, 1},
		/* The longer wildcard beats the shorter. */
		{"a.example.com", 1, 2},
		{"b.a.example.com", 1, 2},
		{"x.deep.example.com", 1, 3},
		{"y.x.deep.example.com", 1, 3},
		{"deep.example.com", 1, 2},
		/* "*." does not cover the domain itself, "." does. */
		{"example.com", 1, 9},
		{"example.net", 1, 4},
		{"a.example.net", 1, 4},
		/* Exact beats the apex of a wildcard. */
		{"example.org", 1, 6},
		{"a.example.org", 1, 5},
		/* Whole labels only. */
		{"myexample.net", 1, 9},
		{"net", 1, 9},
		{"pbx.example.com.evil", 1, 9},
		{"", 1, 7},
		{"-", 1, 8},
		/* Its own table is searched whole, then the common one. */
		{"pbx.example.com", 2, 21},
		{"a.example.com", 2, 2},
		{"unknown.example", 2, 9},
		{"", 2, 7},
		{"-", 2, 8},
		{"pbx.example.com", 3, 31},
		{"", 3, 31},
		{"-", 3, 8},
		{"pbx.example.com", 4, 41},
		{"x.pbx.example.com", 4, 41},
		{"a.example.com", 4, 2},
	};
	struct fixture fixture;

	(void)state;
	make(&fixture, 20, 200);
	put(&fixture, 0, "pbx.example.com", 1);
	put(&fixture, 0, "*.example.com", 2);
	put(&fixture, 0, "*.deep.example.com", 3);
	put(&fixture, 0, ".example.net", 4);
	put(&fixture, 0, ".example.org", 5);
	put(&fixture, 0, "example.org", 6);
	put(&fixture, 0, "none", 7);
	put(&fixture, 0, "other", 8);
	put(&fixture, 0, "default", 9);
	put(&fixture, 2, "pbx.example.com", 21);
	put(&fixture, 3, "default", 31);
	put(&fixture, 4, ".pbx.example.com", 41);
	for (unsigned i = 0; i < COUNT(rows); i++) {
		unsigned number =
			look_up(&fixture, rows[i].listener, rows[i].name);

		if (number != rows[i].number)
			fail_msg("\"%s\" on %u: %u, not %u", rows[i].name,
				 rows[i].listener, number, rows[i].number);
	}
	unmake(&fixture);
}

static void test_without_default_nothing_is_covered(void **state)
{
	struct fixture fixture;

	(void)state;
	make(&fixture, 2, 20);
	put(&fixture, 0, "a.example", 1);
	assert_int_equal(look_up(&fixture, 1, "b.example"), 0);
	assert_int_equal(look_up(&fixture, 1, ""), 0);
	assert_int_equal(look_up(&fixture, 1, "-"), 0);
	/* "default" is for TLS clients, also those without a name. */
	put(&fixture, 0, "default", 2);
	assert_int_equal(look_up(&fixture, 1, "b.example"), 2);
	assert_int_equal(look_up(&fixture, 1, ""), 2);
	assert_int_equal(look_up(&fixture, 1, "-"), 0);
	unmake(&fixture);
}

static void test_the_most_labels_a_name_has(void **state)
{
	char name[ABI_NAME_MAX + 1], wildcard[ABI_NAME_MAX + 2];
	struct fixture fixture;

	(void)state;
	/* "a.a.a. ... .a": 127 labels, 253 characters. */
	for (unsigned i = 0; i < ABI_NAME_MAX; i++)
		name[i] = i % 2 ? '.' : 'a';
	name[ABI_NAME_MAX] = '\0';
	make(&fixture, 200, 200 * 40);
	/* Below the one label at the end, up to all but the first. */
	for (unsigned labels = 1; labels < 127; labels++) {
		snprintf(wildcard, sizeof(wildcard), "*.%s",
			 name + 2 * (127 - labels));
		put(&fixture, 0, wildcard, (uint8_t)labels);
		assert_int_equal(look_up(&fixture, 1, name), labels);
	}
	for (unsigned labels = 126; labels > 1; labels--) {
		snprintf(wildcard, sizeof(wildcard), "*.%s",
			 name + 2 * (127 - labels));
		assert_int_equal(del(&fixture, 0, wildcard), 0);
		assert_int_equal(look_up(&fixture, 1, name), labels - 1);
	}
	/* All 127 themselves, as the apex. */
	snprintf(wildcard, sizeof(wildcard), ".%s", name);
	put(&fixture, 0, wildcard, 127);
	assert_int_equal(look_up(&fixture, 1, name), 127);
	unmake(&fixture);
}

/* Two names with one hash: the name in the record decides. */
static void test_a_hash_alone_is_no_match(void **state)
{
	struct pattern pattern = pattern_of("a.example");
	struct abi_route route;
	struct abi_route_key key;
	struct fixture fixture;

	(void)state;
	make(&fixture, 1, 10);
	route_key(&fixture.store, 0, &pattern, &key);
	pattern = pattern_of("b.example");
	route = route_of(&pattern, 1);
	assert_int_equal(route_map_put(fixture.table.map, &key, &route), 0);
	assert_int_equal(look_up(&fixture, 1, "a.example"), 0);
	unmake(&fixture);
}

static bool collect(void *context, const struct abi_route_key *key,
		    const struct pattern *pattern,
		    const struct abi_route *route)
{
	char *text = context, name[PATTERN_TEXT_SIZE];

	snprintf(text + strlen(text), 512 - strlen(text), "%s%u:%s%s",
		 *text ? " " : "", key->scope, pattern_format(pattern, name),
		 route ? "!" : "");
	return false;
}

static void test_a_walk_visits_all_candidates_in_order(void **state)
{
	struct name name = name_of("a.b.example.com");
	struct route_query query = {
		.listener_id = 1, .kind = ROUTE_QUERY_NAME, .name = &name};
	struct fixture fixture;
	char seen[512] = "";

	(void)state;
	make(&fixture, 10, 100);
	put(&fixture, 0, "*.com", 1);
	put(&fixture, 0, ".a.b.example.com", 2);
	put(&fixture, 0, "x.b.example.com", 3);
	put(&fixture, 1, ".b.example.com", 4);
	route_walk(&fixture.store, &fixture.table, &query, collect, seen);
	assert_string_equal(seen,
			    "1:a.b.example.com 1:.b.example.com! 1:default "
			    "0:a.b.example.com 0:.a.b.example.com! 0:*.com! "
			    "0:default");
	unmake(&fixture);
}

/* ---- the table ---------------------------------------------------------- */

static void test_a_record_is_read_as_it_was_put(void **state)
{
	static const char many[] =
		"10.0.0.1,[2001:db8::1]:8443,10.0.0.3,10.0.0.4,10.0.0.5,"
		"10.0.0.6,10.0.0.7,10.0.0.8:65535 --proxy v1";
	static const char *const lines[] = {
		"reject", "10.0.0.1 --proxy v2 --datapath relay", many};
	static const char *const names[] = {"default", "*.a.example", "x"};
	struct fixture fixture;

	(void)state;
	make(&fixture, 10, 400);
	for (unsigned i = 0; i < COUNT(lines) * COUNT(names); i++) {
		const struct abi_route_record *record;
		AUTO_CONFIG config = {0};
		struct abi_route route;
		struct abi_route_key key;
		struct pattern pattern;
		struct error error;
		char text[256];

		snprintf(text, sizeof(text), "route add %s %s",
			 names[i % COUNT(names)], lines[i / COUNT(names)]);
		assert_int_equal(config_parse("F", text, strlen(text), NULL,
					      &config, &error),
				 0);
		config_route_pattern(&config.routes[0], &pattern);
		route_key(&fixture.store, i, &pattern, &key);
		assert_int_equal(route_map_put(fixture.table.map, &key,
					       &config.routes[0].route),
				 0);
		record = route_map_find(fixture.table.map, &key);
		assert_non_null(record);
		route_map_read(record, &route);
		assert_memory_equal(&route, &config.routes[0].route,
				    sizeof(route));
	}
	unmake(&fixture);
}

static void test_what_was_found_stays_as_it_is(void **state)
{
	const struct abi_route_record *record;
	struct pattern pattern = pattern_of("a.example");
	struct abi_route_key key;
	struct abi_route route;
	struct fixture fixture;

	(void)state;
	make(&fixture, 1, 10);
	put(&fixture, 0, "a.example", 1);
	route_key(&fixture.store, 0, &pattern, &key);
	record = route_map_find(fixture.table.map, &key);
	put(&fixture, 0, "a.example", 2);
	assert_int_equal(del(&fixture, 0, "a.example"), 0);
	put(&fixture, 0, "a.example", 3);
	route_map_read(record, &route);
	assert_int_equal(route.target[0].addr[3], 1);
	/* The slot is used again, though. */
	assert_int_equal(fixture.table.map->used, 1);
	assert_int_equal(look_up(&fixture, 1, "a.example"), 3);
	unmake(&fixture);
}

static void test_a_full_table_refuses_and_stays_whole(void **state)
{
	struct pattern pattern;
	struct abi_route route;
	struct abi_route_key key;
	struct fixture fixture;
	unsigned count = 0;
	char text[32];

	(void)state;
	make(&fixture, 0, 0);
	for (;; count++) {
		snprintf(text, sizeof(text), "n%u.example", count);
		pattern = pattern_of(text);
		route = route_of(&pattern, (uint8_t)(count % 255 + 1));
		route_key(&fixture.store, 0, &pattern, &key);
		if (!route_map_has_room(fixture.table.map, &route))
			break;
		assert_int_equal(route_map_put(fixture.table.map, &key, &route),
				 0);
	}
	assert_int_equal(route_map_put(fixture.table.map, &key, &route),
			 -ENOSPC);
	assert_true(count >= 1024);
	for (unsigned i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "n%u.example", i);
		assert_int_equal(look_up(&fixture, 1, text), i % 255 + 1);
	}
	assert_int_equal(look_up(&fixture, 1, "n.example"), 0);
	unmake(&fixture);
}

static void test_a_table_has_room_for_what_it_was_made_for(void **state)
{
	static const unsigned counts[] = {0, 1, 1023, 1024, 3000, 65536};

	(void)state;
	for (unsigned i = 0; i < COUNT(counts); i++) {
		uint64_t words = 0;
		struct abi_route route = {.name_length = ABI_NAME_MAX,
					  .target_count = ABI_TARGETS_MAX};
		struct abi_route_key key = {.kind = ABI_ROUTE_EXACT};
		struct fixture fixture;

		words = counts[i] * route_map_record_words(&route);
		make(&fixture, counts[i], words);
		for (unsigned j = 0; j < counts[i]; j++) {
			key.hash[0] = j * 0x0123456789abcdefULL;
			key.hash[1] = j;
			assert_int_equal(
				route_map_put(fixture.table.map, &key, &route),
				0);
		}
		/* And for one more. */
		key.hash[1] = ~0ULL;
		assert_int_equal(route_map_put(fixture.table.map, &key, &route),
				 0);
		unmake(&fixture);
	}
}

#define MODEL 300

/* A long random history against an array: same finds, same walk. */
static void test_any_history_is_that_of_a_plain_array(void **state)
{
	uint8_t model[MODEL] = {0};
	struct fixture fixture;
	uint32_t random = 1;
	unsigned living = 0, walked = 0;
	char text[32];

	(void)state;
	make(&fixture, 20000, 20000 * 10);
	for (unsigned step = 0; step < 15000; step++) {
		unsigned which, number;

		random = random * 1664525 + 1013904223;
		which = random >> 16 & 511;
		number = random >> 8 & 255;
		if (which >= MODEL)
			continue;
		snprintf(text, sizeof(text), "n%u.example", which);
		if (number) {
			put(&fixture, which % 3, text, (uint8_t)number);
		} else {
			assert_int_equal(del(&fixture, which % 3, text),
					 model[which] ? 0 : -ENOENT);
		}
		model[which] = (uint8_t)number;
		assert_int_equal(look_up(&fixture, which % 3, text), number);
	}
	for (unsigned i = 0; i < MODEL; i++) {
		snprintf(text, sizeof(text), "n%u.example", i);
		assert_int_equal(look_up(&fixture, i % 3, text), model[i]);
		living += model[i] != 0;
	}
	for (const struct abi_route_record *at = NULL;
	     (at = route_map_next(fixture.table.map, at));)
		walked++;
	assert_int_equal(walked, living);
	unmake(&fixture);
}

#define REPLACEMENTS 200000

/** struct race - a reader beside a writer; @over: set by the writer. */
struct race {
	struct fixture *fixture;
	struct abi_route_key key;
	atomic_bool over;
	unsigned lookups;
	unsigned missed;
	unsigned torn;
	unsigned backwards;
};

static void *read_on(void *context)
{
	struct race *race = context;
	uint32_t seen = 0;

	while (!race->over) {
		const struct abi_route_record *record;
		struct abi_route route;
		uint32_t first, last;

		race->lookups++;
		record = route_map_find(race->fixture->table.map, &race->key);
		if (!record) {
			race->missed++;
			continue;
		}
		route_map_read(record, &route);
		memcpy(&first, route.target[0].addr, sizeof(first));
		memcpy(&last, route.target[1].addr, sizeof(last));
		race->torn += first != last;
		race->backwards += first < seen;
		seen = first;
	}
	return NULL;
}

static void test_a_reader_beside_a_writer(void **state)
{
	struct pattern pattern = pattern_of("a.example");
	struct abi_route route = route_of(&pattern, 0);
	struct fixture fixture;
	struct race race = {.fixture = &fixture};
	pthread_t thread;

	(void)state;
	route.target_count = 2;
	make(&fixture, 1, REPLACEMENTS * (route_map_record_words(&route) + 1));
	route_key(&fixture.store, 0, &pattern, &race.key);
	for (uint32_t i = 0; i < REPLACEMENTS; i++) {
		memcpy(route.target[0].addr, &i, sizeof(i));
		memcpy(route.target[1].addr, &i, sizeof(i));
		if (route_map_put(fixture.table.map, &race.key, &route))
			fail_msg("no room for version %u", i);
		if (!i)
			assert_int_equal(
				pthread_create(&thread, NULL, read_on, &race),
				0);
	}
	race.over = true;
	pthread_join(thread, NULL);
	assert_true(race.lookups > 0);
	assert_int_equal(race.missed, 0);
	assert_int_equal(race.torn, 0);
	assert_int_equal(race.backwards, 0);
	unmake(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_precedence),
		cmocka_unit_test(test_without_default_nothing_is_covered),
		cmocka_unit_test(test_the_most_labels_a_name_has),
		cmocka_unit_test(test_a_hash_alone_is_no_match),
		cmocka_unit_test(test_a_walk_visits_all_candidates_in_order),
		cmocka_unit_test(test_a_record_is_read_as_it_was_put),
		cmocka_unit_test(test_what_was_found_stays_as_it_is),
		cmocka_unit_test(test_a_full_table_refuses_and_stays_whole),
		cmocka_unit_test(
			test_a_table_has_room_for_what_it_was_made_for),
		cmocka_unit_test(test_any_history_is_that_of_a_plain_array),
		cmocka_unit_test(test_a_reader_beside_a_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
