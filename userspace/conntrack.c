// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "conntrack.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include "cleanup.h"

#define MESSAGE_BYTES 256

void conntrack_open(struct conntrack *conntrack)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			NETLINK_NETFILTER);

	conntrack->netlink = fd < 0 ? -errno : fd;
	conntrack->count = -1;
	conntrack_look(conntrack);
}

void conntrack_close(struct conntrack *conntrack)
{
	cleanup_fd(&conntrack->netlink);
	cleanup_fd(&conntrack->count);
}

void conntrack_look(struct conntrack *conntrack)
{
	if (conntrack->count < 0)
		conntrack->count = open("/proc/sys/net/netfilter/"
					"nf_conntrack_count",
					O_RDONLY | O_CLOEXEC);
}

/* Its netlink is asked only where it has something: both questions of a flow
 * cost 7 us, this one 1. */
bool conntrack_is_empty(const struct conntrack *conntrack)
{
	char text[2] = "";

	return conntrack->count < 0 ||
	       (pread(conntrack->count, text, sizeof(text), 0) == 2 &&
		text[0] == '0');
}

static void put_addresses(struct nlmsghdr *header,
			  const struct abi_endpoint *from,
			  const struct abi_endpoint *to)
{
	bool is_v4 = from->family == AF_INET;
	size_t size = is_v4 ? 4 : 16;
	struct nlattr *ip = mnl_attr_nest_start(header, CTA_TUPLE_IP);

	mnl_attr_put(header, is_v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, size,
		     from->addr);
	mnl_attr_put(header, is_v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, size,
		     to->addr);
	mnl_attr_nest_end(header, ip);
}

static void put_ports(struct nlmsghdr *header, const struct abi_endpoint *from,
		      const struct abi_endpoint *to)
{
	struct nlattr *ports = mnl_attr_nest_start(header, CTA_TUPLE_PROTO);

	mnl_attr_put_u8(header, CTA_PROTO_NUM, IPPROTO_TCP);
	mnl_attr_put_u16(header, CTA_PROTO_SRC_PORT, from->port_be);
	mnl_attr_put_u16(header, CTA_PROTO_DST_PORT, to->port_be);
	mnl_attr_nest_end(header, ports);
}

void conntrack_forget(const struct conntrack *conntrack,
		      const struct abi_endpoint *from,
		      const struct abi_endpoint *to)
{
	int fd = conntrack->netlink;
	char buffer[MESSAGE_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *message;
	struct nlattr *tuple;

	if (fd < 0)
		return;
	header->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
	header->nlmsg_flags = NLM_F_REQUEST;
	message = mnl_nlmsg_put_extra_header(header, sizeof(*message));
	message->nfgen_family = from->family;
	message->version = NFNETLINK_V0;
	tuple = mnl_attr_nest_start(header, CTA_TUPLE_ORIG);
	put_addresses(header, from, to);
	put_ports(header, from, to);
	mnl_attr_nest_end(header, tuple);
	if (send(fd, header, header->nlmsg_len, 0) < 0)
		return;
	/* Only a failure is answered. */
	while (recv(fd, buffer, sizeof(buffer), MSG_TRUNC) >= 0)
		continue;
}
