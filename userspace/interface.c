// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "interface.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "cleanup.h"

#define INTERFACES_MAX 4096
/* What the kernel fills at most in one message of a dump. */
#define DUMP_BYTES 32768
/* Where interfaces come and go without an end, reading must end some time. */
#define READ_TRIES 50

static int attribute_into(const struct nlattr *attribute, void *data)
{
	const struct nlattr **table = data;
	unsigned type = mnl_attr_get_type(attribute);

	if (type <= IFLA_MAX)
		table[type] = attribute;
	return MNL_CB_OK;
}

static bool is_one_of(const struct nlattr *kind, const char *const *words)
{
	for (; kind && *words; words++) {
		if (!strcmp(mnl_attr_get_str(kind), *words))
			return true;
	}
	return false;
}

/*
 * What comes in by a port of a bridge or bond is seen on that; what comes in
 * by a VLAN or macvlan has been seen on the device below, if that is here.
 */
static bool is_seen_elsewhere(const struct nlattr *const *table)
{
	static const char *const stacked[] = {"vlan",	"macvlan", "macvtap",
					      "ipvlan", "ipvtap",  NULL};
	static const char *const whole[] = {"vrf", NULL};
	const struct nlattr *info[IFLA_MAX + 1] = {NULL};

	if (table[IFLA_LINKINFO])
		mnl_attr_parse_nested(table[IFLA_LINKINFO], attribute_into,
				      info);
	if (info[IFLA_INFO_SLAVE_KIND] &&
	    !is_one_of(info[IFLA_INFO_SLAVE_KIND], whole))
		return true;
	if (is_one_of(info[IFLA_INFO_KIND], whole))
		return true;
	return is_one_of(info[IFLA_INFO_KIND], stacked) && table[IFLA_LINK] &&
	       !table[IFLA_LINK_NETNSID];
}

static bool is_ethernet(unsigned short type)
{
	return type == ARPHRD_ETHER;
}

static bool is_layer3(unsigned short type)
{
	return type == ARPHRD_NONE || type == ARPHRD_PPP ||
	       type == ARPHRD_RAWIP || type == ARPHRD_TUNNEL ||
	       type == ARPHRD_TUNNEL6 || type == ARPHRD_SIT ||
	       type == ARPHRD_IPGRE;
}

static int collect(const struct nlmsghdr *header, void *data)
{
	const struct ifinfomsg *message = mnl_nlmsg_get_payload(header);
	const struct nlattr *table[IFLA_MAX + 1] = {NULL};
	struct interfaces *list = data;
	struct interface *row = &list->row[list->count];
	const struct nlattr *bus;

	if (message->ifi_flags & IFF_LOOPBACK ||
	    (!is_ethernet(message->ifi_type) && !is_layer3(message->ifi_type)))
		return MNL_CB_OK;
	mnl_attr_parse(header, sizeof(*message), attribute_into, table);
	if (!table[IFLA_IFNAME] || list->count == INTERFACES_MAX ||
	    is_seen_elsewhere(table))
		return MNL_CB_OK;
	bus = table[IFLA_PARENT_DEV_BUS_NAME];
	row->index = message->ifi_index;
	snprintf(row->name, sizeof(row->name), "%s",
		 mnl_attr_get_str(table[IFLA_IFNAME]));
	row->ethernet = is_ethernet(message->ifi_type);
	/* On virtio XDP costs the offloads that make packets large. */
	row->hardware = bus && strcmp(mnl_attr_get_str(bus), "virtio") != 0;
	list->count++;
	return MNL_CB_OK;
}

static int dump_links(struct mnl_socket *netlink, struct interfaces *list)
{
	AUTO_FREE char *buffer = malloc(DUMP_BYTES);
	struct nlmsghdr *header;
	int more = MNL_CB_OK;

	if (!buffer)
		return -ENOMEM;
	header = mnl_nlmsg_put_header(buffer);
	header->nlmsg_type = RTM_GETLINK;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	header->nlmsg_seq = 1;
	mnl_nlmsg_put_extra_header(header, sizeof(struct ifinfomsg));
	if (mnl_socket_sendto(netlink, header, header->nlmsg_len) < 0)
		return -errno;
	while (more > MNL_CB_STOP) {
		ssize_t length =
			mnl_socket_recvfrom(netlink, buffer, DUMP_BYTES);

		if (length < 0)
			return -errno;
		more = mnl_cb_run(buffer, (size_t)length, 1,
				  mnl_socket_get_portid(netlink), collect,
				  list);
	}
	return more < 0 ? -errno : 0;
}

void interfaces_done(struct interfaces *list)
{
	free(list->row);
}

static int read_once(struct interfaces *list)
{
	struct mnl_socket *netlink =
		mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int status = 0;

	if (!netlink)
		return -errno;
	list->count = 0;
	if (mnl_socket_bind(netlink, 0, MNL_SOCKET_AUTOPID))
		status = -errno;
	if (!status)
		status = dump_links(netlink, list);
	mnl_socket_close(netlink);
	return status;
}

int interfaces_read(struct interfaces *ret_list)
{
	int status = -EINTR;

	ret_list->count = 0;
	ret_list->row = calloc(INTERFACES_MAX, sizeof(*ret_list->row));
	if (!ret_list->row)
		return -ENOMEM;
	/* Interfaces came or went meanwhile: the list is not one of any
	 * moment (NLM_F_DUMP_INTR). */
	for (unsigned i = 0; status == -EINTR && i < READ_TRIES; i++)
		status = read_once(ret_list);
	if (status)
		ret_list->count = 0;
	return status;
}

/* Return: whether it answers: not all that are interfaces do. */
static bool ask_card(int socket, const char *name, __u32 command, __u32 *flags)
{
	struct ethtool_value value = {.cmd = command, .data = *flags};
	struct ifreq request = {.ifr_data = (void *)&value};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ioctl(socket, SIOCETHTOOL, &request))
		return false;
	*flags = value.data;
	return true;
}

bool interface_forbid_lro(const char *name)
{
	AUTO_FD fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	__u32 flags = 0;

	if (fd < 0 || !ask_card(fd, name, ETHTOOL_GFLAGS, &flags) ||
	    !(flags & ETH_FLAG_LRO))
		return true;
	flags &= ~(__u32)ETH_FLAG_LRO;
	/* A driver may take it and do otherwise. */
	return ask_card(fd, name, ETHTOOL_SFLAGS, &flags) &&
	       ask_card(fd, name, ETHTOOL_GFLAGS, &flags) &&
	       !(flags & ETH_FLAG_LRO);
}
