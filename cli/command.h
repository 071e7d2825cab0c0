/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The commands: one table that the parser, the help, the completion and the
 * manual read, so that they cannot drift apart.
 */
#ifndef SNICTL_COMMAND_H
#define SNICTL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include "../userspace/config_row.h"
#include "../userspace/error.h"
#include "../userspace/paths.h"

#define COMMAND_PARAMETERS_MAX 2

/** enum complete - what can stand in the place of a word. */
enum complete {
	COMPLETE_NOTHING,
	COMPLETE_COMMAND,
	COMPLETE_LISTENER,
	COMPLETE_ROUTE,	    /* that is there */
	COMPLETE_NAME,	    /* that a client could ask for */
	COMPLETE_FLOW,	    /* its id */
	COMPLETE_FLOW_NAME, /* the names that live flows asked for */
	COMPLETE_CLIENT,    /* the addresses of live flows */
	COMPLETE_SETTING,
	COMPLETE_VALUE,
	COMPLETE_TARGET,
	COMPLETE_PROXY,
	COMPLETE_DATAPATH,
	COMPLETE_ALLOW,
	COMPLETE_HTTP,
	COMPLETE_INTERFACE,
	COMPLETE_FILE
};

/** struct parameter - a word in a place of its own. */
struct parameter {
	const char *name;
	enum complete complete;
};

enum option_id {
	OPTION_BPFFS,
	OPTION_RUN_DIR,
	OPTION_STATE,
	OPTION_HELP,
	OPTION_VERSION,
	OPTION_JSON,
	OPTION_PROXY,
	OPTION_DATAPATH,
	OPTION_ON,
	OPTION_ACCEPT_PROXY,
	OPTION_LISTEN_HTTP,
	OPTION_TRUST_FORWARDED,
	OPTION_HTTP,
	OPTION_HTTP_TARGET,
	OPTION_FORWARDED,
	OPTION_ALPN,
	OPTION_CLIENT,
	OPTION_NAME,
	OPTION_DRY_RUN,
	OPTION_FORCE,
	OPTION_MDOC,
	OPTION_FOR,
	OPTION_REASON,
	OPTION_ALL_PORTS,
	OPTION_SET,
	OPTION_INTERFACE,
	OPTION_COUNT
};

#define OPTION_BIT(id) (1U << (id))
/* These stand anywhere; all others only with the commands that list them. */
#define OPTION_GLOBAL                                                          \
	(OPTION_BIT(OPTION_BPFFS) | OPTION_BIT(OPTION_RUN_DIR) |               \
	 OPTION_BIT(OPTION_STATE) | OPTION_BIT(OPTION_HELP) |                  \
	 OPTION_BIT(OPTION_VERSION))
/* Work, but are for the build and not for people. */
#define OPTION_HIDDEN OPTION_BIT(OPTION_MDOC)

/**
 * struct option_row - a row of option_table.
 * @name:     without the dashes.
 * @argument: its name in the help; NULL: the option takes none.
 */
struct option_row {
	const char *name;
	const char *argument;
	enum complete complete;
	const char *help;
};

/** option_table - indexed by enum option_id. */
extern const struct option_row option_table[OPTION_COUNT];

/**
 * struct invocation - a command line, taken apart.
 * @words:    from the noun on, without the global options: what the
 *            configuration's own parser reads.
 * @rest:     of a raw command: all behind it.
 * @argument: what stands in the places of the parameters, else NULL.
 * @option:   an option's argument, "" where it takes none, NULL if absent.
 */
struct invocation {
	const struct command *command;
	struct paths paths;
	char *words[CONFIG_ROW_WORDS];
	size_t word_count;
	char *const *rest;
	int rest_count;
	char *argument[COMMAND_PARAMETERS_MAX];
	char *option[OPTION_COUNT];
};

/**
 * struct command - a row of command_table, ended by a NULL noun.
 * @verb:       NULL: the noun is the whole command.
 * @parameter:  in order; a NULL name ends them.
 * @required:   so many of them must be there.
 * @options:    OPTION_BIT() of each that is allowed here.
 * @one_of:     exactly one of all parameters and options must be there.
 * @raw:        all words behind the noun are the command's own business.
 * @hidden:     works, but is for programs and not for people.
 * @help:       one sentence, without the full stop.
 * @details:    further sentences for help and manual, or NULL.
 * @run:        returns an exit status; or -errno, and fills the error.
 */
struct command {
	const char *noun;
	const char *verb;
	struct parameter parameter[COMMAND_PARAMETERS_MAX];
	unsigned required;
	unsigned options;
	bool one_of;
	bool raw;
	bool hidden;
	const char *help;
	const char *details;
	int (*run)(const struct invocation *call, struct error *error);
};

extern const struct command command_table[];

/**
 * command_find() - by its words.
 * @verb: NULL where the noun is the whole command.
 * Return: NULL if there is none.
 */
const struct command *command_find(const char *noun, const char *verb);

/**
 * option_find() - by its name without dashes, @length bytes of it.
 * @noun: of the command, NULL where it has not come yet.
 * Return: enum option_id, or -1.
 */
int option_find(const char *noun, const char *name, size_t length);

/** command_is_noun() - whether any command begins with the word. */
bool command_is_noun(const char *word);

/**
 * command_parse() - take a command line apart.
 * @words:    without the program's name.
 * @ret_call: its pointers point into @words; written only on success.
 *
 * --help turns whatever it stands beside into the command "help", --version
 * into "version".
 *
 * Return: 0, or -EINVAL with a sentence (EXIT_USAGE).
 */
int command_parse(int count, char *const *words, struct invocation *ret_call,
		  struct error *error);

/* What the rows run, by file. */
int listen_add_main(const struct invocation *call, struct error *error);
int listen_del_main(const struct invocation *call, struct error *error);
int listen_list_main(const struct invocation *call, struct error *error);
int route_change_main(const struct invocation *call, struct error *error);
int route_list_main(const struct invocation *call, struct error *error);
int route_show_main(const struct invocation *call, struct error *error);
int set_main(const struct invocation *call, struct error *error);
int set_list_main(const struct invocation *call, struct error *error);
int flow_list_main(const struct invocation *call, struct error *error);
int flow_show_main(const struct invocation *call, struct error *error);
int flow_kill_main(const struct invocation *call, struct error *error);
int ban_add_main(const struct invocation *call, struct error *error);
int ban_del_main(const struct invocation *call, struct error *error);
int ban_list_main(const struct invocation *call, struct error *error);
int ban_show_main(const struct invocation *call, struct error *error);
int ban_import_main(const struct invocation *call, struct error *error);
int ban_allow_main(const struct invocation *call, struct error *error);
int ban_shell_main(const struct invocation *call, struct error *error);
int save_main(const struct invocation *call, struct error *error);
int apply_main(const struct invocation *call, struct error *error);
int check_main(const struct invocation *call, struct error *error);
int status_main(const struct invocation *call, struct error *error);
int stats_main(const struct invocation *call, struct error *error);
int explain_main(const struct invocation *call, struct error *error);
int upgrade_main(const struct invocation *call, struct error *error);
int unload_main(const struct invocation *call, struct error *error);
int version_main(const struct invocation *call, struct error *error);
int help_main(const struct invocation *call, struct error *error);
int complete_main(const struct invocation *call, struct error *error);

#endif
