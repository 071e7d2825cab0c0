// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "splice_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "cleanup.h"

#define WIRE_NAME "wire"
#define WIRE_MESSAGE_BYTES 512
#define WIRE_PATIENCE_MS 3000

/* Send it where the process is now, and hear what the kernel says. */
static int wire_ask(struct nlmsghdr *header)
{
	char answer[WIRE_MESSAGE_BYTES * 2];
	struct mnl_socket *netlink =
		mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	ssize_t length = -1;
	int result = 0;

	if (!netlink)
		return -errno;
	header->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (!mnl_socket_bind(netlink, 0, MNL_SOCKET_AUTOPID) &&
	    mnl_socket_sendto(netlink, header, header->nlmsg_len) >= 0)
		length = mnl_socket_recvfrom(netlink, answer, sizeof(answer));
	if (length < 0 ||
	    mnl_cb_run(answer, (size_t)length, 0,
		       mnl_socket_get_portid(netlink), NULL, NULL) < 0)
		result = -errno;
	mnl_socket_close(netlink);
	return result;
}

static int wire_own_space(int *ret_space)
{
	if (unshare(CLONE_NEWNET) &&
	    (errno != EPERM || unshare(CLONE_NEWUSER | CLONE_NEWNET)))
		return -errno;
	*ret_space = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return *ret_space < 0 ? -errno : 0;
}

static struct nlmsghdr *wire_message(char *buffer, uint16_t type,
				     uint16_t flags)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);

	header->nlmsg_type = type;
	header->nlmsg_flags = flags;
	return header;
}

static void wire_put_end(struct nlmsghdr *header)
{
	mnl_nlmsg_put_extra_header(header, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(header, IFLA_IFNAME, WIRE_NAME);
}

/* From the namespace where the process is to another. */
static int wire_lay(int other)
{
	char buffer[WIRE_MESSAGE_BYTES]
		__attribute__((aligned(NLMSG_ALIGNTO))) = {0};
	struct nlmsghdr *header =
		wire_message(buffer, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	struct nlattr *info, *data, *peer;

	wire_put_end(header);
	info = mnl_attr_nest_start(header, IFLA_LINKINFO);
	mnl_attr_put_strz(header, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(header, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(header, VETH_INFO_PEER);
	wire_put_end(header);
	mnl_attr_put_u32(header, IFLA_NET_NS_FD, (uint32_t)other);
	mnl_attr_nest_end(header, peer);
	mnl_attr_nest_end(header, data);
	mnl_attr_nest_end(header, info);
	return wire_ask(header);
}

int splice_wire_enter(const struct splice_wire *wire, enum wire_end end)
{
	return setns(wire->space[end], CLONE_NEWNET) ? -errno : 0;
}

/* The end in the namespace where the process is. */
static int wire_raise(int *ret_interface)
{
	char buffer[WIRE_MESSAGE_BYTES]
		__attribute__((aligned(NLMSG_ALIGNTO))) = {0};
	struct nlmsghdr *header = wire_message(buffer, RTM_NEWLINK, 0);
	struct ifinfomsg *message =
		mnl_nlmsg_put_extra_header(header, sizeof(*message));

	message->ifi_index = (int)if_nametoindex(WIRE_NAME);
	message->ifi_flags = IFF_UP;
	message->ifi_change = IFF_UP;
	*ret_interface = message->ifi_index;
	return message->ifi_index ? wire_ask(header) : -errno;
}

/*
 * The kernel lets packets out some time after both ends are up, with its lock
 * of all interfaces: whoever has had that too since, as for an address, knows
 * that it is done. What is sent before is lost.
 */
static int wire_wait(void)
{
	AUTO_FD fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {.ifr_name = WIRE_NAME};

	for (unsigned i = 0; i < WIRE_PATIENCE_MS; i++) {
		if (ioctl(fd, SIOCGIFFLAGS, &request))
			return -errno;
		if (request.ifr_flags & IFF_RUNNING)
			return 0;
		poll(NULL, 0, 1);
	}
	return -ETIMEDOUT;
}

int splice_wire_open(struct splice_wire *ret_wire)
{
	struct splice_wire wire;
	int result = wire_own_space(&wire.space[WIRE_NEAR]);

	if (!result)
		result = wire_own_space(&wire.space[WIRE_FAR]);
	if (!result)
		result = wire_lay(wire.space[WIRE_NEAR]);
	for (enum wire_end i = WIRE_NEAR; !result && i <= WIRE_FAR; i++) {
		result = splice_wire_enter(&wire, i);
		if (!result)
			result = wire_raise(&wire.interface[i]);
	}
	for (enum wire_end i = WIRE_NEAR; !result && i <= WIRE_FAR; i++) {
		result = splice_wire_enter(&wire, i);
		if (!result)
			result = wire_wait();
	}
	if (!result)
		*ret_wire = wire;
	return result;
}

int splice_wire_address(const struct splice_wire *wire, enum wire_end end,
			const struct abi_endpoint *address)
{
	char buffer[WIRE_MESSAGE_BYTES]
		__attribute__((aligned(NLMSG_ALIGNTO))) = {0};
	struct nlmsghdr *header =
		wire_message(buffer, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
	struct ifaddrmsg *message =
		mnl_nlmsg_put_extra_header(header, sizeof(*message));
	bool is_v4 = address->family == AF_INET;
	int result = splice_wire_enter(wire, end);

	message->ifa_family = address->family;
	message->ifa_prefixlen = is_v4 ? 24 : 64;
	/* Nobody else is there: it can be used at once. */
	message->ifa_flags = IFA_F_NODAD;
	message->ifa_index = (uint32_t)wire->interface[end];
	mnl_attr_put(header, IFA_LOCAL, is_v4 ? 4 : 16, address->addr);
	mnl_attr_put(header, IFA_ADDRESS, is_v4 ? 4 : 16, address->addr);
	return result ? result : wire_ask(header);
}
