// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The whole configuration: save, apply, check. */
#include <errno.h>
#include <string.h>
#include "../userspace/addr.h"
#include "../userspace/config_file.h"
#include "../userspace/edge_hook.h"
#include "../userspace/local.h"
#include "../userspace/setting.h"
#include "../userspace/state.h"
#include "agent_view.h"
#include "command.h"
#include "output.h"

int save_main(const struct invocation *call, struct error *error)
{
	AUTO_STORE store = STORE_NONE;
	AUTO_CONFIG config = {.listeners = NULL};
	int ret;

	ret = store_open(&call->paths, STORE_READ, &store, error);
	if (!ret)
		ret = state_load(&store, &config, error);
	if (ret)
		return ret;
	config_print(&config, stdout);
	return 0;
}

static int read_file(const struct invocation *call, struct config *config,
		     struct error *error)
{
	struct config_locals locals = {NULL, 0};
	int ret = local_addresses(&locals);

	if (ret)
		return error_set(error, EXIT_FAILED, ret,
				 "cannot read this host's addresses: %s",
				 strerror(-ret));
	ret = config_file_read(call->argument[0], &locals, config, error);
	local_free(&locals);
	return ret;
}

/* ---- check ----------------------------------------------------------------
 */

static size_t changed_settings(const struct config *config)
{
	size_t count = config->hook_count;

	for (int id = 0; id < ABI_SETTING_COUNT; id++)
		count += config->settings[id] != setting_table[id].fallback;
	return count;
}

int check_main(const struct invocation *call, struct error *error)
{
	AUTO_CONFIG config = {.listeners = NULL};
	int ret = read_file(call, &config, error);

	if (ret)
		return ret;
	if (call->option[OPTION_JSON])
		return output_json(
			json_pack("{s:I, s:I, s:I}", "listeners",
				  (json_int_t)config.listener_count, "routes",
				  (json_int_t)config.route_count, "settings",
				  (json_int_t)changed_settings(&config)));
	printf("%s: listeners %zu, routes %zu, settings %zu\n",
	       call->argument[0], config.listener_count, config.route_count,
	       changed_settings(&config));
	return 0;
}

/* ---- apply ----------------------------------------------------------------
 */

static void print_change(void *context, const struct config_row *before,
			 const struct config_row *after)
{
	bool *listeners = context;
	char text[CONFIG_ROW_SIZE];
	char sign = !before ? '+' : !after ? '-' : '~';

	config_row_format(after ? after : before, text);
	printf("%c %s\n", sign, text);
	*listeners |= (after ? after : before)->object == CONFIG_LISTENER;
}

/* The first listener that the agent could not open is named. */
static int check_listeners(const struct config *config, const json_t *answer,
			   struct error *error)
{
	char port[ADDR_TEXT_SIZE], text[AGENT_SENTENCE_SIZE];
	struct listener_view view;

	for (size_t i = 0; i < config->listener_count; i++) {
		const struct abi_endpoint *endpoint =
			&config->listeners[i].endpoint;

		agent_listener(answer, endpoint, &view);
		if (view.why)
			return error_set(
				error, EXIT_FAILED, EADDRINUSE,
				"applied, but cannot listen on %s yet: %s; the "
				"agent tries again",
				addr_format_listener(endpoint, port),
				agent_listener_text(&view, text));
	}
	return 0;
}

static int tell_agent(const struct invocation *call, const struct config *want,
		      struct error *error)
{
	json_auto_t *answer = NULL;
	int ret = agent_ask(&call->paths, "listen", &answer, error);

	if (ret == -ECONNREFUSED) {
		output_note("no agent runs: the next one will open and close "
			    "the listeners");
		return 0;
	}
	return ret ? ret : check_listeners(want, answer, error);
}

/* Who leaves all listeners out has most likely forgotten them. */
static int check_listened(const struct invocation *call,
			  const struct config *now, const struct config *want,
			  struct error *error)
{
	const char *path = call->argument[0];

	if (!now->listener_count || want->listener_count ||
	    call->option[OPTION_FORCE])
		return 0;
	return error_set(error, EXIT_FAILED, EINVAL,
			 "%s has no row \"listen add\", and would close every "
			 "listener: add \"listen add 443\", or give --force; "
			 "nothing was changed",
			 strcmp(path, "-") ? path : "standard input");
}

static int dry_run(const struct invocation *call, const struct config *want,
		   struct error *error)
{
	AUTO_STORE store = STORE_NONE;
	AUTO_CONFIG now = {.listeners = NULL};
	bool listeners = false;
	int ret;

	ret = store_open(&call->paths, STORE_READ, &store, error);
	if (!ret)
		ret = state_load(&store, &now, error);
	if (!ret)
		ret = check_listened(call, &now, want, error);
	if (!ret)
		config_diff(&now, want, print_change, &listeners);
	return ret;
}

int apply_main(const struct invocation *call, struct error *error)
{
	AUTO_STORE store = STORE_NONE;
	AUTO_CONFIG now = {.listeners = NULL}, want = {.listeners = NULL};
	bool listeners = false;
	int ret = read_file(call, &want, error);

	if (!ret && call->option[OPTION_DRY_RUN])
		return dry_run(call, &want, error);
	if (!ret)
		ret = state_open(&call->paths, &store, error);
	if (!ret)
		ret = state_load(&store, &now, error);
	if (!ret)
		ret = check_listened(call, &now, &want, error);
	if (!ret)
		ret = state_apply(&store, &call->paths, &now, &want, error);
	if (!ret)
		ret = edge_hook_sync(&store, error);
	if (ret)
		return ret;
	state_unlock(&store);
	config_diff(&now, &want, print_change, &listeners);
	return listeners ? tell_agent(call, &want, error) : 0;
}
