// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "holder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "addr.h"
#include "cleanup.h"
#include "number.h"

/* One service has few listeners on one port: one a worker at most. */
#define FOUND_MAX 64

struct found {
	uint32_t inode;
	struct abi_endpoint endpoint;
};

/**
 * struct search - what a dump of the listening sockets collects.
 */
struct search {
	const struct abi_endpoint *wanted;
	struct found found[FOUND_MAX];
	size_t count;
};

/* ---- sockets --------------------------------------------------------------
 */

static bool in_the_way(const struct abi_endpoint *a,
		       const struct abi_endpoint *b)
{
	if (a->port_be != b->port_be)
		return false;
	if (addr_equal(a, b))
		return true;
	/* "::" takes IPv4 too, unless it is IPV6_V6ONLY. */
	if (addr_is_any(a))
		return a->family != AF_INET || b->family != AF_INET6;
	if (addr_is_any(b))
		return b->family != AF_INET || a->family != AF_INET6;
	return false;
}

static int collect(const struct nlmsghdr *header, void *data)
{
	const struct inet_diag_msg *message = mnl_nlmsg_get_payload(header);
	struct search *search = data;
	struct found *found = &search->found[search->count];

	if (mnl_nlmsg_get_payload_len(header) < sizeof(*message) ||
	    search->count == FOUND_MAX)
		return MNL_CB_OK;
	memset(&found->endpoint, 0, sizeof(found->endpoint));
	found->inode = message->idiag_inode;
	found->endpoint.family = message->idiag_family;
	found->endpoint.port_be = message->id.idiag_sport;
	memcpy(found->endpoint.addr, message->id.idiag_src,
	       message->idiag_family == AF_INET ? 4 : 16);
	if (in_the_way(&found->endpoint, search->wanted))
		search->count++;
	return MNL_CB_OK;
}

static int dump_listening(struct mnl_socket *netlink, uint8_t family,
			  struct search *search)
{
	char buffer[8192] __attribute__((aligned(8)));
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	unsigned sequence = (unsigned)time(NULL) + family;
	struct inet_diag_req_v2 *request;
	ssize_t length;
	int more = MNL_CB_OK;

	header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	header->nlmsg_seq = sequence;
	request = mnl_nlmsg_put_extra_header(header, sizeof(*request));
	request->sdiag_family = family;
	request->sdiag_protocol = IPPROTO_TCP;
	request->idiag_states = 1 << TCP_LISTEN;
	if (mnl_socket_sendto(netlink, header, header->nlmsg_len) < 0)
		return -errno;
	while (more == MNL_CB_OK) {
		length = mnl_socket_recvfrom(netlink, buffer, sizeof(buffer));
		if (length < 0)
			return -errno;
		more = mnl_cb_run(buffer, (size_t)length, sequence,
				  mnl_socket_get_portid(netlink), collect,
				  search);
	}
	return more < 0 ? -errno : 0;
}

static int find_sockets(struct search *search)
{
	struct mnl_socket *netlink = mnl_socket_open(NETLINK_SOCK_DIAG);
	int ret;

	if (!netlink)
		return -errno;
	ret = mnl_socket_bind(netlink, 0, MNL_SOCKET_AUTOPID) ? -errno : 0;
	if (!ret)
		ret = dump_listening(netlink, AF_INET, search);
	if (!ret)
		ret = dump_listening(netlink, AF_INET6, search);
	mnl_socket_close(netlink);
	return ret;
}

/* ---- processes ------------------------------------------------------------
 */

static void close_folder(DIR **folder)
{
	if (*folder)
		closedir(*folder);
}

#define AUTO_DIR __attribute__((cleanup(close_folder))) DIR *

/* Index of the socket that a descriptor is, or -1. */
static int match_descriptor(int folder, const char *name,
			    const struct search *search)
{
	char target[64], wanted[64];
	ssize_t length = readlinkat(folder, name, target, sizeof(target) - 1);

	if (length <= 0)
		return -1;
	target[length] = '\0';
	for (size_t i = 0; i < search->count; i++) {
		snprintf(wanted, sizeof(wanted), "socket:[%u]",
			 search->found[i].inode);
		if (!strcmp(target, wanted))
			return (int)i;
	}
	return -1;
}

static int match_process(const char *pid, const struct search *search)
{
	char path[64];
	AUTO_DIR folder = NULL;
	struct dirent *entry;
	int index = -1;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	folder = opendir(path);
	while (folder && index < 0 && (entry = readdir(folder)))
		index = match_descriptor(dirfd(folder), entry->d_name, search);
	return index;
}

static void read_command(const char *pid, char *command, int size)
{
	char path[64];
	AUTO_FILE file = NULL;

	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	file = fopen(path, "re");
	if (!file || !fgets(command, size, file))
		return;
	command[strcspn(command, "\n")] = '\0';
}

static void find_process(const struct search *search, const char *last,
			 struct holder *holder)
{
	AUTO_DIR folder = opendir("/proc");
	struct dirent *entry;

	while (folder && (entry = readdir(folder))) {
		struct holder process = {.pid = 0};
		uint64_t pid;
		int index;

		if (number_parse(entry->d_name, 1, INT32_MAX, &pid))
			continue;
		index = match_process(entry->d_name, search);
		if (index < 0)
			continue;
		process.endpoint = search->found[index].endpoint;
		process.pid = (pid_t)pid;
		read_command(entry->d_name, process.command,
			     sizeof(process.command));
		*holder = process;
		if (strcmp(process.command, last))
			return;
	}
}

int holder_find(const struct abi_endpoint *wanted, const char *last,
		struct holder *ret_holder)
{
	struct search search = {.wanted = wanted};
	struct holder holder = {.pid = 0};
	int ret = find_sockets(&search);

	if (ret)
		return ret;
	if (!search.count)
		return -ENOENT;
	holder.endpoint = search.found[0].endpoint;
	find_process(&search, last, &holder);
	*ret_holder = holder;
	return 0;
}
