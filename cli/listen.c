// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include "../userspace/addr.h"
#include "agent_view.h"
#include "edit.h"
#include "output.h"
#include "reader.h"

/* Makes the agent look at the map; NULL in @ret_answer: there is none. */
static int tell_agent(const struct invocation *call, json_t **ret_answer,
		      struct error *error)
{
	int ret = agent_ask(&call->paths, "listen", ret_answer, error);

	if (ret == -ECONNREFUSED) {
		*ret_answer = NULL;
		return 0;
	}
	return ret;
}

int listen_add_main(const struct invocation *call, struct error *error)
{
	json_auto_t *answer = NULL;
	char port[ADDR_TEXT_SIZE], text[AGENT_SENTENCE_SIZE];
	struct listener_view view;
	struct config_row row;
	int ret = edit_row(call, &row, error);

	if (!ret)
		ret = tell_agent(call, &answer, error);
	if (ret)
		return ret;
	addr_format_listener(&row.listener.endpoint, port);
	if (!answer) {
		output_note("no agent runs: the next one will listen on %s",
			    port);
		return 0;
	}
	agent_listener(answer, &row.listener.endpoint, &view);
	if (!view.why)
		return 0;
	return error_set(error, EXIT_FAILED, EADDRINUSE,
			 "cannot listen on %s yet: %s; the agent tries again, "
			 "`snictl listen del %s` takes the listener back",
			 port, agent_listener_text(&view, text), port);
}

int listen_del_main(const struct invocation *call, struct error *error)
{
	json_auto_t *answer = NULL;
	char port[ADDR_TEXT_SIZE];
	struct config_row row;
	int ret = edit_row(call, &row, error);

	if (!ret)
		ret = tell_agent(call, &answer, error);
	if (ret)
		return ret;
	if (!answer)
		output_note("no agent runs: the next one will not listen on %s",
			    addr_format_listener(&row.listener.endpoint, port));
	return 0;
}

/* ---- list -----------------------------------------------------------------
 */

static const struct column columns[] = {
	{"LISTEN", COLUMN_TEXT}, {"KIND", COLUMN_TEXT},
	{"STATE", COLUMN_CUT},	 {"ACCEPT-PROXY", COLUMN_CUT},
	{NULL, COLUMN_TEXT},
};

static void format_trusted(const struct abi_listener *listener, char *text,
			   size_t size)
{
	char prefix[ADDR_TEXT_SIZE];
	size_t length = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < listener->trusted_count; i++)
		length += (size_t)snprintf(
			text + length, size - length, "%s%s", i ? "," : "",
			addr_format_prefix(&listener->trusted[i], prefix));
}

static void list_one(struct listing *listing, const struct listener *listener,
		     const json_t *answer)
{
	char port[ADDR_TEXT_SIZE], state[AGENT_SENTENCE_SIZE];
	char trusted[ABI_TRUSTED_MAX * ADDR_TEXT_SIZE];
	struct listener_view view;

	agent_listener(answer, &listener->endpoint, &view);
	if (listing->json) {
		listing_object(listing, agent_listener_object(listener, &view));
		return;
	}
	format_trusted(&listener->value, trusted, sizeof(trusted));
	listing_row(listing,
		    (const char *const[]){
			    addr_format_listener(&listener->endpoint, port),
			    listener->value.http ? "http" : "tls",
			    agent_listener_text(&view, state), trusted});
	if (view.state)
		listing_tone(listing, 2, view.why ? TONE_BAD : TONE_GOOD);
}

int listen_list_main(const struct invocation *call, struct error *error)
{
	AUTO_READER reader = READER_NONE;
	json_auto_t *answer = NULL;
	struct listing listing;
	int ret = reader_open(&reader, &call->paths, error);

	if (ret)
		return ret;
	/* Without an agent the rows are still worth printing. */
	agent_ask(&call->paths, "status", &answer, NULL);
	listing_begin(&listing, call->option[OPTION_JSON], columns);
	for (size_t i = 0; i < reader.listeners.count; i++)
		list_one(&listing, &reader.listeners.row[i], answer);
	return listing_end(&listing);
}
