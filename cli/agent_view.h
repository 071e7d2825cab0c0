/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the agent says of itself and its listeners, and who is in its way. */
#ifndef SNICTL_AGENT_VIEW_H
#define SNICTL_AGENT_VIEW_H

#include <jansson.h>
#include "../userspace/error.h"
#include "../userspace/holder.h"
#include "../userspace/listener.h"
#include "../userspace/paths.h"

/**
 * agent_ask() - a command without arguments.
 * Return: as control_call().
 */
int agent_ask(const struct paths *paths, const char *command,
	      json_t **ret_answer, struct error *error);

/**
 * struct listener_view - how a listener is doing.
 * @state:  "listening", "failed", or NULL: no agent says anything.
 * @why:    the agent's sentence where it failed, or NULL; borrowed.
 * @holder: pid -1: nobody is in the way.
 */
struct listener_view {
	const char *state;
	const char *why;
	struct holder holder;
};

/**
 * agent_listener() - what the agent's answer says of one listener.
 * @answer: to "status" or "listen"; NULL: no agent answers.
 */
void agent_listener(const json_t *answer, const struct abi_endpoint *endpoint,
		    struct listener_view *ret_view);

/** AGENT_SENTENCE_SIZE - room for agent_listener_text(). */
#define AGENT_SENTENCE_SIZE 256

/**
 * agent_listener_text() - "listening", "held by nginx (pid 812)", ...
 * @text: at least AGENT_SENTENCE_SIZE bytes. Return: @text.
 */
const char *agent_listener_text(const struct listener_view *view, char *text);

/** agent_listener_object() - one listener as JSON. */
json_t *agent_listener_object(const struct listener *listener,
			      const struct listener_view *view);

#endif
