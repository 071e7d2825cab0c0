/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From where somebody is logged in who types a command. */
#ifndef SNICTL_SESSION_H
#define SNICTL_SESSION_H

#include <stddef.h>
#include "../bpf/abi.h"

/**
 * session_peers() - the other ends of the ssh sessions that this process
 * belongs to.
 * @ret_peers: room for @most.
 *
 * From the sockets of the ssh daemons above this process, so that neither sudo
 * nor a clean environment hides them; in tmux or screen, above its clients.
 *
 * Return: how many there are.
 */
size_t session_peers(struct abi_endpoint *ret_peers, size_t most);

#endif
