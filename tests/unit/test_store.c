// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Store and state on a real bpffs, in a mount namespace of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <bpf/bpf.h>
#include <sys/wait.h>
#include "../../userspace/addr.h"
#include "../../userspace/listener.h"
#include "instance.h"

#define NOBODY 65534

#define HEADER "# snictl state 1 - written by snictl with every change\n"

static void assert_file(const struct paths *paths, const char *expected)
{
	char *text = slurp(paths->state);

	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

/* ---- creation and restoration ------------------------------------------- */

static void test_a_writer_makes_what_is_missing(void **state)
{
	const struct paths *paths = start(state);
	struct store store;
	struct error error;

	assert_int_equal(store_open(paths, STORE_READ, &store, &error),
			 -ENOENT);
	assert_int_equal(error.status, EXIT_NOT_LOADED);
	store = open_state(paths);
	assert_int_equal(store.meta->magic, ABI_MAGIC);
	assert_int_equal(store.meta->flow_capacity, 24576);
	assert_int_equal(store.flow_capacity, 24576);
	/* All of the arrays is there, and all of it is zero. */
	assert_int_equal(store.cold[24575].phase, ABI_PHASE_FREE);
	store.hot[24575].direction[1].bytes = 1;
	store.counters[ABI_THREADS_MAX - 1].accepted = 1;
	assert_true(store_memory(&store) > 24576 * 320);
	store_close(&store);
	assert_maps(paths, "listen add 443\n");
	/* What is there is opened, not made again. */
	store = open_state(paths);
	assert_int_equal(store.hot[24575].direction[1].bytes, 1);
	store_close(&store);
}

static void test_the_file_brings_everything_back(void **state)
{
	static const char text[] =
		"listen add 443\n"
		"listen add 8443 --accept-proxy 10.0.0.0/8\n"
		"set flow-capacity 128\n"
		"set log json\n"
		"route add a.example 10.0.0.2:443\n"
		"route add .a.example 10.0.0.1:443 --proxy v2\n"
		"route add default 10.0.0.3:443,10.0.0.4:443\n"
		"route add a.example 10.0.0.5:443 --on 8443\n";
	const struct paths *paths = start(state);
	struct route_table table = ROUTE_TABLE_NONE;
	struct listener_list list;
	char expected[1024];
	struct store store;
	uint32_t id;

	must_apply(paths, text);
	assert_maps(paths, text);
	snprintf(expected, sizeof(expected), HEADER "%s# end of 8 rows\n",
		 text);
	assert_file(paths, expected);
	assert_int_equal(store_remove(paths, NULL), 0);
	assert_int_not_equal(access(paths->bpffs, F_OK), 0);

	store = open_state(paths);
	assert_maps(paths, text);
	assert_file(paths, expected);
	assert_int_equal(store.flow_capacity, 128);
	assert_int_equal(listener_list_read(&store, &list, NULL), 0);
	assert_int_equal(list.count, 2);
	assert_int_equal(list.row[1].value.trusted_count, 1);
	id = list.row[1].value.id;
	assert_true(id && id != list.row[0].value.id);
	assert_int_equal(look_up(&store, &table, id, "a.example"), 5);
	assert_int_equal(look_up(&store, &table, id, "b.a.example"), 1);
	assert_int_equal(look_up(&store, &table, 0, "a.example"), 2);
	assert_int_equal(look_up(&store, &table, id, "b.example"), 3);
	route_table_close(&table);
	store_close(&store);
}

static void test_maps_win_over_the_file(void **state)
{
	const struct paths *paths = start(state);

	must_edit(paths, "route add a.example 10.0.0.1");
	write_text(paths->state, HEADER "# end of 0 rows\n",
		   strlen(HEADER "# end of 0 rows\n"));
	must_edit(paths, "route add b.example 10.0.0.2");
	assert_maps(paths, "listen add 443\n"
			   "route add a.example 10.0.0.1:443\n"
			   "route add b.example 10.0.0.2:443\n");
	assert_file(paths, HEADER "listen add 443\n"
				  "route add a.example 10.0.0.1:443\n"
				  "route add b.example 10.0.0.2:443\n"
				  "# end of 3 rows\n");
}

/* ---- changes ------------------------------------------------------------ */

static void test_a_change_takes_effect_with_the_next_lookup(void **state)
{
	const struct paths *paths = start(state);
	struct route_table table = ROUTE_TABLE_NONE;
	struct store store = open_state(paths);
	struct listener_list list;
	uint32_t id;

	assert_int_equal(look_up(&store, &table, 1, "x.a.example"), 0);
	must_edit(paths, "route add *.a.example 10.0.0.1");
	assert_int_equal(look_up(&store, &table, 1, "x.a.example"), 1);
	assert_int_equal(look_up(&store, &table, 1, "a.example"), 0);
	must_edit(paths, "route add a.example 10.0.0.2");
	must_edit(paths, "route add .b.x.a.example 10.0.0.3");
	assert_int_equal(look_up(&store, &table, 1, "a.example"), 2);
	assert_int_equal(look_up(&store, &table, 1, "b.x.a.example"), 3);
	must_edit(paths, "route replace *.a.example 10.0.0.4");
	must_edit(paths, "route del .b.x.a.example");
	assert_int_equal(look_up(&store, &table, 1, "b.x.a.example"), 4);
	/* The mask is as narrow as can be. */
	assert_int_equal(store.meta->depths[0][0], 1 << 1);
	must_edit(paths, "listen add 8443");
	must_edit(paths, "route add .a.example 10.0.0.5 --on 8443");
	assert_int_equal(listener_list_read(&store, &list, NULL), 0);
	id = list.row[1].value.id;
	assert_int_equal(look_up(&store, &table, id, "a.example"), 5);
	assert_int_equal(look_up(&store, &table, 1, "a.example"), 2);
	assert_int_equal(store.meta->scoped_routes, 1);
	must_edit(paths, "route del .a.example --on 8443");
	assert_int_equal(look_up(&store, &table, id, "a.example"), 2);
	assert_int_equal(store.meta->scoped_routes, 0);
	must_edit(paths, "set keepalive 0s");
	assert_int_equal(store.settings->value[ABI_SET_KEEPALIVE_MS], 0);
	must_apply(paths, "listen add 8443\nroute add .c 10.0.0.6\n");
	assert_int_equal(look_up(&store, &table, id, "a.example"), 0);
	assert_int_equal(look_up(&store, &table, id, "c"), 6);
	assert_int_equal(store.settings->value[ABI_SET_KEEPALIVE_MS], 300000);
	/* A listener that stays keeps its id. */
	assert_int_equal(listener_list_read(&store, &list, NULL), 0);
	assert_int_equal(list.count, 1);
	assert_int_equal(list.row[0].value.id, id);
	route_table_close(&table);
	store_close(&store);
}

static void test_a_map_that_is_full_grows(void **state)
{
	const struct paths *paths = start(state);
	struct route_table table = ROUTE_TABLE_NONE;
	struct store store = open_state(paths);
	char line[1024], name[256];
	uint64_t generation;
	unsigned count = 0;

	generation = store.meta->route_generation;
	while (store.meta->route_generation < generation + 2) {
		snprintf(name, sizeof(name), "%060u.%060u.%060u.%060u.example",
			 count, 0, 0, 0);
		snprintf(line, sizeof(line),
			 "route add %s 10.0.0.%u,10.0.1.1,10.0.1.2,10.0.1.3,"
			 "10.0.1.4,10.0.1.5,10.0.1.6,10.0.1.7",
			 name, count % 255 + 1);
		must_edit(paths, line);
		assert_int_equal(look_up(&store, &table, 1, name),
				 count % 255 + 1);
		assert_true(++count < 2000);
	}
	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%060u.%060u.%060u.%060u.example",
			 i, 0, 0, 0);
		assert_int_equal(look_up(&store, &table, 1, name), i % 255 + 1);
	}
	route_table_close(&table);
	store_close(&store);
}

static void test_figures_go_with_their_route(void **state)
{
	static const char *const names[] = {"a.example", "b.example",
					    "c.example"};
	static const uint64_t bytes[2] = {10, 20};
	const struct paths *paths = start(state);
	struct abi_endpoint target;
	struct abi_route_stats stats;
	struct abi_route_key keys[3];
	struct store store;

	must_apply(paths, "route add a.example 10.0.0.1\n"
			  "route add b.example 10.0.0.1\n"
			  "route add c.example 10.0.0.1\n");
	store = open_state(paths);
	assert_int_equal(addr_parse_endpoint("10.0.0.1", 443, &target), 0);
	for (unsigned i = 0; i < 3; i++) {
		struct pattern pattern;
		const char *reason;

		assert_int_equal(pattern_parse(names[i], &pattern, &reason), 0);
		route_key(&store, 0, &pattern, &keys[i]);
		assert_int_equal(route_stats_read(&store, &keys[i], &stats), 0);
		assert_int_equal(stats.flows, 0);
		route_account(&store, &keys[i], 1, bytes);
		route_account(&store, &keys[i], 1, bytes);
		route_account_failure(&store, &keys[i], &target, -ECONNREFUSED);
		assert_int_equal(route_stats_read(&store, &keys[i], &stats), 0);
		assert_int_equal(stats.flows, 2);
		assert_int_equal(stats.bytes[0], 20);
		assert_int_equal(stats.bytes[1], 40);
		assert_int_equal(stats.failures, 1);
		assert_int_equal(stats.failure_errno, ECONNREFUSED);
		assert_memory_equal(&stats.failure_target, &target,
				    sizeof(target));
		assert_true(stats.failure_ns > 0);
	}
	must_edit(paths, "route replace c.example drop");
	must_edit(paths, "route del a.example");
	must_apply(paths, "route add c.example drop\n"
			  "route add d.example drop\n"
			  "route add e.example drop\n");
	assert_int_equal(route_stats_read(&store, &keys[0], &stats), 0);
	assert_int_equal(stats.flows, 0);
	assert_int_equal(route_stats_read(&store, &keys[1], &stats), 0);
	assert_int_equal(stats.flows, 0);
	assert_int_equal(route_stats_read(&store, &keys[2], &stats), 0);
	assert_int_equal(stats.flows, 2);
	store_close(&store);
}

/* ---- refusals ----------------------------------------------------------- */

static uint32_t map_id(const struct paths *paths, const char *name)
{
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);
	char path[128];
	int map;

	snprintf(path, sizeof(path), "%s/v3/%s", paths->bpffs, name);
	map = bpf_obj_get(path);
	if (map < 0)
		return 0;
	assert_int_equal(bpf_obj_get_info_by_fd(map, &info, &size), 0);
	close(map);
	return info.id;
}

static void assert_foreign(const struct paths *paths, const char *why)
{
	uint32_t routes = map_id(paths, "routes");
	char *file = slurp(paths->state), *after;
	struct error error = {0};
	struct store store;

	assert_int_equal(store_open(paths, STORE_READ, &store, &error),
			 -EPROTO);
	assert_int_equal(error.status, EXIT_NOT_LOADED);
	if (!strstr(error.text, why))
		fail_msg("%s", error.text);
	error = (struct error){0};
	assert_int_equal(edit(paths, "route add z.example drop", &error),
			 -EPROTO);
	assert_int_equal(error.status, EXIT_NOT_LOADED);
	if (!strstr(error.text, why))
		fail_msg("%s", error.text);
	assert_int_equal(map_id(paths, "routes"), routes);
	after = slurp(paths->state);
	assert_string_equal(file, after);
	free(file);
	free(after);
	/* The way out that the sentence names. */
	assert_non_null(strstr(error.text, "`snictl unload`"));
	assert_int_equal(store_remove(paths, NULL), 0);
	must_edit(paths, "route add z.example drop");
	must_edit(paths, "route del z.example");
}

static void test_a_foreign_abi_is_left_alone(void **state)
{
	const struct paths *paths = start(state);
	char path[128], other[128];
	struct store store;
	int map;

	must_edit(paths, "route add a.example 10.0.0.1");
	store = open_state(paths);
	store.meta->layout_hash ^= 1;
	store_close(&store);
	assert_foreign(paths, "layout ");

	store = open_state(paths);
	store.meta->magic++;
	store_close(&store);
	assert_foreign(paths, "layout ");

	snprintf(path, sizeof(path), "%s/v3/counters", paths->bpffs);
	assert_int_equal(unlink(path), 0);
	assert_foreign(paths, "its map \"counters\" is missing");

	map = bpf_map_create(BPF_MAP_TYPE_HASH, "listeners", 20, 164, 256,
			     NULL);
	assert_true(map >= 0);
	snprintf(path, sizeof(path), "%s/v3/listeners", paths->bpffs);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(bpf_obj_pin(map, path), 0);
	close(map);
	assert_foreign(paths, "its map \"listeners\" is another");

	store = open_state(paths);
	store.meta->flow_capacity--;
	store_close(&store);
	assert_foreign(paths, "its flow maps differ in size");

	snprintf(path, sizeof(path), "%s/v3", paths->bpffs);
	snprintf(other, sizeof(other), "%s/v1", paths->bpffs);
	assert_int_equal(rename(path, other), 0);
	assert_foreign(paths, "another version of snictl (v1)");
}

static void test_no_bpffs(void **state)
{
	struct paths paths = *start(state);
	struct error error = {0};
	struct store store;
	char path[128];

	snprintf(path, sizeof(path), "%s/not/there", base);
	paths.bpffs = path;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(store_open(&paths, STORE_READ, &store, &error),
				 -ENOTSUP);
		assert_int_equal(error.status, EXIT_NOT_LOADED);
		assert_non_null(strstr(error.text, "mount -t bpf bpf"));
		assert_int_equal(state_open(&paths, &store, &error), -ENOTSUP);
		assert_int_equal(error.status, EXIT_NOT_LOADED);
		assert_non_null(strstr(error.text, "mount -t bpf bpf"));
		/* The same for a folder that is there. */
		snprintf(path, sizeof(path), "%s", base);
	}
	snprintf(path, sizeof(path), "%s/bpf/a.b", base);
	assert_int_equal(state_open(&paths, &store, &error), -EPERM);
	assert_non_null(strstr(error.text, "no dot"));
}

/* Runs @act as a user without rights; returns what it returns. */
static int as_nobody(const struct paths *paths,
		     int (*act)(const struct paths *paths))
{
	int status;
	pid_t child = fork();

	if (!child) {
		if (setgid(NOBODY) || setuid(NOBODY))
			_exit(99);
		_exit(act(paths));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool names_a_right(const struct error *error)
{
	return error->status == EXIT_FAILED && strstr(error->text, "root") &&
	       strstr(error->text, "CAP_BPF");
}

static int read_as_nobody(const struct paths *paths)
{
	struct error error = {0};
	struct store store;

	return store_open(paths, STORE_READ, &store, &error) == -EACCES &&
			       names_a_right(&error)
		       ? 0
		       : 1;
}

/* A bpffs may let anybody make a folder; a map is another matter. */
static int write_as_nobody(const struct paths *paths)
{
	struct error error = {0};
	struct store store;
	int status = state_open(paths, &store, &error);

	return (status == -EACCES || status == -EPERM) && names_a_right(&error)
		       ? 0
		       : 1;
}

static void test_without_the_right(void **state)
{
	const struct paths *paths = start(state);
	struct store store;

	assert_int_equal(as_nobody(paths, write_as_nobody), 0);
	/* What is in a folder of theirs would be theirs too. */
	rmdir(paths->bpffs);
	store = open_state(paths);
	store_close(&store);
	assert_int_equal(as_nobody(paths, read_as_nobody), 0);
	assert_int_equal(as_nobody(paths, write_as_nobody), 0);
}

/* ---- the state file ----------------------------------------------------- */

static void assert_unusable(const struct paths *paths, const char *text,
			    size_t length, const char *why)
{
	struct error error = {0};
	struct store store;
	char *after;

	write_text(paths->state, text, length);
	assert_int_equal(state_open(paths, &store, &error), -EBADMSG);
	assert_int_equal(error.status, EXIT_FAILED);
	if (!strstr(error.text, why) || !strstr(error.text, paths->state))
		fail_msg("%s", error.text);
	after = slurp(paths->state);
	assert_memory_equal(after, text, length);
	assert_int_equal(after[length], '\0');
	free(after);
	assert_int_equal(store_open(paths, STORE_READ, &store, &error),
			 -ENOENT);
	assert_int_equal(state_kept_aside(paths, NULL, 0), 0);
}

static void test_a_file_that_was_cut_is_not_taken(void **state)
{
	static const char text[] = HEADER "listen add 443\n"
					  "route add a.example 10.0.0.1:443\n"
					  "# end of 2 rows\n";
	const struct paths *paths = start(state);
	size_t named = strlen("# snictl state 1 ");
	struct store store;

	for (size_t length = 0; length < sizeof(text) - 1; length++)
		assert_unusable(paths, text, length,
				!length		 ? "it is empty"
				: length < named ? "of snictl"
						 : "is missing");
	write_text(paths->state, text, sizeof(text) - 1);
	store = open_state(paths);
	store_close(&store);
}

static void test_a_file_that_is_not_ours_is_not_taken(void **state)
{
	const struct paths *paths = start(state);

#define ASSERT_UNUSABLE(text, why)                                             \
	assert_unusable(paths, text, strlen(text), why)
	ASSERT_UNUSABLE("listen add 443\n", "no state file of snictl");
	ASSERT_UNUSABLE("# snictl state 2\n# end of 0 rows\n",
			"of another version of snictl");
	ASSERT_UNUSABLE("# snictl state 10\n# end of 0 rows\n",
			"of another version of snictl");
	ASSERT_UNUSABLE(HEADER "listen add 443\n# end of 2 rows\n",
			"it has not as many rows as its last line says");
	ASSERT_UNUSABLE(HEADER "listen add 443\n\n# end of 1 rows\n",
			"it has not as many rows as its last line says");
	ASSERT_UNUSABLE(HEADER "listen add 44x\n# end of 1 rows\n",
			":2:12: \"44x\"");
}

static void test_a_damaged_file_is_kept_aside(void **state)
{
	const struct paths *paths = start(state);
	char kept[128] = "", expected[128], *text;

	must_edit(paths, "route add a.example 10.0.0.1");
	for (unsigned i = 1; i <= 3; i++) {
		char damage[32], line[64];

		snprintf(damage, sizeof(damage), "# snictl state 1\n# %u\n", i);
		write_text(paths->state, damage, strlen(damage));
		snprintf(line, sizeof(line), "route add b%u.example drop", i);
		must_edit(paths, line);
		assert_int_equal(state_kept_aside(paths, kept, sizeof(kept)),
				 i);
		snprintf(expected, sizeof(expected), "%s.damaged-%u",
			 paths->state, i);
		assert_string_equal(kept, expected);
		text = slurp(kept);
		assert_string_equal(text, damage);
		free(text);
	}
	assert_file(paths, HEADER "listen add 443\n"
				  "route add a.example 10.0.0.1:443\n"
				  "route add b1.example drop\n"
				  "route add b2.example drop\n"
				  "route add b3.example drop\n"
				  "# end of 5 rows\n");
}

static void test_a_foreign_file_is_not_overwritten(void **state)
{
	const struct paths *paths = start(state);
	struct error error = {0};

	must_edit(paths, "route add a.example 10.0.0.1");
	write_text(paths->state, "precious\n", 9);
	assert_int_equal(edit(paths, "route add b.example drop", &error),
			 -EMEDIUMTYPE);
	assert_int_equal(error.status, EXIT_FAILED);
	assert_file(paths, "precious\n");
	assert_maps(paths, "listen add 443\n"
			   "route add a.example 10.0.0.1:443\n");
}

static void test_a_file_that_cannot_be_written_changes_nothing(void **state)
{
	struct paths paths = *start(state);
	char folder[64], path[128], filler[128], page[4096] = "";
	struct error error = {0};
	struct store store;

	must_edit(&paths, "route add a.example 10.0.0.1");
	store = open_state(&paths);
	store_close(&store);
	snprintf(folder, sizeof(folder), "%s/small", base);
	snprintf(path, sizeof(path), "%s/state", folder);
	paths.state = path;
	assert_int_equal(mkdir(folder, 0755), 0);
	/* Just enough for the file and the one beside it. */
	assert_int_equal(mount("tmpfs", folder, "tmpfs", 0, "nr_blocks=2"), 0);
	snprintf(filler, sizeof(filler), "%s/filler", folder);
	write_text(filler, page, sizeof(page));
	write_text(path, HEADER "# end of 0 rows\n",
		   strlen(HEADER "# end of 0 rows\n"));
	assert_int_equal(edit(&paths, "route add b.example drop", &error),
			 -ENOSPC);
	assert_int_equal(unlink(filler), 0);
	assert_non_null(strstr(error.text, path));
	assert_non_null(strstr(error.text, strerror(ENOSPC)));
	assert_non_null(strstr(error.text, "nothing was changed"));
	assert_int_equal(apply(&paths, "route add c.example drop\n", &error),
			 0);
	assert_int_equal(
		apply(&paths, "route add a.example 10.0.0.1:443\n", &error), 0);
	assert_int_equal(
		mount(NULL, folder, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	assert_int_equal(edit(&paths, "route add b.example drop", &error),
			 -EROFS);
	assert_int_equal(apply(&paths, "", &error), -EROFS);
	assert_maps(&paths, "route add a.example 10.0.0.1:443\n");
	store = open_state(&paths);
	assert_int_equal(store.meta->dirty, 0);
	store_close(&store);
	assert_int_equal(umount(folder), 0);
	/* The folder is made, but not the one above it. */
	snprintf(path, sizeof(path), "%s/new/state", folder);
	must_edit(&paths, "set log off");
	snprintf(path, sizeof(path), "%s/no/no/state", folder);
	assert_int_equal(edit(&paths, "set log json", &error), -ENOENT);
}

/* ---- two at once -------------------------------------------------------- */

#define WRITERS 4
#define EDITS 25

static void test_writers_wait_for_each_other(void **state)
{
	const struct paths *paths = start(state);
	AUTO_STORE store = STORE_NONE;
	AUTO_CONFIG config = {0};
	AUTO_CONFIG saved = {0};
	pid_t children[WRITERS];
	char *text, *file;
	int status;

	/* Also the creation is a race. */
	for (unsigned i = 0; i < WRITERS; i++) {
		children[i] = fork();
		if (children[i])
			continue;
		for (unsigned j = 0; j < EDITS; j++) {
			char line[64];

			snprintf(line, sizeof(line),
				 "route add w%u-%u.example drop", i, j);
			if (edit(paths, line, NULL))
				_exit(1);
		}
		_exit(0);
	}
	for (unsigned i = 0; i < WRITERS; i++) {
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
	store = open_state(paths);
	assert_int_equal(state_load(&store, &config, NULL), 0);
	assert_int_equal(config.route_count, WRITERS * EDITS);
	assert_int_equal(config_file_read(paths->state, NULL, &saved, NULL), 0);
	text = text_of(&config);
	file = text_of(&saved);
	assert_string_equal(text, file);
	free(text);
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
		TEST(test_a_writer_makes_what_is_missing),
		TEST(test_the_file_brings_everything_back),
		TEST(test_maps_win_over_the_file),
		TEST(test_a_change_takes_effect_with_the_next_lookup),
		TEST(test_a_map_that_is_full_grows),
		TEST(test_figures_go_with_their_route),
		TEST(test_a_foreign_abi_is_left_alone),
		TEST(test_no_bpffs),
		TEST(test_without_the_right),
		TEST(test_a_file_that_was_cut_is_not_taken),
		TEST(test_a_file_that_is_not_ours_is_not_taken),
		TEST(test_a_damaged_file_is_kept_aside),
		TEST(test_a_foreign_file_is_not_overwritten),
		TEST(test_a_file_that_cannot_be_written_changes_nothing),
		TEST(test_writers_wait_for_each_other),
	};

	return cmocka_run_group_tests(tests, mount_bpffs, unmount_bpffs);
}
