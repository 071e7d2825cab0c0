// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Lists of banned prefixes, from a file. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "../userspace/addr.h"
#include "../userspace/ban_set.h"
#include "../userspace/cleanup.h"
#include "../userspace/config_file.h"
#include "ban.h"
#include "output.h"

static int read_prefixes(const char *path, struct ban_prefixes *ret_prefixes,
			 struct error *error)
{
	bool standard = !strcmp(path, "-");
	AUTO_FD file =
		standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	AUTO_FREE char *text = NULL;
	size_t length;
	int ret = file < 0 ? -errno : config_file_slurp(file, &text, &length);

	if (ret)
		return error_set(error, EXIT_FAILED, ret, "%s: %s", path,
				 strerror(-ret));
	if (strlen(text) != length)
		return error_set(error, EXIT_FAILED, EINVAL,
				 "%s: there is a NUL in it", path);
	return ban_prefixes_parse(standard ? "standard input" : path, text,
				  ret_prefixes, error);
}

/* Without a set each is a ban of its own, for ever. */
static int add_each(struct ban_list *list, const struct ban_prefixes *prefixes)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < prefixes->count; i++) {
		const struct ban ban = {.prefix = prefixes->row[i]};

		if (!ban_find(list, &ban.prefix))
			ret = ban_set(list, &ban);
	}
	return ret;
}

static int import(const struct invocation *call, const struct store *store,
		  struct ban_list *list, const struct ban_prefixes *prefixes,
		  struct error *error)
{
	const char *name = call->option[OPTION_SET];

	if (name)
		return ban_set_replace(&call->paths, store, list, name,
				       prefixes, error);
	if (add_each(list, prefixes))
		return error_set(error, EXIT_FAILED, ENOMEM, "out of memory");
	return ban_commit(&call->paths, store, list, error);
}

int ban_import_main(const struct invocation *call, struct error *error)
{
	const char *name = call->option[OPTION_SET];
	AUTO_BAN_PREFIXES prefixes = {0};
	AUTO_STORE store = STORE_NONE;
	AUTO_BAN_LIST list = {0};
	int ret;

	if (name && !ban_set_is_name(name))
		return error_set(error, EXIT_USAGE, EINVAL,
				 "\"%.80s\" is no name of a set: letters, "
				 "digits, - and _, %d at most",
				 name, BAN_SET_NAME_MAX);
	ret = read_prefixes(call->argument[0], &prefixes, error);
	if (!ret && !call->option[OPTION_FORCE])
		ret = ban_guard(prefixes.row, prefixes.count, BAN_REMEDY,
				error);
	if (!ret)
		ret = ban_open(&call->paths, &store, &list, error);
	if (!ret)
		ret = import(call, &store, &list, &prefixes, error);
	return ret ? ret : ban_enforce(call, &store, error);
}
