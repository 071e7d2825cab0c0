// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "command.h"

#include <string.h>

const struct option_row option_table[OPTION_COUNT] = {
	[OPTION_BPFFS] = {"bpffs", "DIR", COMPLETE_FILE,
			  "the folder of the pinned maps"},
	[OPTION_RUN_DIR] = {"run-dir", "DIR", COMPLETE_FILE,
			    "the folder of the agent's control socket"},
	[OPTION_STATE] = {"state", "FILE", COMPLETE_FILE,
			  "the file that keeps every change"},
	[OPTION_HELP] = {"help", NULL, COMPLETE_NOTHING,
			 "explain the command instead of running it"},
	[OPTION_VERSION] = {"version", NULL, COMPLETE_NOTHING,
			    "as the command version"},
	[OPTION_JSON] = {"json", NULL, COMPLETE_NOTHING,
			 "print JSON, for programs"},
	[OPTION_PROXY] = {"proxy", "off|v1|v2", COMPLETE_PROXY,
			  "send the client's address ahead, in a PROXY header "
			  "of this version (default off)"},
	[OPTION_DATAPATH] = {"datapath", "auto|splice|sockmap|relay",
			     COMPLETE_DATAPATH,
			     "who moves the bytes (default auto)"},
	[OPTION_ON] = {"on", "[ADDR:]PORT", COMPLETE_LISTENER,
		       "the listener's own table instead of the common one"},
	[OPTION_ACCEPT_PROXY] = {"accept-proxy", "PREFIX[,PREFIX...]",
				 COMPLETE_NOTHING,
				 "take the client's address from the PROXY "
				 "header of whoever connects from there"},
	[OPTION_LISTEN_HTTP] = {"http", NULL, COMPLETE_NOTHING,
				"steer plain HTTP requests by their Host, as "
				"the routes' --http says"},
	[OPTION_TRUST_FORWARDED] = {"trust-forwarded", "PREFIX[,PREFIX...]",
				    COMPLETE_NOTHING,
				    "believe what a request from there says of "
				    "clients before it (X-Forwarded-For, "
				    "Forwarded), and append to it"},
	[OPTION_HTTP] = {"http", "acme|redirect|proxy|off", COMPLETE_HTTP,
			 "what becomes of plain HTTP requests: ACME "
			 "challenges go to the target and all else is "
			 "redirected to https (acme, the default), all is "
			 "redirected, all goes to the target, or 404"},
	[OPTION_HTTP_TARGET] = {"http-target", "ADDR[:PORT]", COMPLETE_NOTHING,
				"where such requests go, instead of to port "
				"80 of the targets"},
	[OPTION_FORWARDED] = {"forwarded", NULL, COMPLETE_NOTHING,
			      "tell of the client in a Forwarded header too "
			      "(RFC 7239)"},
	[OPTION_ALPN] = {"alpn", "PROTOCOL", COMPLETE_NOTHING,
			 "only TLS clients who offer this protocol, before the "
			 "name's route for all, such as acme-tls/1"},
	[OPTION_CLIENT] = {"client", "ADDR", COMPLETE_CLIENT,
			   "all flows of this client"},
	[OPTION_NAME] = {"name", "NAME", COMPLETE_FLOW_NAME,
			 "all flows that asked for this server name"},
	[OPTION_DRY_RUN] = {"dry-run", NULL, COMPLETE_NOTHING,
			    "print what would change, and change nothing"},
	[OPTION_FORCE] = {"force", NULL, COMPLETE_NOTHING,
			  "do it although it was refused"},
	[OPTION_MDOC] = {"mdoc", NULL, COMPLETE_NOTHING,
			 "print the manual's generated sections"},
	[OPTION_FOR] = {"for", "TIME", COMPLETE_NOTHING,
			"how long, as in 10m, 12h or 30d; for ever without"},
	[OPTION_REASON] = {"reason", "TEXT", COMPLETE_NOTHING,
			   "why, for those who look at the list"},
	[OPTION_ALL_PORTS] = {"all-ports", NULL, COMPLETE_NOTHING,
			      "drop everything to and through this router, not "
			      "only what is for the listeners"},
	[OPTION_SET] = {"set", "NAME", COMPLETE_NOTHING,
			"the named set of imported prefixes"},
	[OPTION_INTERFACE] = {"interface", "NAME", COMPLETE_INTERFACE,
			      "with edge-hook: only of this interface, whether "
			      "it is there yet or not"},
};

#define JSON OPTION_BIT(OPTION_JSON)
#define ROUTE_OPTIONS                                                          \
	(OPTION_BIT(OPTION_PROXY) | OPTION_BIT(OPTION_DATAPATH) |              \
	 OPTION_BIT(OPTION_ON) | OPTION_BIT(OPTION_ALPN) |                     \
	 OPTION_BIT(OPTION_HTTP) | OPTION_BIT(OPTION_HTTP_TARGET) |            \
	 OPTION_BIT(OPTION_FORWARDED))

const struct command command_table[] = {
	{
		.noun = "listen",
		.verb = "add",
		.parameter = {{"[ADDR:]PORT", COMPLETE_NOTHING}},
		.required = 1,
		.options = OPTION_BIT(OPTION_ACCEPT_PROXY) |
			   OPTION_BIT(OPTION_LISTEN_HTTP) |
			   OPTION_BIT(OPTION_TRUST_FORWARDED),
		.help = "listen on a port, on all addresses or on one",
		.details = "Without an agent this changes what the next agent "
			   "will open. Where the port cannot be bound, the "
			   "listener stays, the agent tries again until the "
			   "port is free, and the command fails and names the "
			   "process that holds it; `snictl listen del` takes "
			   "the listener back.",
		.run = listen_add_main,
	},
	{
		.noun = "listen",
		.verb = "del",
		.parameter = {{"[ADDR:]PORT", COMPLETE_LISTENER}},
		.required = 1,
		.help = "stop listening; connections that exist go on",
		.details = "Refused while the listener has routes of its own.",
		.run = listen_del_main,
	},
	{
		.noun = "listen",
		.verb = "list",
		.options = JSON,
		.help = "list the listeners, and who holds a port that could "
			"not be bound",
		.run = listen_list_main,
	},
	{
		.noun = "route",
		.verb = "add",
		.parameter = {{"NAME", COMPLETE_NOTHING},
			      {"TARGET[,TARGET...]", COMPLETE_TARGET}},
		.required = 2,
		.options = ROUTE_OPTIONS,
		.help = "steer a server name to a target; fails where the "
			"name has a route",
		.details = "Takes effect with the next connection. Several "
			   "targets are tried in order.",
		.run = route_change_main,
	},
	{
		.noun = "route",
		.verb = "replace",
		.parameter = {{"NAME", COMPLETE_ROUTE},
			      {"TARGET[,TARGET...]", COMPLETE_TARGET}},
		.required = 2,
		.options = ROUTE_OPTIONS,
		.help = "give a route other targets and options; fails where "
			"there is none",
		.details = "Options that are not given go back to their "
			   "defaults.",
		.run = route_change_main,
	},
	{
		.noun = "route",
		.verb = "del",
		.parameter = {{"NAME", COMPLETE_ROUTE}},
		.required = 1,
		.options = OPTION_BIT(OPTION_ON) | OPTION_BIT(OPTION_ALPN),
		.help = "take a route away; connections that exist go on",
		.run = route_change_main,
	},
	{
		.noun = "route",
		.verb = "list",
		.options = JSON | OPTION_BIT(OPTION_ON),
		.help = "list the routes, their live connections, bytes and "
			"last failure",
		.run = route_list_main,
	},
	{
		.noun = "route",
		.verb = "show",
		.parameter = {{"NAME", COMPLETE_ROUTE}},
		.required = 1,
		.options =
			JSON | OPTION_BIT(OPTION_ON) | OPTION_BIT(OPTION_ALPN),
		.help = "show all there is to know of one route",
		.run = route_show_main,
	},
	{
		.noun = "set",
		.verb = "list",
		.options = JSON,
		.help = "list the settings, their values, defaults and ranges",
		.run = set_list_main,
	},
	{
		.noun = "set",
		.parameter = {{"KEY", COMPLETE_SETTING},
			      {"VALUE", COMPLETE_VALUE}},
		.required = 2,
		.options = OPTION_BIT(OPTION_INTERFACE),
		.help = "change a setting",
		.details = "The value \"default\" is the setting's default; "
			   "with --interface, what the setting says of all "
			   "interfaces.",
		.run = set_main,
	},
	{
		.noun = "flow",
		.verb = "list",
		.options = JSON,
		.help = "list the connections of this moment",
		.run = flow_list_main,
	},
	{
		.noun = "flow",
		.verb = "show",
		.parameter = {{"ID", COMPLETE_FLOW}},
		.required = 1,
		.options = JSON,
		.help = "show all there is to know of one connection",
		.run = flow_show_main,
	},
	{
		.noun = "flow",
		.verb = "kill",
		.parameter = {{"ID", COMPLETE_FLOW}},
		.options = OPTION_BIT(OPTION_CLIENT) | OPTION_BIT(OPTION_NAME),
		.one_of = true,
		.help = "end connections at once, on both sides",
		.details = "Returns when they have ended; fails where there "
			   "was none.",
		.run = flow_kill_main,
	},
	{
		.noun = "ban",
		.verb = "add",
		.parameter = {{"ADDR[/LEN]", COMPLETE_CLIENT}},
		.required = 1,
		.options = OPTION_BIT(OPTION_FOR) | OPTION_BIT(OPTION_REASON) |
			   OPTION_BIT(OPTION_ALL_PORTS) |
			   OPTION_BIT(OPTION_FORCE),
		.help = "keep an address or a prefix out, in the kernel",
		.details = "Holds from the next packet on; returns when the "
			   "connections from there have ended, on both sides. "
			   "Where there is such a ban it gets the new end, "
			   "reason and ports. Refused without --force: what is "
			   "allowed, everybody, this router's own addresses, "
			   "and the other end of the ssh session that types "
			   "it.",
		.run = ban_add_main,
	},
	{
		.noun = "ban",
		.verb = "del",
		.parameter = {{"ADDR[/LEN]", COMPLETE_NOTHING}},
		.required = 1,
		.help = "let an address or a prefix in again",
		.run = ban_del_main,
	},
	{
		.noun = "ban",
		.verb = "list",
		.options = JSON | OPTION_BIT(OPTION_SET),
		.help = "list the bans, when they end, why, and how many "
			"packets they have dropped",
		.details = "Without --set those that were added one by one.",
		.run = ban_list_main,
	},
	{
		.noun = "ban",
		.verb = "show",
		.parameter = {{"ADDR", COMPLETE_CLIENT}},
		.required = 1,
		.options = JSON,
		.help = "show all bans that hold against one address",
		.details = "Fails where there is none.",
		.run = ban_show_main,
	},
	{
		.noun = "ban",
		.verb = "import",
		.parameter = {{"FILE", COMPLETE_FILE}},
		.required = 1,
		.options = OPTION_BIT(OPTION_SET) | OPTION_BIT(OPTION_FORCE),
		.help = "ban all prefixes of a file, one a line; a named set "
			"is replaced as a whole",
		.details = "The file \"-\" is standard input; what follows # "
			   "or ; is a comment. An empty file removes the set.",
		.run = ban_import_main,
	},
	{
		.noun = "ban",
		.verb = "allow",
		.parameter = {{"add|del|list", COMPLETE_ALLOW},
			      {"ADDR[/LEN]", COMPLETE_NOTHING}},
		.required = 1,
		.options = JSON,
		.help = "addresses that are never banned and never limited, "
			"whatever else says so",
		.run = ban_allow_main,
	},
	{
		.noun = "ban-shell",
		.options = OPTION_BIT(OPTION_FOR),
		.help = "what an ssh key of a backend may do, as its forced "
			"command: add, del and list bans of single addresses",
		.details = "Reads the command from SSH_ORIGINAL_COMMAND: \"add "
			   "ADDR [SECONDS [REASON]]\", \"del ADDR\" or "
			   "\"list\". --for is the longest that a ban may be "
			   "and the time where none is given (24h); it never "
			   "touches bans that others have made, and takes no "
			   "more than ten commands a second.",
		.run = ban_shell_main,
	},
	{
		.noun = "save",
		.help = "print listeners, routes and settings in the text "
			"form that apply reads",
		.run = save_main,
	},
	{
		.noun = "apply",
		.parameter = {{"FILE", COMPLETE_FILE}},
		.required = 1,
		.options =
			OPTION_BIT(OPTION_DRY_RUN) | OPTION_BIT(OPTION_FORCE),
		.help = "make listeners, routes and settings equal to a file, "
			"all or nothing, and print what changed",
		.details = "The file \"-\" is standard input. A file without a "
			   "listener, where there are some, is refused without "
			   "--force: without them nobody is served.",
		.run = apply_main,
	},
	{
		.noun = "check",
		.parameter = {{"FILE", COMPLETE_FILE}},
		.required = 1,
		.options = JSON,
		.help = "find the mistakes in a file, and change nothing",
		.run = check_main,
	},
	{
		.noun = "status",
		.options = JSON,
		.help = "show agent, listeners, data paths, flows and memory; "
			"exits 1 when the agent is down",
		.run = status_main,
	},
	{
		.noun = "stats",
		.options = JSON,
		.help = "show the counters: outcomes, data paths and bytes",
		.run = stats_main,
	},
	{
		.noun = "explain",
		.parameter = {{"NAME", COMPLETE_NAME}},
		.required = 1,
		.options =
			JSON | OPTION_BIT(OPTION_ON) | OPTION_BIT(OPTION_ALPN),
		.help = "say which route a connection would take and why, and "
			"what else nearly matched",
		.details = "\"none\" stands for a client that sends no server "
			   "name, \"other\" for one that does not speak TLS.",
		.run = explain_main,
	},
	{
		.noun = "upgrade",
		.help = "have the agent go on as the snictld that is installed "
			"now; connections go on",
		.details = "Returns when the new one serves. Where it cannot "
			   "start the old one goes on, and this fails and says "
			   "why.",
		.run = upgrade_main,
	},
	{
		.noun = "unload",
		.options = OPTION_BIT(OPTION_FORCE),
		.help = "remove the pinned maps; the state file stays, and the "
			"next change or agent restores them from it",
		.run = unload_main,
	},
	{
		.noun = "version",
		.options = JSON,
		.help = "print the versions of the program and of the maps' "
			"layout",
		.run = version_main,
	},
	{
		.noun = "help",
		.parameter = {{"NOUN", COMPLETE_COMMAND},
			      {"VERB", COMPLETE_COMMAND}},
		.options = OPTION_BIT(OPTION_MDOC),
		.help = "explain all commands, or one",
		.run = help_main,
	},
	{
		.noun = "complete",
		.raw = true,
		.hidden = true,
		.help = "print what can stand in the place of the last word",
		.run = complete_main,
	},
	{.noun = NULL},
};

const struct command *command_find(const char *noun, const char *verb)
{
	for (const struct command *row = command_table; row->noun; row++) {
		if (strcmp(row->noun, noun) || !row->verb != !verb)
			continue;
		if (!verb || !strcmp(row->verb, verb))
			return row;
	}
	return NULL;
}

bool command_is_noun(const char *word)
{
	for (const struct command *row = command_table; row->noun; row++) {
		if (!strcmp(row->noun, word))
			return true;
	}
	return false;
}

/* What --http takes depends on the command. NULL: any. */
static const char *const option_noun[OPTION_COUNT] = {
	[OPTION_LISTEN_HTTP] = "listen",
	[OPTION_HTTP] = "route",
};

int option_find(const char *noun, const char *name, size_t length)
{
	for (int id = 0; id < OPTION_COUNT; id++) {
		const char *row = option_table[id].name;

		if (strlen(row) == length && !strncmp(row, name, length) &&
		    (!noun || !option_noun[id] ||
		     !strcmp(noun, option_noun[id])))
			return id;
	}
	return -1;
}
