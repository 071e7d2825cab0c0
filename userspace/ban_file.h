/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The bans file: STATE.bans, see ban.h; and the names of the sets' files. */
#ifndef SNICTL_BAN_FILE_H
#define SNICTL_BAN_FILE_H

#include "ban.h"
#include "state_file.h"

/** ban_file_name() - "STATE.bans", or "STATE.bans-NAME". NULL: no memory. */
char *ban_file_name(const struct paths *paths, const char *set);

/**
 * ban_file_parse() - the rows, by clocks that are given.
 * @text:     changed.
 * @wall_ns:  CLOCK_REALTIME.
 * @now_ns:   CLOCK_BOOTTIME at that moment.
 * @ret_list: written only on success; also bans that are over.
 * @ret_row:  written only on failure.
 * Return: 0; -EINVAL; -ENOMEM.
 */
int ban_file_parse(char *text, uint64_t wall_ns, uint64_t now_ns,
		   struct ban_list *ret_list, unsigned *ret_row);

/**
 * ban_file_read() - all of it, also bans that are over.
 * @ret_list: an absent file is an empty one.
 * Return: as state_file_read(); -EBADMSG for a row that is none.
 */
int ban_file_read(const struct paths *paths, struct ban_list *ret_list,
		  struct error *error);

/** ban_file_stage(), ban_file_publish() - as state_file_stage() and so on. */
int ban_file_stage(const struct paths *paths, const struct ban_list *list,
		   struct error *error);
int ban_file_publish(const struct paths *paths, struct error *error);

#endif
