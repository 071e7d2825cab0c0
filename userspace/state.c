// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sodium/crypto_shorthash_siphash24.h>
#include <string.h>
#include "ban.h"
#include "cleanup.h"
#include "listener.h"
#include "local.h"
#include "route_change.h"
#include "state_file.h"

/* Beside writers that never pause, reading must end some time. */
#define LOAD_TRIES 8

/** enum route_step - what a change means for the routes map. */
enum route_step {
	ROUTES_KEEP,
	ROUTES_ONE, /* one row, in place */
	ROUTES_ALL  /* a new map */
};

/** struct change - a change of the maps, made ready. */
struct change {
	const struct config *want;
	struct listener_list listeners; /* wanted, with their ids */
	enum route_step step;
	const struct config_row *row; /* ROUTES_ONE */
	int staged;		      /* ROUTES_ALL: the new map */
};

/* ---- load --------------------------------------------------------------- */

static void load_hooks(const struct store *store, struct config *config)
{
	const struct abi_hook *hooks = store->settings->hook;
	size_t count = 0;

	while (count < ABI_HOOKS_MAX && hooks[count].interface[0])
		count++;
	memcpy(config->hooks, hooks, count * sizeof(*hooks));
	config->hook_count = count;
}

static int load_once(const struct store *store, struct config *config)
{
	struct listener_list listeners;
	int status = listener_list_read(store, &listeners, NULL);

	for (size_t i = 0; !status && i < listeners.count; i++) {
		const struct listener *from = &listeners.row[i];
		struct config_listener row = {
			.endpoint = from->endpoint,
			.trusted_count = from->value.trusted_count,
			.forwarder_count = from->value.forwarder_count,
			.http = from->value.http};

		memcpy(row.trusted, from->value.trusted, sizeof(row.trusted));
		memcpy(row.forwarder, from->value.forwarder,
		       sizeof(row.forwarder));
		status = config_append_listener(config, &row);
	}
	for (int i = 0; i < ABI_SETTING_COUNT; i++)
		config->settings[i] = __atomic_load_n(
			&store->settings->value[i], __ATOMIC_RELAXED);
	load_hooks(store, config);
	return status ? status : route_load(store, &listeners, config);
}

/* Moves with every change of listeners or routes. */
static uint64_t moment(const struct store *store)
{
	return __atomic_load_n(&store->meta->route_generation,
			       __ATOMIC_ACQUIRE) +
	       __atomic_load_n(&store->meta->listener_generation,
			       __ATOMIC_ACQUIRE);
}

int state_load(const struct store *store, struct config *ret_config,
	       struct error *error)
{
	struct config config;
	uint64_t before;
	int status;

	config_init(&config);
	for (unsigned i = 0; i < LOAD_TRIES; i++) {
		config_done(&config);
		before = moment(store);
		status = load_once(store, &config);
		if (status || moment(store) == before)
			break;
	}
	if (status) {
		config_done(&config);
		return error_set(error, EXIT_FAILED, status,
				 "the maps cannot be read: %s",
				 strerror(-status));
	}
	config_sort(&config);
	*ret_config = config;
	return 0;
}

/* ---- change the maps ---------------------------------------------------- */

/* The wanted listeners; those that are there keep their id. */
static int name_listeners(const struct store *store, const struct config *want,
			  struct listener_list *ret_list)
{
	struct listener_list now;
	int status = listener_list_read(store, &now, NULL);

	if (status)
		return status;
	ret_list->count = want->listener_count;
	for (size_t i = 0; i < want->listener_count; i++) {
		const struct config_listener *from = &want->listeners[i];
		struct listener *row = &ret_list->row[i];

		*row = (struct listener){.endpoint = from->endpoint};
		row->value.id = listener_list_id(&now, &from->endpoint);
		if (!row->value.id)
			row->value.id = store->meta->next_listener_id++;
		row->value.trusted_count = from->trusted_count;
		memcpy(row->value.trusted, from->trusted,
		       sizeof(row->value.trusted));
		row->value.http = from->http;
		row->value.forwarder_count = from->forwarder_count;
		memcpy(row->value.forwarder, from->forwarder,
		       sizeof(row->value.forwarder));
	}
	return 0;
}

static int change_listeners(const struct store *store,
			    const struct listener_list *want)
{
	struct listener_list now;
	int status = listener_list_read(store, &now, NULL);

	for (size_t i = 0; !status && i < now.count; i++) {
		if (!listener_list_id(want, &now.row[i].endpoint))
			status = listener_del(store, &now.row[i].endpoint);
	}
	for (size_t i = 0; !status && i < want->count; i++) {
		const struct listener *row = &want->row[i], *old;

		old = listener_list_find(&now, row->value.id);
		if (!old ||
		    memcmp(&old->value, &row->value, sizeof(row->value)))
			status = listener_put(store, row);
	}
	return status;
}

static void change_settings(const struct store *store,
			    const struct config *want)
{
	struct abi_hook *hooks = store->settings->hook;

	for (int i = 0; i < ABI_SETTING_COUNT; i++)
		__atomic_store_n(&store->settings->value[i], want->settings[i],
				 __ATOMIC_RELAXED);
	memcpy(hooks, want->hooks, want->hook_count * sizeof(*hooks));
	memset(&hooks[want->hook_count], 0,
	       (ABI_HOOKS_MAX - want->hook_count) * sizeof(*hooks));
}

static int change_routes(const struct store *store, const struct change *change)
{
	int status;

	switch (change->step) {
	case ROUTES_KEEP:
		return 0;
	case ROUTES_ONE:
		return route_change_row(store, &change->listeners, change->want,
					change->row);
	case ROUTES_ALL:
		break;
	}
	status = route_publish(store, change->staged, change->want);
	if (!status)
		route_prune_stats(store);
	return status;
}

/* All that can run out of memory is done before anything is changed. */
static int prepare(const struct store *store, struct change *change,
		   struct error *error)
{
	int status = name_listeners(store, change->want, &change->listeners);

	if (status)
		return error_set(error, EXIT_FAILED, status,
				 "the listeners cannot be read: %s",
				 strerror(-status));
	if (change->step != ROUTES_ALL)
		return 0;
	return route_stage(store, &change->listeners, change->want,
			   &change->staged, error);
}

static int make(const struct store *store, const struct change *change)
{
	int status = change_listeners(store, &change->listeners);

	if (!status)
		status = change_routes(store, change);
	if (!status)
		change_settings(store, change->want);
	return status;
}

/* ---- change file and maps ----------------------------------------------- */

static void mark(const struct store *store, uint64_t value)
{
	__atomic_store_n(&store->meta->dirty, value, __ATOMIC_SEQ_CST);
}

/* What abi_meta.dirty says while this text is being put in force: never 0. */
static uint64_t text_hash(const struct store *store,
			  const struct state_text *text)
{
	uint64_t hash[2];

	crypto_shorthash_siphashx24((unsigned char *)hash,
				    (const unsigned char *)text->data,
				    text->length, store->meta->hash_key);
	return hash[0] | 1;
}

static int put_in_force(const struct store *store, const struct change *change,
			struct error *error)
{
	int status = make(store, change);

	if (!status) {
		mark(store, 0);
		return 0;
	}
	return error_set(error, EXIT_FAILED, EINPROGRESS,
			 "the new state is saved, but the maps hold only a "
			 "part of it (%s): the next change completes it",
			 strerror(-status));
}

static int commit(struct store *store, const struct paths *paths,
		  struct change *change, struct error *error)
{
	AUTO_STATE_TEXT text = {0};
	int status;

	if (state_file_print(change->want, &text))
		return error_set(error, EXIT_FAILED, ENOMEM, "out of memory");
	status = state_file_stage(paths->state, &state_format_rows, &text,
				  error);
	if (status)
		return status;
	status = prepare(store, change, error);
	if (!status) {
		mark(store, text_hash(store, &text));
		status = state_file_publish(paths->state, error);
		if (status)
			mark(store, 0);
	}
	if (status) {
		state_file_discard(paths->state);
		return status;
	}
	return put_in_force(store, change, error);
}

int state_edit(struct store *store, const struct paths *paths,
	       const struct config_row *row, struct error *error)
{
	__attribute__((cleanup(local_free))) struct config_locals locals = {0};
	AUTO_CONFIG config = {0};
	struct change change = {.want = &config, .row = row, .staged = -1};
	int status = state_load(store, &config, error);

	if (status)
		return status;
	status = local_addresses(&locals);
	if (status)
		return error_set(error, EXIT_FAILED, status,
				 "the addresses of this host cannot be read: "
				 "%s",
				 strerror(-status));
	status = config_edit(&config, row, &locals, error);
	if (status)
		return status;
	if (row->object == CONFIG_ROUTE)
		change.step =
			route_has_room(store, row) ? ROUTES_ONE : ROUTES_ALL;
	status = commit(store, paths, &change, error);
	cleanup_fd(&change.staged);
	return status;
}

/** struct route_changes - how many rows, and the last of them. */
struct route_changes {
	size_t count;
	struct config_row row;
};

static void count_route(void *context, const struct config_row *before,
			const struct config_row *after)
{
	struct route_changes *changes = context;

	if ((after ? after : before)->object != CONFIG_ROUTE ||
	    changes->count++)
		return;
	changes->row = after ? *after : *before;
	changes->row.verb = !before ? CONFIG_ADD
			    : after ? CONFIG_REPLACE
				    : CONFIG_DEL;
}

int state_apply(struct store *store, const struct paths *paths,
		const struct config *now, const struct config *want,
		struct error *error)
{
	struct route_changes changes = {0};
	struct change change = {
		.want = want, .row = &changes.row, .staged = -1};
	int status;

	config_diff(now, want, count_route, &changes);
	if (changes.count == 1 && route_has_room(store, &changes.row))
		change.step = ROUTES_ONE;
	else if (changes.count)
		change.step = ROUTES_ALL;
	status = commit(store, paths, &change, error);
	cleanup_fd(&change.staged);
	return status;
}

/* ---- open --------------------------------------------------------------- */

static int fresh_config(struct config *ret_config, struct error *error)
{
	struct config_listener row = {.endpoint.port_be = htons(443)};

	config_init(ret_config);
	if (config_append_listener(ret_config, &row))
		return error_set(error, EXIT_FAILED, ENOMEM, "out of memory");
	return 0;
}

/* Which addresses the host has just now, in the middle of a boot perhaps, is
 * no reason to refuse what was accepted before: no locals. */
static int read_file(const struct paths *paths, struct config *ret_config,
		     struct error *error)
{
	AUTO_STATE_TEXT text = {0};
	int status =
		state_file_read(paths->state, &state_format_rows, &text, error);

	if (status == -ENOENT)
		return fresh_config(ret_config, error);
	if (status)
		return status == -EMEDIUMTYPE ? -EBADMSG : status;
	if (!config_parse(paths->state, text.data, text.length, NULL,
			  ret_config, error))
		return 0;
	return -EBADMSG;
}

static int fill(struct store *store, const struct change *change,
		struct error *error)
{
	int status = make(store, change);

	if (!status)
		return 0;
	return error_set(error, EXIT_FAILED, status,
			 "the maps cannot be filled: %s", strerror(-status));
}

static int create(struct store *store, const struct paths *paths,
		  struct error *error)
{
	AUTO_CONFIG config = {0};
	struct change change = {
		.want = &config, .step = ROUTES_ALL, .staged = -1};
	int status = read_file(paths, &config, error);

	if (status)
		return status;
	status = store_create(store, paths,
			      (uint32_t)config.settings[ABI_SET_FLOW_CAPACITY],
			      error);
	if (!status)
		status = prepare(store, &change, error);
	if (!status)
		status = fill(store, &change, error);
	if (!status)
		status = ban_restore(paths, store, error);
	if (!status)
		status = store_publish(store, paths, error);
	cleanup_fd(&change.staged);
	if (status)
		store_discard(store);
	return status;
}

/*
 * A writer died. If the file is the one that it was putting in force, the
 * maps are made equal to it; if not, it had not come to change them.
 */
static int repair(struct store *store, const struct paths *paths,
		  struct error *error)
{
	AUTO_CONFIG config = {0};
	AUTO_STATE_TEXT text = {0};
	struct change change = {
		.want = &config, .step = ROUTES_ALL, .staged = -1};
	int status =
		state_file_read(paths->state, &state_format_rows, &text, NULL);

	if (status || text_hash(store, &text) != store->meta->dirty) {
		mark(store, 0);
		return 0;
	}
	status = config_parse(paths->state, text.data, text.length, NULL,
			      &config, error);
	if (!status)
		status = prepare(store, &change, error);
	if (!status)
		status = put_in_force(store, &change, error);
	cleanup_fd(&change.staged);
	return status;
}

int state_open(const struct paths *paths, struct store *ret_store,
	       struct error *error)
{
	AUTO_STORE store = STORE_NONE;
	int status = store_lock(paths, &store, error);

	if (status)
		return status;
	status = store_load(&store, paths, error);
	if (status == -ENOENT)
		status = create(&store, paths, error);
	else if (!status && store.meta->dirty)
		status = repair(&store, paths, error);
	if (!status && store.edge->dirty)
		status = ban_restore(paths, &store, error);
	if (status)
		return status;
	*ret_store = store;
	store = STORE_NONE;
	return 0;
}

void state_unlock(struct store *store)
{
	store_unlock(store);
}
