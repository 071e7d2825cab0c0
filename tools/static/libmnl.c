// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What we call of libmnl, behind its own header: Debian has the library as a
 * shared one only. For `make STATIC=1`, and for nothing else. */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Its parameters have our names. */
/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

/* ---- sockets --------------------------------------------------------------
 */

struct mnl_socket {
	int fd;
	struct sockaddr_nl name;
};

struct mnl_socket *mnl_socket_open2(int bus, int flags)
{
	struct mnl_socket *netlink = calloc(1, sizeof(*netlink));

	if (!netlink)
		return NULL;
	netlink->fd = socket(AF_NETLINK, SOCK_RAW | flags, bus);
	if (netlink->fd >= 0)
		return netlink;
	free(netlink);
	return NULL;
}

struct mnl_socket *mnl_socket_open(int bus)
{
	return mnl_socket_open2(bus, 0);
}

int mnl_socket_bind(struct mnl_socket *netlink, unsigned groups, pid_t pid)
{
	socklen_t size = sizeof(netlink->name);

	netlink->name.nl_family = AF_NETLINK;
	netlink->name.nl_groups = groups;
	netlink->name.nl_pid = (uint32_t)pid;
	if (bind(netlink->fd, (struct sockaddr *)&netlink->name, size))
		return -1;
	return getsockname(netlink->fd, (struct sockaddr *)&netlink->name,
			   &size);
}

int mnl_socket_close(struct mnl_socket *netlink)
{
	int status = close(netlink->fd);

	free(netlink);
	return status;
}

unsigned mnl_socket_get_portid(const struct mnl_socket *netlink)
{
	return netlink->name.nl_pid;
}

ssize_t mnl_socket_sendto(const struct mnl_socket *netlink, const void *message,
			  size_t size)
{
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	return sendto(netlink->fd, message, size, 0,
		      (const struct sockaddr *)&kernel, sizeof(kernel));
}

ssize_t mnl_socket_recvfrom(const struct mnl_socket *netlink, void *buffer,
			    size_t size)
{
	struct sockaddr_nl from;
	socklen_t from_size = sizeof(from);
	ssize_t length = recvfrom(netlink->fd, buffer, size, MSG_TRUNC,
				  (struct sockaddr *)&from, &from_size);

	if (length <= (ssize_t)size)
		return length;
	errno = ENOSPC;
	return -1;
}

/* ---- messages -------------------------------------------------------------
 */

/* The macros of linux/netlink.h have signs. */
static size_t aligned(size_t size)
{
	return (size + NLMSG_ALIGNTO - 1) & ~((size_t)NLMSG_ALIGNTO - 1);
}

static char *message_end(const struct nlmsghdr *header)
{
	return (char *)(uintptr_t)header + aligned(header->nlmsg_len);
}

/* Room at the end of a message, of zeros. */
static void *message_grow(struct nlmsghdr *header, size_t size)
{
	void *room = message_end(header);

	memset(room, 0, aligned(size));
	header->nlmsg_len =
		(uint32_t)(aligned(header->nlmsg_len) + aligned(size));
	return room;
}

struct nlmsghdr *mnl_nlmsg_put_header(void *buffer)
{
	struct nlmsghdr *header = buffer;

	memset(header, 0, sizeof(struct nlmsghdr));
	header->nlmsg_len = sizeof(struct nlmsghdr);
	return header;
}

void *mnl_nlmsg_put_extra_header(struct nlmsghdr *header, size_t size)
{
	return message_grow(header, size);
}

void *mnl_nlmsg_get_payload(const struct nlmsghdr *header)
{
	return (char *)(uintptr_t)header + sizeof(struct nlmsghdr);
}

size_t mnl_nlmsg_get_payload_len(const struct nlmsghdr *header)
{
	return header->nlmsg_len - sizeof(struct nlmsghdr);
}

static int run_error(const struct nlmsghdr *header)
{
	const struct nlmsgerr *answer = mnl_nlmsg_get_payload(header);

	if (header->nlmsg_len < sizeof(*header) + sizeof(*answer)) {
		errno = EBADMSG;
		return MNL_CB_ERROR;
	}
	errno = abs(answer->error);
	return answer->error ? MNL_CB_ERROR : MNL_CB_STOP;
}

static int run_one(const struct nlmsghdr *header, unsigned sequence,
		   unsigned portid, mnl_cb_t callback, void *data)
{
	if (header->nlmsg_pid && header->nlmsg_pid != portid)
		errno = ESRCH;
	else if (header->nlmsg_seq && header->nlmsg_seq != sequence)
		errno = EPROTO;
	else if (header->nlmsg_flags & NLM_F_DUMP_INTR)
		errno = EINTR;
	else if (header->nlmsg_type == NLMSG_ERROR)
		return run_error(header);
	else if (header->nlmsg_type == NLMSG_DONE)
		return MNL_CB_STOP;
	else
		return header->nlmsg_type < NLMSG_MIN_TYPE
			       ? MNL_CB_OK
			       : callback(header, data);
	return MNL_CB_ERROR;
}

int mnl_cb_run(const void *buffer, size_t size, unsigned sequence,
	       unsigned portid, mnl_cb_t callback, void *data)
{
	const char *at = buffer, *end = at + size;
	int more = MNL_CB_OK;

	while (more > MNL_CB_STOP &&
	       end - at >= (ssize_t)sizeof(struct nlmsghdr)) {
		const struct nlmsghdr *header = (const void *)at;

		if (header->nlmsg_len < sizeof(*header) ||
		    header->nlmsg_len > end - at)
			break;
		more = run_one(header, sequence, portid, callback, data);
		at += aligned(header->nlmsg_len);
	}
	return more;
}

/* ---- attributes -----------------------------------------------------------
 */

static char *attribute_payload(const struct nlattr *attribute)
{
	return (char *)(uintptr_t)attribute + sizeof(struct nlattr);
}

uint16_t mnl_attr_get_type(const struct nlattr *attribute)
{
	return attribute->nla_type & (uint16_t)NLA_TYPE_MASK;
}

const char *mnl_attr_get_str(const struct nlattr *attribute)
{
	return attribute_payload(attribute);
}

uint32_t mnl_attr_get_u32(const struct nlattr *attribute)
{
	uint32_t value;

	memcpy(&value, attribute_payload(attribute), sizeof(value));
	return value;
}

static int parse(const char *at, const char *end, mnl_attr_cb_t callback,
		 void *data)
{
	while (end - at >= (ssize_t)sizeof(struct nlattr)) {
		const struct nlattr *attribute = (const void *)at;
		int more;

		if (attribute->nla_len < sizeof(struct nlattr) ||
		    attribute->nla_len > end - at)
			break;
		more = callback(attribute, data);
		if (more <= MNL_CB_STOP)
			return more;
		at += aligned(attribute->nla_len);
	}
	return MNL_CB_OK;
}

int mnl_attr_parse(const struct nlmsghdr *header, unsigned offset,
		   mnl_attr_cb_t callback, void *data)
{
	return parse((char *)mnl_nlmsg_get_payload(header) + aligned(offset),
		     message_end(header), callback, data);
}

int mnl_attr_parse_nested(const struct nlattr *attribute,
			  mnl_attr_cb_t callback, void *data)
{
	return parse(attribute_payload(attribute),
		     (const char *)attribute + attribute->nla_len, callback,
		     data);
}

void mnl_attr_put(struct nlmsghdr *header, uint16_t type, size_t size,
		  const void *data)
{
	struct nlattr *attribute =
		message_grow(header, sizeof(struct nlattr) + size);

	attribute->nla_type = type;
	attribute->nla_len = (uint16_t)(sizeof(struct nlattr) + size);
	memcpy(attribute_payload(attribute), data, size);
}

void mnl_attr_put_u8(struct nlmsghdr *header, uint16_t type, uint8_t value)
{
	mnl_attr_put(header, type, sizeof(value), &value);
}

void mnl_attr_put_u16(struct nlmsghdr *header, uint16_t type, uint16_t value)
{
	mnl_attr_put(header, type, sizeof(value), &value);
}

void mnl_attr_put_u32(struct nlmsghdr *header, uint16_t type, uint32_t value)
{
	mnl_attr_put(header, type, sizeof(value), &value);
}

void mnl_attr_put_strz(struct nlmsghdr *header, uint16_t type, const char *text)
{
	mnl_attr_put(header, type, strlen(text) + 1, text);
}

struct nlattr *mnl_attr_nest_start(struct nlmsghdr *header, uint16_t type)
{
	struct nlattr *nest = message_grow(header, sizeof(struct nlattr));

	nest->nla_type = NLA_F_NESTED | type;
	return nest;
}

void mnl_attr_nest_end(struct nlmsghdr *header, struct nlattr *nest)
{
	nest->nla_len = (uint16_t)(message_end(header) - (char *)nest);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
