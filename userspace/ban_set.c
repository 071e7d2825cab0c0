// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "ban_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "addr.h"
#include "ban_file.h"
#include "cleanup.h"
#include "edge.h"

static const struct state_format format = {
	"# snictl ban set ",
	"1",
	"set of bans",
	"it",
};

void ban_prefixes_done(struct ban_prefixes *prefixes)
{
	free(prefixes->row);
	*prefixes = (struct ban_prefixes){0};
}

/* ---- text --------------------------------------------------------------- */

static size_t count_lines(const char *text)
{
	size_t lines = 1;

	while ((text = strchr(text, '\n'))) {
		text++;
		lines++;
	}
	return lines;
}

static void sort(struct ban_prefixes *prefixes)
{
	struct abi_prefix *row = prefixes->row;
	size_t kept = 0;

	qsort(row, prefixes->count, sizeof(*row), ban_compare_prefixes);
	for (size_t i = 0; i < prefixes->count; i++) {
		if (!kept || ban_compare_prefixes(&row[kept - 1], &row[i]))
			row[kept++] = row[i];
	}
	prefixes->count = kept;
}

int ban_prefixes_parse(const char *file, char *text,
		       struct ban_prefixes *ret_prefixes, struct error *error)
{
	static const char blanks[] = " \t\r";
	AUTO_BAN_PREFIXES prefixes = {0};
	unsigned number = 0;
	char *line;

	prefixes.row = calloc(count_lines(text), sizeof(*prefixes.row));
	if (!prefixes.row)
		return error_set(error, EXIT_FAILED, ENOMEM, "out of memory");
	while ((line = strsep(&text, "\n"))) {
		struct error why;

		number++;
		line += strspn(line, blanks);
		line[strcspn(line, "#;")] = '\0';
		for (size_t i = strlen(line); i && strchr(blanks, line[i - 1]);)
			line[--i] = '\0';
		if (!*line)
			continue;
		if (ban_parse_prefix(line, &prefixes.row[prefixes.count++],
				     &why))
			return error_set(error, EXIT_FAILED, EINVAL,
					 "%s:%u: %s; nothing was changed", file,
					 number, why.text);
	}
	sort(&prefixes);
	*ret_prefixes = prefixes;
	prefixes = (struct ban_prefixes){0};
	return 0;
}

bool ban_set_is_name(const char *name)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

	return length > 0 && length <= BAN_SET_NAME_MAX && !name[length];
}

const struct ban_set *ban_set_find(const struct ban_list *list,
				   const char *name)
{
	for (size_t i = 0; i < list->set_count; i++) {
		if (!strcmp(list->sets[i].name, name))
			return &list->sets[i];
	}
	return NULL;
}

/* ---- file --------------------------------------------------------------- */

int ban_set_read(const struct paths *paths, const struct ban_set *set,
		 struct ban_prefixes *ret_prefixes, struct error *error)
{
	AUTO_FREE char *name = ban_file_name(paths, set->name);
	AUTO_STATE_TEXT text = {0};
	int status;

	if (!name)
		return error_set(error, EXIT_FAILED, ENOMEM, "out of memory");
	status = state_file_read(name, &format, &text, error);
	if (status == -ENOENT) {
		*ret_prefixes = (struct ban_prefixes){0};
		return 0;
	}
	if (status)
		return status == -EMEDIUMTYPE ? -EBADMSG : status;
	return ban_prefixes_parse(name, text.data, ret_prefixes, error);
}

static size_t print(const void *rows, FILE *out)
{
	const struct ban_prefixes *prefixes = rows;
	char text[ADDR_TEXT_SIZE];

	for (size_t i = 0; i < prefixes->count; i++)
		fprintf(out, "%s\n",
			addr_format_prefix(&prefixes->row[i], text));
	return prefixes->count;
}

static int stage(const char *name, const struct ban_prefixes *want,
		 struct error *error)
{
	AUTO_STATE_TEXT text = {0};

	if (state_file_frame(&format, print, want, &text))
		return error_set(error, EXIT_FAILED, ENOMEM, "out of memory");
	return state_file_stage(name, &format, &text, error);
}

/* ---- tables ------------------------------------------------------------- */

static int put(const struct store *store, const struct abi_prefix *prefix,
	       unsigned bit)
{
	struct abi_ban old, entry = {0};
	int status = edge_ban_get(store, prefix, &old);

	if (status && status != -ENOENT)
		return status;
	if (!status)
		entry = old;
	entry.sets |= 1U << bit;
	return edge_ban_put(store, prefix, status ? NULL : &old, entry);
}

static int take_out(const struct store *store, const struct abi_prefix *prefix,
		    unsigned bit)
{
	struct abi_ban old, entry;
	int status = edge_ban_get(store, prefix, &old);

	if (status)
		return status == -ENOENT ? 0 : status;
	entry = old;
	entry.sets &= ~(1U << bit);
	return entry.sets ? edge_ban_put(store, prefix, &old, entry)
			  : edge_ban_del(store, prefix);
}

/* Visits what is in @a and not in @b; both are in order. */
static int
each_beyond(const struct ban_prefixes *a, const struct ban_prefixes *b,
	    int (*visit)(void *context, const struct abi_prefix *prefix),
	    void *context)
{
	int status = 0;

	for (size_t i = 0, j = 0; !status && i < a->count; i++) {
		while (j < b->count &&
		       ban_compare_prefixes(&b->row[j], &a->row[i]) < 0)
			j++;
		if (j == b->count ||
		    ban_compare_prefixes(&b->row[j], &a->row[i]))
			status = visit(context, &a->row[i]);
	}
	return status;
}

/** struct change - of the tables; and of the number of their entries. */
struct change {
	const struct store *store;
	unsigned bit;
	size_t more;
	size_t fewer;
};

static int count_new(void *context, const struct abi_prefix *prefix)
{
	struct change *change = context;
	struct abi_ban entry;

	change->more += edge_ban_get(change->store, prefix, &entry) == -ENOENT;
	return 0;
}

static int count_old(void *context, const struct abi_prefix *prefix)
{
	struct change *change = context;
	struct abi_ban entry;

	change->fewer += !edge_ban_get(change->store, prefix, &entry) &&
			 entry.sets == 1U << change->bit;
	return 0;
}

static int add_new(void *context, const struct abi_prefix *prefix)
{
	const struct change *change = context;

	return put(change->store, prefix, change->bit);
}

static int remove_old(void *context, const struct abi_prefix *prefix)
{
	const struct change *change = context;

	return take_out(change->store, prefix, change->bit);
}

static int check_room(struct change *change, const struct ban_prefixes *now,
		      const struct ban_prefixes *want, struct error *error)
{
	/* Usually there is room however many of them are new. */
	change->more = want->count;
	if (change->store->edge->bans + change->more <= ABI_BANS_MAX)
		return 0;
	change->more = 0;
	each_beyond(want, now, count_new, change);
	each_beyond(now, want, count_old, change);
	if (change->store->edge->bans + change->more - change->fewer <=
	    ABI_BANS_MAX)
		return 0;
	return error_set(error, EXIT_FAILED, ENOSPC,
			 "the table of bans has room for %d prefixes, and this "
			 "would make %zu: nothing was changed",
			 ABI_BANS_MAX,
			 (size_t)change->store->edge->bans + change->more -
				 change->fewer);
}

/* The new ones first, so that nobody gets through in between; where there is
 * no room for both, the old ones. */
static int put_in_force(struct change *change, const struct ban_prefixes *now,
			const struct ban_prefixes *want)
{
	bool fits = change->store->edge->bans + change->more <= ABI_BANS_MAX;
	int status = 0;

	if (!fits)
		status = each_beyond(now, want, remove_old, change);
	if (!status)
		status = each_beyond(want, now, add_new, change);
	if (!status && fits)
		status = each_beyond(now, want, remove_old, change);
	return status;
}

int ban_set_fill(const struct paths *paths, const struct store *store,
		 const struct ban_set *set, struct error *error)
{
	AUTO_FREE char *file = ban_file_name(paths, set->name);
	AUTO_BAN_PREFIXES want = {0};
	int status = ban_set_read(paths, set, &want, error);

	/* What a dead writer has begun. */
	if (file)
		state_file_discard(file);
	for (size_t i = 0; !status && i < want.count; i++) {
		status = put(store, &want.row[i], set->bit);
		if (status)
			error_set(error, EXIT_FAILED, status,
				  "the set \"%s\" cannot be put in force: %s",
				  set->name, strerror(-status));
	}
	return status;
}

/* ---- replace ------------------------------------------------------------ */

/* Finds the set, or gives it the first bit that is free. */
static int name_set(struct ban_list *list, const char *name,
		    struct ban_set *ret_set, struct error *error)
{
	const struct ban_set *found = ban_set_find(list, name);
	uint32_t used = 1;

	for (size_t i = 0; i < list->set_count; i++)
		used |= 1U << list->sets[i].bit;
	if (found) {
		*ret_set = *found;
		return 0;
	}
	if (!~used)
		return error_set(error, EXIT_FAILED, ENOSPC,
				 "there are %d sets already, and no more can "
				 "be: an empty import removes one",
				 ABI_BAN_SETS_MAX);
	*ret_set = (struct ban_set){.bit = (unsigned)__builtin_ctz(~used)};
	snprintf(ret_set->name, sizeof(ret_set->name), "%s", name);
	return 0;
}

static void forget(struct ban_list *list, const struct ban_set *set)
{
	for (size_t i = 0; i < list->set_count; i++) {
		if (list->sets[i].bit == set->bit)
			list->sets[i] = list->sets[--list->set_count];
	}
}

static int replace(const char *file, struct change *change,
		   const struct ban_prefixes *now,
		   const struct ban_prefixes *want, struct error *error)
{
	int status;

	/* From here on, or a file that was begun is there for ever. */
	change->store->edge->dirty = 1;
	status = stage(file, want, error);
	if (!status)
		status = state_file_publish(file, error);
	if (status) {
		state_file_discard(file);
		change->store->edge->dirty = 0;
		return status;
	}
	status = put_in_force(change, now, want);
	if (status)
		return error_set(error, EXIT_FAILED, EINPROGRESS,
				 "the set is saved, but only a part of it is "
				 "in force (%s): the next change completes it",
				 strerror(-status));
	change->store->edge->dirty = 0;
	return 0;
}

int ban_set_replace(const struct paths *paths, const struct store *store,
		    struct ban_list *list, const char *name,
		    const struct ban_prefixes *want, struct error *error)
{
	AUTO_FREE char *file = ban_file_name(paths, name);
	AUTO_BAN_PREFIXES now = {0};
	struct change change = {.store = store};
	struct ban_set set;
	int status = file ? name_set(list, name, &set, error) : -ENOMEM;

	/* A file that no row names is what a dead writer left. */
	if (!status && !ban_set_find(list, name))
		unlink(file);
	if (!status)
		status = ban_set_read(paths, &set, &now, error);
	if (status)
		return status;
	change.bit = set.bit;
	status = check_room(&change, &now, want, error);
	/* A set that is named and has no file is empty; one that has a file
	 * and is not named would be forgotten. */
	if (!status && !ban_set_find(list, name)) {
		list->sets[list->set_count++] = set;
		status = ban_commit(paths, store, list, error);
	}
	if (!status)
		status = replace(file, &change, &now, want, error);
	if (status || want->count)
		return status;
	/* In this order, or it is a file that no row names. */
	unlink(file);
	forget(list, &set);
	status = ban_commit(paths, store, list, error);
	if (status)
		error_set(error, EXIT_FAILED, status,
			  "the set \"%s\" is empty, but could not be removed: "
			  "%s",
			  name, strerror(-status));
	return status;
}
