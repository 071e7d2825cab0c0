// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Where packets of spliced flows leave: no socket of theirs hears of it when
 * routes change, or an interface is made anew under another number. */
#include "splice_route.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include "cleanup.h"
#include "interface.h"

#define ANSWER_BYTES 4096

static int read_interface(const struct nlattr *attribute, void *data)
{
	if (mnl_attr_get_type(attribute) == RTA_OIF)
		*(uint32_t *)data = mnl_attr_get_u32(attribute);
	return MNL_CB_OK;
}

static int read_answer(const struct nlmsghdr *header, void *data)
{
	return mnl_attr_parse(header, sizeof(struct rtmsg), read_interface,
			      data);
}

/* The interface that leads there, 0: none. */
static uint32_t find_route(struct mnl_socket *netlink, uint8_t family,
			   const struct abi_splice_way *way)
{
	char buffer[ANSWER_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	size_t size = family == AF_INET ? 4 : 16;
	uint32_t interface = 0;
	struct rtmsg *message;
	ssize_t length;

	header->nlmsg_type = RTM_GETROUTE;
	header->nlmsg_flags = NLM_F_REQUEST;
	message = mnl_nlmsg_put_extra_header(header, sizeof(*message));
	message->rtm_family = family;
	message->rtm_src_len = (unsigned char)(8 * size);
	message->rtm_dst_len = (unsigned char)(8 * size);
	mnl_attr_put(header, RTA_SRC, size, way->source);
	mnl_attr_put(header, RTA_DST, size, way->destination);
	if (mnl_socket_sendto(netlink, header, header->nlmsg_len) < 0)
		return 0;
	length = mnl_socket_recvfrom(netlink, buffer, sizeof(buffer));
	if (length < 0 || mnl_cb_run(buffer, (size_t)length, 0, 0, read_answer,
				     &interface) < 0)
		return 0;
	return interface;
}

/**
 * struct asked - the last question of a direction, and its answer: neighbours
 * among the slots often have the same target.
 */
struct asked {
	uint8_t family;
	__u8 source[16];
	__u8 destination[16];
	uint32_t interface;
};

static uint32_t find_route_again(struct mnl_socket *netlink, uint8_t family,
				 const struct abi_splice_way *way,
				 struct asked *last)
{
	if (last->family == family &&
	    !memcmp(last->source, way->source, sizeof(last->source)) &&
	    !memcmp(last->destination, way->destination,
		    sizeof(last->destination)))
		return last->interface;
	last->family = family;
	memcpy(last->source, way->source, sizeof(last->source));
	memcpy(last->destination, way->destination, sizeof(last->destination));
	last->interface = find_route(netlink, family, way);
	return last->interface;
}

/* One with the programs, and so with a header that they know. */
static bool is_ethernet(const struct interfaces *list, uint32_t interface)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->row[i].index == (int)interface)
			return list->row[i].ethernet;
	}
	return false;
}

/* The flow may end meanwhile, and its slot be another's: that has begun with
 * no interface, and the flip alone gives it one. */
static bool reroute_way(struct mnl_socket *netlink,
			const struct interfaces *list, uint8_t family,
			struct abi_splice_way *way, struct asked *last)
{
	__u32 old = __atomic_load_n(&way->interface, __ATOMIC_RELAXED);
	__u32 now = find_route_again(netlink, family, way, last);

	return now && now != old && is_ethernet(list, now) &&
	       __atomic_compare_exchange_n(&way->interface, &old, now, false,
					   __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

int splice_reroute(struct splice *splice)
{
	struct mnl_socket *netlink =
		mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	struct asked last[2] = {{.family = AF_UNSPEC}, {.family = AF_UNSPEC}};
	AUTO_INTERFACES list = {0};
	int result, count = 0;

	if (!netlink)
		return -errno;
	result = interfaces_read(&list);
	for (uint32_t i = 0; !result && i < splice->count; i++) {
		struct abi_splice *slot = &splice->slots[i];

		if (!splice_is_left(splice, i))
			continue;
		count += reroute_way(netlink, &list, slot->family,
				     &slot->way[0], &last[0]);
		count += reroute_way(netlink, &list, slot->family,
				     &slot->way[1], &last[1]);
	}
	mnl_socket_close(netlink);
	return result ? result : count;
}
