// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "ban_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "addr.h"
#include "ban_set.h"
#include "cleanup.h"
#include "edge.h"
#include "number.h"

#define SECOND_NS 1000000000ULL
/* In the year 2514; in ns, it is still 64 bits. */
#define WALL_MOST_S (UINT32_MAX * 4ULL)

static const struct state_format format = {
	"# snictl bans ",
	"1",
	"bans file",
	"bans",
};

char *ban_file_name(const struct paths *paths, const char *set)
{
	char *name;

	return asprintf(&name, "%s.bans%s%s", paths->state, set ? "-" : "",
			set ? set : "") < 0
		       ? NULL
		       : name;
}

/* ---- read --------------------------------------------------------------- */

/**
 * struct reading - a bans file while it is being read.
 * @wall_ns: the wall clock; not before the file was written.
 */
struct reading {
	struct ban_list *list;
	uint64_t wall_ns;
	uint64_t now_ns;
};

/* The next word of a line; NULL at its end. */
static char *word(char **at)
{
	char *found;

	do {
		found = strsep(at, " ");
	} while (found && !*found);
	return found;
}

static int read_ban(struct reading *reading, char *line)
{
	struct ban ban = {0};
	char *at = word(&line);
	uint64_t until_s = 0;

	if (!at || addr_parse_prefix(at, &ban.prefix))
		return -EINVAL;
	while ((at = word(&line))) {
		if (!strcmp(at, "all-ports")) {
			ban.all_ports = true;
		} else if (!strcmp(at, "until")) {
			at = word(&line);
			if (!at || number_parse(at, 1, WALL_MOST_S, &until_s))
				return -EINVAL;
		} else if (!strcmp(at, "reason") && line) {
			ban.reason = line;
			break;
		} else {
			return -EINVAL;
		}
	}
	/* One that is over is over by the clock that boots anew with 0. */
	if (until_s)
		ban.expires_ns = until_s * SECOND_NS <= reading->wall_ns
					 ? 1
					 : reading->now_ns +
						   until_s * SECOND_NS -
						   reading->wall_ns;
	return ban_set(reading->list, &ban);
}

static int read_set(struct reading *reading, char *line)
{
	struct ban_list *list = reading->list;
	struct ban_set *set = &list->sets[list->set_count];
	const char *bit = word(&line), *name = word(&line);
	uint64_t value;

	if (!bit || !name || list->set_count == ABI_BAN_SETS_MAX ||
	    !ban_set_is_name(name) || ban_set_find(list, name) ||
	    number_parse(bit, 1, ABI_BAN_SETS_MAX, &value))
		return -EINVAL;
	for (size_t i = 0; i < list->set_count; i++) {
		if (list->sets[i].bit == value)
			return -EINVAL;
	}
	snprintf(set->name, sizeof(set->name), "%s", name);
	set->bit = (unsigned)value;
	list->set_count++;
	return 0;
}

static int read_row(struct reading *reading, char *line)
{
	const char *kind = word(&line), *value;
	struct abi_prefix prefix;
	uint64_t written_s;

	if (!kind || *kind == '#')
		return 0;
	if (!line)
		return -EINVAL;
	if (!strcmp(kind, "ban"))
		return read_ban(reading, line);
	if (!strcmp(kind, "set"))
		return read_set(reading, line);
	value = word(&line);
	if (!value)
		return -EINVAL;
	if (!strcmp(kind, "allow"))
		return addr_parse_prefix(value, &prefix)
			       ? -EINVAL
			       : ban_allow(reading->list, &prefix);
	if (strcmp(kind, "written") ||
	    number_parse(value, 0, WALL_MOST_S, &written_s))
		return -EINVAL;
	if (written_s * SECOND_NS > reading->wall_ns)
		reading->wall_ns = written_s * SECOND_NS;
	return 0;
}

int ban_file_parse(char *text, uint64_t wall_ns, uint64_t now_ns,
		   struct ban_list *ret_list, unsigned *ret_row)
{
	AUTO_BAN_LIST list = {0};
	struct reading reading = {&list, wall_ns, now_ns};
	unsigned row = 0;
	char *line;

	while ((line = strsep(&text, "\n"))) {
		int status = read_row(&reading, line);

		row++;
		if (status) {
			*ret_row = row;
			return status;
		}
	}
	*ret_list = list;
	list = (struct ban_list){0};
	return 0;
}

int ban_file_read(const struct paths *paths, struct ban_list *ret_list,
		  struct error *error)
{
	AUTO_FREE char *name = ban_file_name(paths, NULL);
	AUTO_STATE_TEXT text = {0};
	unsigned row;
	int status;

	if (!name)
		return error_set(error, EXIT_FAILED, ENOMEM, "out of memory");
	status = state_file_read(name, &format, &text, error);
	if (status == -ENOENT) {
		*ret_list = (struct ban_list){0};
		return 0;
	}
	if (status)
		return status == -EMEDIUMTYPE ? -EBADMSG : status;
	if (ban_file_parse(text.data, edge_wall_ns(), edge_now_ns(), ret_list,
			   &row))
		return error_set(error, EXIT_FAILED, EBADMSG,
				 "%s:%u: no row of a bans file: repair it, or "
				 "move it away to begin without bans",
				 name, row);
	return 0;
}

/* ---- write -------------------------------------------------------------- */

static size_t print(const void *rows, FILE *out)
{
	const struct ban_list *list = rows;
	char text[ADDR_TEXT_SIZE];

	fprintf(out, "written %" PRIu64 "\n",
		(uint64_t)(edge_wall_ns() / SECOND_NS));
	for (size_t i = 0; i < list->allowed_count; i++)
		fprintf(out, "allow %s\n",
			addr_format_prefix(&list->allowed[i], text));
	for (size_t i = 0; i < list->set_count; i++)
		fprintf(out, "set %u %s\n", list->sets[i].bit,
			list->sets[i].name);
	for (size_t i = 0; i < list->count; i++) {
		const struct ban *ban = &list->bans[i];

		fprintf(out, "ban %s", addr_format_prefix(&ban->prefix, text));
		if (ban->expires_ns)
			fprintf(out, " until %" PRIu64,
				edge_wall_s(ban->expires_ns));
		if (ban->all_ports)
			fputs(" all-ports", out);
		if (*ban->reason)
			fprintf(out, " reason %s", ban->reason);
		fputc('\n', out);
	}
	return 1 + list->allowed_count + list->set_count + list->count;
}

int ban_file_stage(const struct paths *paths, const struct ban_list *list,
		   struct error *error)
{
	AUTO_FREE char *name = ban_file_name(paths, NULL);
	AUTO_STATE_TEXT text = {0};

	if (!name || state_file_frame(&format, print, list, &text))
		return error_set(error, EXIT_FAILED, ENOMEM, "out of memory");
	return state_file_stage(name, &format, &text, error);
}

int ban_file_publish(const struct paths *paths, struct error *error)
{
	AUTO_FREE char *name = ban_file_name(paths, NULL);
	int status;

	if (!name)
		return error_set(error, EXIT_FAILED, ENOMEM, "out of memory");
	status = state_file_publish(name, error);
	if (status)
		state_file_discard(name);
	return status;
}
