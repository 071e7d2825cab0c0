/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A bpffs in a mount namespace of its own, an instance on it for each test,
 * and shorthands for what is done to it. Included behind cmocka.h. */
#ifndef SNICTL_TEST_INSTANCE_H
#define SNICTL_TEST_INSTANCE_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../../userspace/config_file.h"
#include "../../userspace/route.h"
#include "../../userspace/state.h"

/* The folder of this run, a tmpfs: what fsync() takes on a disk is not what is
 * tested. A bpffs is mounted on its folder "bpf". */
static char base[] = "/tmp/snictl-test.XXXXXX";
static bool ready;

/** struct fixture - an instance of its own for each test. */
struct fixture {
	char bpffs[64];
	char state[64];
	struct paths paths;
};

static inline int mount_bpffs(void **state)
{
	char path[64];

	(void)state;
	if (!mkdtemp(base))
		return -1;
	snprintf(path, sizeof(path), "%s/bpf", base);
	ready = !unshare(CLONE_NEWNS) &&
		!mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
		!mount("tmpfs", base, "tmpfs", 0, "mode=755") &&
		!mkdir(path, 0755) && !mount("bpf", path, "bpf", 0, NULL);
	return 0;
}

static inline int unmount_bpffs(void **state)
{
	(void)state;
	if (ready)
		umount2(base, MNT_DETACH);
	return rmdir(base);
}

static inline int begin(void **state)
{
	static unsigned number;
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture)
		return -1;
	number++;
	snprintf(fixture->bpffs, sizeof(fixture->bpffs), "%s/bpf/i%u", base,
		 number);
	snprintf(fixture->state, sizeof(fixture->state), "%s/state%u", base,
		 number);
	fixture->paths = (struct paths){fixture->bpffs, base, fixture->state};
	*state = fixture;
	return 0;
}

static inline int end(void **state)
{
	struct fixture *fixture = *state;
	int status = ready ? store_remove(&fixture->paths, NULL) : 0;

	free(fixture);
	return status;
}

static inline const struct paths *start(void **state)
{
	struct fixture *fixture = *state;

	if (!ready) {
		print_message("skipped: a mount namespace with a bpffs of its "
			      "own needs root\n");
		skip();
	}
	return &fixture->paths;
}

/* ---- shorthands --------------------------------------------------------- */

static inline struct store open_state(const struct paths *paths)
{
	struct store store;
	struct error error;

	if (state_open(paths, &store, &error))
		fail_msg("%s", error.text);
	/* An assertion that fails lets go of nothing. */
	state_unlock(&store);
	return store;
}

static inline int edit(const struct paths *paths, const char *line,
		       struct error *error)
{
	AUTO_STORE store = STORE_NONE;
	char copy[1024], *words[16];
	struct config_row row;
	size_t count = 0;
	int status;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		words[count++] = word;
	status = config_row_parse(words, count, &row, NULL, error);
	if (!status)
		status = state_open(paths, &store, error);
	return status ? status : state_edit(&store, paths, &row, error);
}

static inline void must_edit(const struct paths *paths, const char *line)
{
	struct error error;

	if (edit(paths, line, &error))
		fail_msg("%s: %s", line, error.text);
}

static inline int apply(const struct paths *paths, const char *text,
			struct error *error)
{
	AUTO_STORE store = STORE_NONE;
	AUTO_CONFIG now = {0};
	AUTO_CONFIG want = {0};
	int status = config_parse("F", text, strlen(text), NULL, &want, error);

	if (!status)
		status = state_open(paths, &store, error);
	if (!status)
		status = state_load(&store, &now, error);
	return status ? status : state_apply(&store, paths, &now, &want, error);
}

static inline void must_apply(const struct paths *paths, const char *text)
{
	struct error error;

	if (apply(paths, text, &error))
		fail_msg("%s", error.text);
}

static inline char *text_of(const struct config *config)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	config_print(config, out);
	fclose(out);
	return text;
}

/* What the maps hold, as a reader without lock sees it. */
static inline char *maps_text(const struct paths *paths)
{
	AUTO_STORE store = STORE_NONE;
	AUTO_CONFIG config = {0};
	struct error error;

	if (store_open(paths, STORE_READ, &store, &error) ||
	    state_load(&store, &config, &error))
		fail_msg("%s", error.text);
	return text_of(&config);
}

static inline void assert_maps(const struct paths *paths, const char *expected)
{
	char *text = maps_text(paths);

	assert_string_equal(text, expected);
	free(text);
}

static inline char *slurp(const char *path)
{
	int file = open(path, O_RDONLY);
	char *text = NULL;
	size_t length;

	if (file < 0)
		return NULL;
	assert_int_equal(config_file_slurp(file, &text, &length), 0);
	close(file);
	return text;
}

static inline void write_text(const char *path, const char *text, size_t length)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
}

/* The last byte of the first target that a name leads to, 0: no route. */
static inline unsigned look_up(const struct store *store,
			       struct route_table *table, uint32_t listener,
			       const char *text)
{
	struct name name = {.length = (uint8_t)strlen(text)};
	struct route_query query = {.listener_id = listener, .name = &name};
	struct abi_route_key key;
	struct abi_route route;
	int status;

	memcpy(name.text, text, strlen(text) + 1);
	status = route_lookup(store, table, &query, &key, &route);
	if (status == -ENOENT)
		return 0;
	assert_int_equal(status, 0);
	return route.target[0].addr[3];
}

#endif
