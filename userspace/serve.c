// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "serve.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include "addr.h"
#include "cleanup.h"
#include "control.h"
#include "edge.h"
#include "flow.h"
#include "flow_read.h"
#include "listen.h"
#include "name.h"
#include "setting.h"
#include "words.h"

/* A client that connects and says nothing must not hold the others up. */
#define SERVE_PATIENCE_S 1

static json_t *serve_error(const char *text)
{
	return json_pack("{ss}", "error", text);
}

static json_t *serve_listeners(const struct agent *agent)
{
	json_t *list = json_array();

	for (const struct listening *one = agent->listenings; one;
	     one = one->next) {
		if (one->closed)
			continue;
		json_array_insert_new(
			list, 0,
			json_pack("{si ss ss ss?}", "id", (int)one->row.id,
				  "listen", one->text, "state",
				  one->error ? "failed" : "listening", "error",
				  one->error ? strerror(one->error) : NULL));
	}
	return list;
}

static json_t *serve_datapath(enum abi_datapath path, bool on, const char *why)
{
	return json_pack("{ss sb ss?}", "name", words_datapath[path], "on", on,
			 "why", *why ? why : NULL);
}

static json_t *serve_datapaths(const struct agent *agent)
{
	return json_pack("[o o o]",
			 serve_datapath(ABI_DATAPATH_SPLICE,
					agent->splice && (agent->splices[0] ||
							  agent->splices[1]),
					agent->splice_off.text),
			 serve_datapath(ABI_DATAPATH_SOCKMAP, agent->sockmap,
					agent->sockmap_off.text),
			 serve_datapath(ABI_DATAPATH_RELAY, true, ""));
}

static json_t *serve_status(struct agent *agent)
{
	bool paused = false;

	for (unsigned i = 0; i < agent->thread_count; i++)
		paused |= agent->threads[i].paused_until_ns != 0;
	return json_pack("{sb ss si si sI ss sb sb so so}", "ok", 1, "version",
			 SNICTL_VERSION, "pid", (int)getpid(), "threads",
			 (int)agent->thread_count, "started_ns",
			 (json_int_t)agent->started_ns, "datapath",
			 words_datapath[agent->datapath], "draining",
			 (int)atomic_load(&agent->draining), "accept_paused",
			 paused, "listeners", serve_listeners(agent),
			 "datapaths", serve_datapaths(agent));
}

static json_t *serve_listen(struct agent *agent)
{
	int error = atomic_load(&agent->draining) ? 0 : listen_sync(agent);

	agent_look_again(agent);
	if (error && error != -EAGAIN)
		return serve_error(strerror(-error));
	return serve_status(agent);
}

static bool serve_is_id(const struct flow *flow, const void *context)
{
	return flow->cold->id == *(const uint64_t *)context;
}

static bool serve_is_client(const struct flow *flow, const void *context)
{
	return addr_equal(&flow->cold->client, context);
}

static bool serve_is_name(const struct flow *flow, const void *context)
{
	const struct name *name = context;
	struct name own;

	if (flow->cold->name_length != name->length)
		return false;
	flow_name(&flow->thread->agent->store, flow->cold, &own);
	return !strcmp(own.text, name->text);
}

static json_t *serve_kill(struct agent *agent, json_t *request)
{
	json_int_t id = -1;
	const char *client = NULL, *text = NULL;
	struct abi_endpoint endpoint;
	struct name name;
	unsigned killed;

	if (json_unpack(request, "{s?I s?s s?s}", "id", &id, "client", &client,
			"name", &text))
		return serve_error("kill: id, client or name is malformed");
	if (id >= 0) {
		uint64_t wanted = (uint64_t)id;

		killed = agent_kill(agent, serve_is_id, &wanted, "killed");
	} else if (client) {
		if (addr_parse_endpoint(client, 0, &endpoint))
			return serve_error("kill: the client is no IP address");
		killed =
			agent_kill(agent, serve_is_client, &endpoint, "killed");
	} else if (text) {
		struct span span = {(const uint8_t *)text, strlen(text)};

		if (name_from_wire(span, &name) != NAME_OK)
			return serve_error("kill: the name is no host name");
		killed = agent_kill(agent, serve_is_name, &name, "killed");
	} else {
		return serve_error("kill: id, client or name is missing");
	}
	return json_pack("{sb sI}", "ok", 1, "killed", (json_int_t)killed);
}

/* Also who came by a proxy that is banned itself; and who speaks to a backend
 * that nothing comes from any more. */
static bool serve_is_banned(const struct flow *flow, const void *context)
{
	const struct store *store = context;

	return edge_is_banned(store, &flow->cold->client) ||
	       edge_is_banned(store, &flow->cold->peer) ||
	       edge_is_cut_off(store, &flow->cold->backend);
}

unsigned serve_bans(struct agent *agent)
{
	return agent_kill(agent, serve_is_banned, &agent->store, "banned");
}

/* The supervisor answers, in the end: the connection is its from here on. */
static json_t *serve_upgrade(struct agent *agent, int *fd)
{
	if (atomic_load(&agent->heart->asker) >= 0)
		return serve_error("an upgrade is under way");
	atomic_store(&agent->heart->asker, take_fd(fd));
	kill(getppid(), SIGUSR2);
	return NULL;
}

static json_t *serve_answer(struct agent *agent, json_t *request, int *fd)
{
	const char *command = NULL;

	if (!request || json_unpack(request, "{ss}", "command", &command))
		return serve_error("the request is no JSON object with a "
				   "command");
	if (!strcmp(command, "status"))
		return serve_status(agent);
	if (!strcmp(command, "listen"))
		return serve_listen(agent);
	if (!strcmp(command, "kill"))
		return serve_kill(agent, request);
	if (!strcmp(command, "bans"))
		return json_pack("{sb sI}", "ok", 1, "killed",
				 (json_int_t)serve_bans(agent));
	if (!strcmp(command, "upgrade"))
		return serve_upgrade(agent, fd);
	return serve_error("the agent does not know this command");
}

void serve_request(struct agent *agent, int listening)
{
	AUTO_FD fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	const struct timeval patience = {.tv_sec = SERVE_PATIENCE_S};
	static char message[CONTROL_MESSAGE_MAX];
	json_t *request, *answer;
	ssize_t got;
	size_t length;

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	got = recv(fd, message, sizeof(message), 0);
	if (got <= 0)
		return;
	request = json_loadb(message, (size_t)got, 0, NULL);
	answer = serve_answer(agent, request, &fd);
	length = answer ? json_dumpb(answer, message, sizeof(message),
				     JSON_COMPACT)
			: 0;
	if (length && length <= sizeof(message))
		(void)send(fd, message, length, MSG_NOSIGNAL);
	json_decref(request);
	json_decref(answer);
}
