// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Writers that die, and readers beside writers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include "../../userspace/listener.h"
#include "instance.h"

/* ---- writers that die --------------------------------------------------- */

/* In a child: never returns. Its parent lets it go on, call by call. */
static void be_traced(const struct paths *paths,
		      int (*act)(const struct paths *paths))
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) || raise(SIGSTOP))
		_exit(99);
	_exit(act(paths) ? 1 : 0);
}

/*
 * Runs @act in a process that is killed at its system call number @stop / 2,
 * before it is made or, with an odd @stop, behind it. Returns false if it had
 * ended by then.
 */
static bool die_in(const struct paths *paths,
		   int (*act)(const struct paths *paths), unsigned stop)
{
	pid_t child = fork();
	int status;

	if (!child)
		be_traced(paths, act);
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, child, NULL,
				PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL),
			 0);
	for (unsigned i = 0; i <= stop; i++) {
		assert_int_equal(ptrace(PTRACE_SYSCALL, child, NULL, NULL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		if (WIFEXITED(status)) {
			assert_int_equal(WEXITSTATUS(status), 0);
			return false;
		}
		assert_true(WIFSTOPPED(status));
		assert_int_equal(WSTOPSIG(status), SIGTRAP | 0x80);
	}
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	return true;
}

/* Small flow maps: they are mapped by each of many processes. */
#define OLD                                                                    \
	"listen add 443\n"                                                     \
	"set flow-capacity 64\n"                                               \
	"route add a.example 10.0.0.1:443\n"                                   \
	"route add default 10.0.0.1:443\n"
#define OLD_AND_ONE                                                            \
	"listen add 443\n"                                                     \
	"set flow-capacity 64\n"                                               \
	"route add a.example 10.0.0.1:443\n"                                   \
	"route add .b.example 10.0.0.2:443\n"                                  \
	"route add default 10.0.0.1:443\n"
#define NEW                                                                    \
	"listen add 444\n"                                                     \
	"listen add 8443 --accept-proxy 10.0.0.0/8\n"                          \
	"set flow-capacity 64\n"                                               \
	"set log json\n"                                                       \
	"route add a.example 10.0.0.2:443\n"                                   \
	"route add .b.example 10.0.0.2:443\n"                                  \
	"route add default 10.0.0.3:443\n"                                     \
	"route add a.example 10.0.0.2:443 --on 8443\n"

static void begin_with_old(const struct paths *paths)
{
	struct store store;

	must_apply(paths, OLD);
	assert_int_equal(store_remove(paths, NULL), 0);
	store = open_state(paths);
	assert_int_equal(store.flow_capacity, 64);
	store_close(&store);
}

static int add_one(const struct paths *paths)
{
	return edit(paths, "route add .b.example 10.0.0.2", NULL);
}

static int apply_new(const struct paths *paths)
{
	return apply(paths, NEW, NULL);
}

static int only_open(const struct paths *paths)
{
	struct store store;
	int status = state_open(paths, &store, NULL);

	if (!status)
		store_close(&store);
	return status;
}

/* What a reader sees who comes before the next writer: all the old routes or
 * all the new, where the wildcard is at a depth that the old ones have not. */
static void assert_reader_is_served(const struct paths *paths)
{
	AUTO_STORE store = STORE_NONE;
	struct route_table table = ROUTE_TABLE_NONE;
	struct error error;
	unsigned exact, other;

	if (store_open(paths, STORE_READ, &store, &error))
		fail_msg("%s", error.text);
	exact = look_up(&store, &table, 1, "a.example");
	other = look_up(&store, &table, 1, "b.example");
	assert_in_range(exact, 1, 2);
	assert_in_range(other, exact, 2);
	route_table_close(&table);
}

/* After the next writer has opened it, the state is one of two, in the maps,
 * in a lookup and in the file. Returns whether it is the new one. */
static bool assert_old_or_new(const struct paths *paths, const char *new)
{
	AUTO_STORE store = open_state(paths);
	struct route_table table = ROUTE_TABLE_NONE;
	AUTO_CONFIG saved = {0};
	char *maps = maps_text(paths), *file;
	bool is_new = !strcmp(maps, new);

	assert_int_equal(store.meta->dirty, 0);
	if (!is_new)
		assert_string_equal(maps, OLD);
	assert_int_equal(look_up(&store, &table, 0, "b.example"),
			 is_new ? 2 : 1);
	assert_int_equal(config_file_read(paths->state, NULL, &saved, NULL), 0);
	file = text_of(&saved);
	assert_string_equal(file, maps);
	free(file);
	free(maps);
	route_table_close(&table);
	return is_new;
}

static void die_everywhere(const struct paths *paths,
			   int (*act)(const struct paths *paths),
			   const char *new)
{
	unsigned old_seen = 0, new_seen = 0, stop;

	begin_with_old(paths);
	for (stop = 0; die_in(paths, act, stop); stop++) {
		assert_reader_is_served(paths);
		if (!assert_old_or_new(paths, new)) {
			/* What has come to hold stays so. */
			assert_int_equal(new_seen, 0);
			old_seen++;
			continue;
		}
		new_seen++;
		must_apply(paths, OLD);
	}
	assert_true(assert_old_or_new(paths, new));
	print_message("died %u times: %u old, %u new\n", stop, old_seen,
		      new_seen);
	assert_true(old_seen > 20);
	assert_true(new_seen > 3);
}

static void test_a_writer_of_one_row_dies(void **state)
{
	die_everywhere(start(state), add_one, OLD_AND_ONE);
}

static void test_a_writer_of_everything_dies(void **state)
{
	die_everywhere(start(state), apply_new, NEW);
}

/* The creation: afterwards there is nothing, or all of it. */
static void test_a_creator_dies(void **state)
{
	const struct paths *paths = start(state);
	unsigned stop, nothing = 0;

	begin_with_old(paths);
	for (stop = 0;; stop++) {
		AUTO_STORE store = STORE_NONE;
		struct error error;
		bool died;
		int status;

		assert_int_equal(store_remove(paths, NULL), 0);
		died = die_in(paths, only_open, stop);
		status = store_open(paths, STORE_READ, &store, &error);
		if (status) {
			assert_int_equal(status, -ENOENT);
			nothing++;
		} else {
			assert_maps(paths, OLD);
		}
		assert_false(assert_old_or_new(paths, NEW));
		if (!died)
			break;
	}
	print_message("died %u times: %u without maps\n", stop, nothing);
	assert_true(nothing > 50 && nothing < stop);
}

/* Dies behind the moment from which the change holds, maps untouched. */
static void die_halfway(const struct paths *paths)
{
	unsigned stop = 0;

	begin_with_old(paths);
	for (;; stop++) {
		AUTO_STORE store = STORE_NONE;
		AUTO_CONFIG saved = {0};
		char *maps, *file;
		bool differs;

		must_apply(paths, OLD);
		assert_true(die_in(paths, apply_new, stop));
		assert_int_equal(store_open(paths, STORE_READ, &store, NULL),
				 0);
		assert_int_equal(
			config_file_read(paths->state, NULL, &saved, NULL), 0);
		maps = maps_text(paths);
		file = text_of(&saved);
		differs = store.meta->dirty && strcmp(maps, file) != 0;
		free(maps);
		free(file);
		if (differs)
			return;
	}
}

static void test_who_completes_a_change_dies_too(void **state)
{
	const struct paths *paths = start(state);
	unsigned stop;

	die_halfway(paths);
	for (stop = 0; die_in(paths, only_open, stop); stop++)
		assert_reader_is_served(paths);
	assert_true(assert_old_or_new(paths, NEW));
	assert_true(stop > 50);
}

/* Between the mark and the rename: the file is not the one that was to be put
 * in force, but what somebody has written there, or no file at all. */
static void test_a_change_that_has_not_begun_is_none(void **state)
{
	static const char other[] = "# snictl state 1\n"
				    "route add c.example drop\n"
				    "# end of 1 rows\n";
	const struct paths *paths = start(state);

	must_apply(paths, OLD);
	for (unsigned i = 0; i < 2; i++) {
		AUTO_STORE store = open_state(paths);

		store.meta->dirty = 12345;
		if (i)
			assert_int_equal(unlink(paths->state), 0);
		else
			write_text(paths->state, other, sizeof(other) - 1);
		assert_int_equal(only_open(paths), 0);
		assert_int_equal(store.meta->dirty, 0);
		assert_maps(paths, OLD);
	}
}

/* ---- readers beside a writer -------------------------------------------- */

#define ROUTES 10000
#define VERSIONS 24
#define READERS 2

/** struct reading - what the readers share. */
struct reading {
	const struct store *store;
	atomic_bool over;
	atomic_uint lookups;
	atomic_uint wrong;
	atomic_uint newest;
};

/*
 * Every version gives every name another target, and the names under
 * wildcards another depth: "x.y.N.example" is found below "*.example", below
 * "*.N.example" or below "*.y.N.example". Each lookup must find a version no
 * older than one that the same thread has seen before.
 */
static void *read_on(void *context)
{
	struct reading *reading = context;
	struct route_table table = ROUTE_TABLE_NONE;
	unsigned seen = 0, random = 12345;

	while (!reading->over) {
		struct abi_route_key key;
		struct abi_route route;
		struct name name;
		struct route_query query = {.listener_id = 1, .name = &name};
		unsigned version;

		random = random * 1664525 + 1013904223;
		name.length = (uint8_t)snprintf(
			name.text, sizeof(name.text),
			random & 1 << 30 ? "x.y.%u.example" : "%u.example",
			(random >> 8) % (ROUTES / 2));
		reading->lookups++;
		if (route_lookup(reading->store, &table, &query, &key,
				 &route)) {
			reading->wrong++;
			continue;
		}
		version = route.target[0].addr[3];
		if (version < seen)
			reading->wrong++;
		seen = version;
	}
	route_table_close(&table);
	return NULL;
}

static char *text_of_version(unsigned version)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	if (version % 3 == 0)
		fprintf(out, "route add *.example 10.0.0.%u\n", version);
	for (unsigned i = 0; i < ROUTES / 2; i++) {
		fprintf(out, "route add %u.example 10.0.0.%u\n", i, version);
		if (version % 3)
			fprintf(out, "route add *.%s%u.example 10.0.0.%u\n",
				version % 3 == 2 ? "y." : "", i, version);
	}
	fclose(out);
	return text;
}

static void test_a_lookup_sees_all_the_old_or_all_the_new(void **state)
{
	const struct paths *paths = start(state);
	struct store store = open_state(paths);
	struct reading reading = {.store = &store};
	pthread_t threads[READERS];
	pid_t writer;
	int status;
	char *text;

	text = text_of_version(1);
	must_apply(paths, text);
	free(text);
	writer = fork();
	if (!writer) {
		for (unsigned i = 2; i < VERSIONS; i++) {
			text = text_of_version(i);
			if (apply(paths, text, NULL))
				_exit(1);
			free(text);
		}
		_exit(0);
	}
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, read_on, &reading),
			0);
	assert_int_equal(waitpid(writer, &status, 0), writer);
	reading.over = true;
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(status, 0);
	print_message("%u lookups beside %u versions\n", reading.lookups,
		      VERSIONS - 1);
	assert_int_equal(reading.wrong, 0);
	assert_true(reading.lookups > 10000);
	store_close(&store);
}

/* One row of many is replaced in place, over and over, and other rows come
 * and go beside it: it is always found, and never older than before. */
static void *watch_row(void *context)
{
	struct reading *reading = context;
	struct route_table table = ROUTE_TABLE_NONE;
	struct name name = {.length = 9, .text = "a.example"};
	struct route_query query = {.listener_id = 1, .name = &name};
	struct abi_route_key key;
	struct abi_route route;
	unsigned seen = 0;

	while (!reading->over) {
		unsigned version;

		reading->lookups++;
		if (route_lookup(reading->store, &table, &query, &key,
				 &route)) {
			reading->wrong++;
			continue;
		}
		version = (unsigned)route.target[0].addr[2] << 8 |
			  route.target[0].addr[3];
		if (version < seen || route.target_count != 8 ||
		    memcmp(route.target[0].addr, route.target[7].addr, 4))
			reading->wrong++;
		seen = version;
	}
	route_table_close(&table);
	return NULL;
}

static void test_a_row_is_replaced_beside_readers(void **state)
{
	const struct paths *paths = start(state);
	struct store store = open_state(paths);
	struct reading reading = {.store = &store};
	uint64_t generation = 0;
	pthread_t thread;
	char line[512];

	must_edit(paths, "set keepalive 1m");
	for (unsigned version = 1; version < 300; version++) {
		int length = snprintf(line, sizeof(line), "route %s a.example ",
				      version == 1 ? "add" : "replace");

		for (unsigned i = 0; i < 8; i++)
			length += snprintf(line + length, 32, "10.0.%u.%u:%u%s",
					   version >> 8, version & 255, i + 1,
					   i < 7 ? "," : "");
		must_edit(paths, line);
		if (version == 1) {
			generation = store.meta->route_generation;
			assert_int_equal(pthread_create(&thread, NULL,
							watch_row, &reading),
					 0);
		}
		must_edit(paths, version % 2 ? "route add b.example drop"
					     : "route del b.example");
	}
	reading.over = true;
	pthread_join(thread, NULL);
	/* In place, but for the moves into a larger map. */
	assert_true(store.meta->route_generation - generation < 10);
	assert_int_equal(reading.wrong, 0);
	assert_true(reading.lookups > 1000);
	store_close(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
		TEST(test_a_writer_of_one_row_dies),
		TEST(test_a_writer_of_everything_dies),
		TEST(test_a_creator_dies),
		TEST(test_who_completes_a_change_dies_too),
		TEST(test_a_change_that_has_not_begun_is_none),
		TEST(test_a_lookup_sees_all_the_old_or_all_the_new),
		TEST(test_a_row_is_replaced_beside_readers),
	};

	return cmocka_run_group_tests(tests, mount_bpffs, unmount_bpffs);
}
