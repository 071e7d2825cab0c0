// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent_view.h"

#include <errno.h>
#include <string.h>
#include "../userspace/addr.h"
#include "../userspace/control.h"
#include "object.h"

int agent_ask(const struct paths *paths, const char *command,
	      json_t **ret_answer, struct error *error)
{
	json_auto_t *request = json_pack("{s:s}", "command", command);

	if (!request)
		return error_set(error, EXIT_FAILED, ENOMEM, "out of memory");
	return control_call(paths, request, CONTROL_PATIENCE_S, ret_answer,
			    error);
}

static const json_t *find_listener(const json_t *answer,
				   const struct abi_endpoint *endpoint)
{
	const json_t *rows = json_object_get(answer, "listeners");
	char text[ADDR_TEXT_SIZE];

	addr_format_listener(endpoint, text);
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		const char *listen =
			json_string_value(json_object_get(row, "listen"));

		if (listen && !strcmp(listen, text))
			return row;
	}
	return NULL;
}

void agent_listener(const json_t *answer, const struct abi_endpoint *endpoint,
		    struct listener_view *ret_view)
{
	struct listener_view view = {.holder.pid = -1};
	const json_t *row = answer ? find_listener(answer, endpoint) : NULL;

	view.state = json_string_value(json_object_get(row, "state"));
	view.why = json_string_value(json_object_get(row, "error"));
	/* Only where the port is the trouble is its holder of interest. */
	if (view.why && strstr(view.why, strerror(EADDRINUSE)))
		holder_find(endpoint, "snictld", &view.holder);
	*ret_view = view;
}

const char *agent_listener_text(const struct listener_view *view, char *text)
{
	const struct holder *holder = &view->holder;

	if (holder->pid > 0)
		snprintf(text, AGENT_SENTENCE_SIZE,
			 "the port is held by %s (pid %d)", holder->command,
			 (int)holder->pid);
	else if (!holder->pid)
		snprintf(text, AGENT_SENTENCE_SIZE,
			 "the port is held by a process that you may not see");
	else if (view->why)
		snprintf(text, AGENT_SENTENCE_SIZE, "%s", view->why);
	else
		snprintf(text, AGENT_SENTENCE_SIZE, "%s",
			 view->state ? view->state : "not open");
	return text;
}

static json_t *holder_object(const struct holder *holder)
{
	char text[ADDR_TEXT_SIZE];

	if (holder->pid < 0)
		return json_null();
	addr_format_endpoint(&holder->endpoint, text);
	if (!holder->pid)
		return json_pack("{s:s, s:n, s:n}", "listen", text, "pid",
				 "command");
	return json_pack("{s:s, s:i, s:s}", "listen", text, "pid",
			 (int)holder->pid, "command", holder->command);
}

static json_t *prefixes_object(const struct abi_prefix *prefix, uint32_t count)
{
	char text[ADDR_TEXT_SIZE];
	json_t *array = json_array();

	for (uint32_t i = 0; i < count; i++)
		json_array_append_new(array, json_string(addr_format_prefix(
						     &prefix[i], text)));
	return array;
}

json_t *agent_listener_object(const struct listener *listener,
			      const struct listener_view *view)
{
	char text[ADDR_TEXT_SIZE];

	addr_format_listener(&listener->endpoint, text);
	return json_pack("{s:s, s:b, s:o, s:o, s:o, s:o, s:o}", "listen", text,
			 "http", listener->value.http, "accept_proxy",
			 prefixes_object(listener->value.trusted,
					 listener->value.trusted_count),
			 "trust_forwarded",
			 prefixes_object(listener->value.forwarder,
					 listener->value.forwarder_count),
			 "state", object_text(view->state), "error",
			 object_text(view->why), "holder",
			 holder_object(&view->holder));
}
