// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "cleanup.h"
#include "config_file.h"
#include "owner.h"
#include "state.h"

#define ADVICE " - written by snictl with every change\n"
#define KEPT_MAX 1000

const struct state_format state_format_rows = {
	"# snictl state ",
	"1",
	"state file",
	"routes",
};

void state_text_done(struct state_text *text)
{
	free(text->data);
	*text = (struct state_text){0};
}

int state_file_frame(const struct state_format *format,
		     size_t (*print)(const void *rows, FILE *out),
		     const void *rows, struct state_text *ret_text)
{
	struct state_text text = {0};
	FILE *out = open_memstream(&text.data, &text.length);
	bool failed;

	if (!out)
		return -ENOMEM;
	fprintf(out, "%s%s" ADVICE, format->header, format->version);
	fprintf(out, "# end of %zu rows\n", print(rows, out));
	failed = ferror(out);
	failed |= fclose(out) != 0;
	if (failed) {
		state_text_done(&text);
		return -ENOMEM;
	}
	*ret_text = text;
	return 0;
}

static size_t print_config(const void *rows, FILE *out)
{
	return config_print(rows, out);
}

int state_file_print(const struct config *config, struct state_text *ret_text)
{
	return state_file_frame(&state_format_rows, print_config, config,
				ret_text);
}

/* ---- read --------------------------------------------------------------- */

static int refuse_foreign(const char *path, const char *why,
			  struct error *error)
{
	return error_set(error, EXIT_FAILED, EMEDIUMTYPE,
			 "%s is %s and was left alone: move it away, or name "
			 "another state file",
			 path, why);
}

static int refuse_damaged(const char *path, const struct state_format *format,
			  const char *why, struct error *error)
{
	return error_set(error, EXIT_FAILED, EBADMSG,
			 "%s is damaged (%s) and was left alone: repair it, or "
			 "move it away to begin without %s",
			 path, why, format->without);
}

/* Rows between the first line and the last, which must count them. */
static int check_frame(const char *path, const struct state_format *format,
		       const struct state_text *text, struct error *error)
{
	const char *at = text->data, *end = at + text->length, *last = at;
	size_t header = strlen(format->header);
	size_t version = strlen(format->version);
	size_t lines = 0;
	char expected[64];

	if (!text->length)
		return refuse_damaged(path, format, "it is empty", error);
	if (strncmp(at, format->header, header) != 0) {
		snprintf(expected, sizeof(expected), "no %s of snictl",
			 format->name);
		return refuse_foreign(path, expected, error);
	}
	if (strncmp(at + header, format->version, version) != 0 ||
	    (at[header + version] != ' ' && at[header + version] != '\n'))
		return refuse_foreign(path, "of another version of snictl",
				      error);
	for (; at; at = memchr(at, '\n', (size_t)(end - at))) {
		at += lines > 0;
		if (at == end)
			break;
		last = at;
		lines++;
	}
	snprintf(expected, sizeof(expected), "# end of %zu rows\n", lines - 2);
	if (strncmp(last, "# end of ", 9) != 0 || end[-1] != '\n')
		return refuse_damaged(path, format, "its end is missing",
				      error);
	if (lines < 2 || strcmp(last, expected) != 0)
		return refuse_damaged(
			path, format,
			"it has not as many rows as its last line says", error);
	return 0;
}

int state_file_read(const char *path, const struct state_format *format,
		    struct state_text *ret_text, struct error *error)
{
	AUTO_FD file = open(path, O_RDONLY | O_CLOEXEC);
	AUTO_STATE_TEXT text = {0};
	int status;

	if (file < 0)
		return error_set(error, EXIT_FAILED, errno, "%s: %s", path,
				 strerror(errno));
	status = config_file_slurp(file, &text.data, &text.length);
	if (status)
		return error_set(error, EXIT_FAILED, status, "%s: %s", path,
				 strerror(-status));
	status = check_frame(path, format, &text, error);
	if (status)
		return status;
	*ret_text = text;
	text = (struct state_text){0};
	return 0;
}

/* ---- kept aside --------------------------------------------------------- */

static char *kept_name(const char *path, unsigned number)
{
	char *name;

	return asprintf(&name, "%s.damaged-%u", path, number) < 0 ? NULL : name;
}

unsigned state_kept_aside(const struct paths *paths, char *ret_path,
			  size_t size)
{
	unsigned count = 0;

	for (unsigned i = 1; i <= KEPT_MAX; i++) {
		AUTO_FREE char *name = kept_name(paths->state, i);

		if (!name || access(name, F_OK))
			break;
		snprintf(ret_path, size, "%s", name);
		count = i;
	}
	return count;
}

static int keep_aside(const char *path, struct error *error)
{
	for (unsigned i = 1; i <= KEPT_MAX; i++) {
		AUTO_FREE char *name = kept_name(path, i);

		if (!name)
			return error_set(error, EXIT_FAILED, ENOMEM,
					 "out of memory");
		/* Unlike rename(2), link(2) never replaces a file. */
		if (!link(path, name))
			return 0;
		if (errno != EEXIST)
			return error_set(error, EXIT_FAILED, errno,
					 "%s is damaged and cannot be kept as "
					 "%s: %s",
					 path, name, strerror(errno));
	}
	return error_set(error, EXIT_FAILED, EEXIST,
			 "%s is damaged, and so are the %d that were kept: "
			 "remove some",
			 path, KEPT_MAX);
}

/* Sees to it that nothing is lost by replacing the file. */
static int clear_the_way(const char *path, const struct state_format *format,
			 struct error *error)
{
	AUTO_STATE_TEXT old = {0};
	int status = state_file_read(path, format, &old, error);

	if (status == -ENOENT)
		return 0;
	return status == -EBADMSG ? keep_aside(path, error) : status;
}

/* ---- write -------------------------------------------------------------- */

static char *staged_name(const char *path)
{
	char *name;

	return asprintf(&name, "%s.new", path) < 0 ? NULL : name;
}

static int open_folder_of(const char *path)
{
	AUTO_FREE char *copy = strdup(path);
	const char *folder = copy ? dirname(copy) : ".";

	if (mkdir(folder, 0755) && errno != EEXIST && errno != EROFS)
		return -errno;
	return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int write_all(int file, const struct state_text *text)
{
	size_t done = 0;

	while (done < text->length) {
		ssize_t put =
			write(file, text->data + done, text->length - done);

		if (put < 0 && errno != EINTR)
			return -errno;
		if (put > 0)
			done += (size_t)put;
	}
	return fsync(file) ? -errno : 0;
}

int state_file_stage(const char *path, const struct state_format *format,
		     const struct state_text *text, struct error *error)
{
	AUTO_FREE char *name = staged_name(path);
	AUTO_FD folder = -1;
	AUTO_FD file = -1;
	int status;

	if (!name)
		return error_set(error, EXIT_FAILED, ENOMEM, "out of memory");
	status = clear_the_way(path, format, error);
	if (status)
		return status;
	folder = open_folder_of(path);
	/* Left by a writer that died; never one of somebody else's. */
	unlink(name);
	file = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (file < 0)
		return error_set(error, EXIT_FAILED, errno,
				 "%s: %s: nothing was changed", name,
				 strerror(errno));
	owner_give(folder, basename(name));
	status = write_all(file, text);
	if (!status)
		return 0;
	unlink(name);
	return error_set(error, EXIT_FAILED, status,
			 "%s: %s: nothing was changed", name,
			 strerror(-status));
}

int state_file_publish(const char *path, struct error *error)
{
	AUTO_FREE char *name = staged_name(path);
	AUTO_FD folder = open_folder_of(path);

	if (!name)
		return error_set(error, EXIT_FAILED, ENOMEM, "out of memory");
	if (rename(name, path))
		return error_set(error, EXIT_FAILED, errno,
				 "%s: %s: nothing was changed", path,
				 strerror(errno));
	/* Some file systems know no fsync() of a folder: it is done then. */
	if (folder >= 0)
		fsync(folder);
	return 0;
}

void state_file_discard(const char *path)
{
	AUTO_FREE char *name = staged_name(path);

	if (name)
		unlink(name);
}
