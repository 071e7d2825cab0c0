// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* config.h: what differs, and the whole as text. */
#include <string.h>
#include "config.h"
#include "setting.h"

/** struct diff - a comparison under way. */
struct diff {
	const struct config *before;
	const struct config *after;
	config_visit *visit;
	void *context;
	size_t count;
};

static void report(struct diff *diff, const struct config_row *before,
		   const struct config_row *after)
{
	diff->count++;
	if (diff->visit)
		diff->visit(diff->context, before, after);
}

static struct config_row listener_row(const struct config_listener *listener)
{
	return (struct config_row){.verb = CONFIG_ADD,
				   .object = CONFIG_LISTENER,
				   .listener = *listener};
}

static bool same_listener(const struct config_listener *a,
			  const struct config_listener *b)
{
	return a->trusted_count == b->trusted_count &&
	       !memcmp(a->trusted, b->trusted,
		       a->trusted_count * sizeof(a->trusted[0])) &&
	       a->http == b->http && a->forwarder_count == b->forwarder_count &&
	       !memcmp(a->forwarder, b->forwarder,
		       a->forwarder_count * sizeof(a->forwarder[0]));
}

static void diff_listeners(struct diff *diff)
{
	const struct config *before = diff->before, *after = diff->after;

	for (size_t i = 0; i < before->listener_count; i++) {
		const struct config_listener *old = &before->listeners[i];
		const struct config_listener *new =
			config_find_listener(after, &old->endpoint);
		struct config_row old_row = listener_row(old), new_row;

		if (!new)
			report(diff, &old_row, NULL);
		if (!new || same_listener(old, new))
			continue;
		new_row = listener_row(new);
		report(diff, &old_row, &new_row);
	}
	for (size_t i = 0; i < after->listener_count; i++) {
		struct config_row row = listener_row(&after->listeners[i]);

		if (!config_find_listener(before, &row.listener.endpoint))
			report(diff, NULL, &row);
	}
}

static struct config_row setting_row(const struct config *config, int setting)
{
	return (struct config_row){
		.verb = CONFIG_SET,
		.object = CONFIG_SETTING,
		.setting = {.setting = (enum abi_setting)setting,
			    .value = config->settings[setting]},
	};
}

static struct config_row hook_row(const struct abi_hook *hook)
{
	struct config_row row = {
		.verb = CONFIG_SET,
		.object = CONFIG_SETTING,
		.setting = {.setting = ABI_SET_EDGE_HOOK, .value = hook->hook},
	};

	memcpy(row.setting.interface, hook->interface, sizeof(hook->interface));
	return row;
}

static void diff_settings(struct diff *diff)
{
	for (int i = 0; i < ABI_SETTING_COUNT; i++) {
		struct config_row old = setting_row(diff->before, i);
		struct config_row new = setting_row(diff->after, i);

		if (old.setting.value != new.setting.value)
			report(diff, &old, &new);
	}
}

static void diff_hooks(struct diff *diff)
{
	const struct config *before = diff->before, *after = diff->after;

	for (size_t i = 0; i < before->hook_count; i++) {
		const struct abi_hook *old = &before->hooks[i];
		const struct abi_hook *new =
			config_find_hook(after, old->interface);
		struct config_row old_row = hook_row(old), new_row;

		if (!new)
			report(diff, &old_row, NULL);
		if (!new || new->hook == old->hook)
			continue;
		new_row = hook_row(new);
		report(diff, &old_row, &new_row);
	}
	for (size_t i = 0; i < after->hook_count; i++) {
		struct config_row row = hook_row(&after->hooks[i]);

		if (!config_find_hook(before, row.setting.interface))
			report(diff, NULL, &row);
	}
}

static void report_route(struct diff *diff, const struct config_route *old,
			 const struct config_route *new)
{
	struct config_row before = {.verb = CONFIG_ADD, .object = CONFIG_ROUTE};
	struct config_row after = before;

	if (old)
		before.route = *old;
	if (new)
		after.route = *new;
	report(diff, old ? &before : NULL, new ? &after : NULL);
}

static void diff_routes(struct diff *diff)
{
	const struct config *before = diff->before, *after = diff->after;
	size_t i = 0, j = 0;

	while (i < before->route_count || j < after->route_count) {
		const struct config_route *left = NULL, *right = NULL;
		int order;

		if (i < before->route_count)
			left = &before->routes[i];
		if (j < after->route_count)
			right = &after->routes[j];
		order = !left	 ? 1
			: !right ? -1
				 : config_compare_routes(left, right);
		if (order < 0)
			right = NULL;
		if (order > 0)
			left = NULL;
		i += left != NULL;
		j += right != NULL;
		if (!left || !right ||
		    memcmp(&left->route, &right->route, sizeof(left->route)))
			report_route(diff, left, right);
	}
}

size_t config_diff(const struct config *before, const struct config *after,
		   config_visit *visit, void *context)
{
	struct diff diff = {before, after, visit, context, 0};

	diff_listeners(&diff);
	diff_settings(&diff);
	diff_hooks(&diff);
	diff_routes(&diff);
	return diff.count;
}

static void print_row(const struct config_row *row, FILE *out)
{
	char text[CONFIG_ROW_SIZE];
	size_t length = config_row_format(row, text);

	text[length++] = '\n';
	fwrite(text, 1, length, out);
}

size_t config_print(const struct config *config, FILE *out)
{
	struct config_row route = {.verb = CONFIG_ADD, .object = CONFIG_ROUTE};
	size_t lines = config->listener_count + config->hook_count +
		       config->route_count;

	for (size_t i = 0; i < config->listener_count; i++) {
		struct config_row row = listener_row(&config->listeners[i]);

		print_row(&row, out);
	}
	for (int i = 0; i < ABI_SETTING_COUNT; i++) {
		struct config_row row = setting_row(config, i);

		if (row.setting.value == setting_table[i].fallback)
			continue;
		print_row(&row, out);
		lines++;
	}
	for (size_t i = 0; i < config->hook_count; i++) {
		struct config_row row = hook_row(&config->hooks[i]);

		print_row(&row, out);
	}
	for (size_t i = 0; i < config->route_count; i++) {
		route.route = config->routes[i];
		print_row(&route, out);
	}
	return lines;
}
