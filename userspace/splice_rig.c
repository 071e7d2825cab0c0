// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "splice_rig.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "addr.h"
#include "cleanup.h"
#include "splice.h"

#define RIG_PORT 443

/* The last byte of addresses. */
enum rig_host {
	RIG_ROUTER = 1,
	RIG_CLIENT,
	RIG_BACKEND
};

static const uint8_t rig_hello[] = "hello";

static struct abi_splice *rig_slot(const struct splice_rig *rig)
{
	return &rig->splice->slots[rig->slot];
}

/* ---- sockets ------------------------------------------------------------- */

/* RFC 5737, RFC 3849. */
static struct abi_endpoint rig_endpoint(sa_family_t family, enum rig_host host,
					uint16_t port)
{
	struct abi_endpoint at = {
		.addr = {192, 0, 2, (uint8_t)host},
		.port_be = htobe16(port),
		.family = (__u8)family,
	};

	if (family == AF_INET6) {
		memcpy(at.addr, (const uint8_t[4]){0x20, 0x01, 0x0d, 0xb8}, 4);
		at.addr[15] = (uint8_t)host;
	}
	return at;
}

/* One that is bound. Return: it, or -errno. */
static int rig_socket(const struct splice_rig *rig, enum wire_end end,
		      enum rig_host host, uint16_t port)
{
	const struct timeval patience = {.tv_sec = RIG_PATIENCE_MS / 1000};
	struct abi_endpoint at = rig_endpoint(rig->family, host, port);
	int result = splice_wire_enter(&rig->wire, end), on = 1;
	struct sockaddr_storage address;
	socklen_t size = addr_to_sockaddr(&at, &address);
	AUTO_FD fd = -1;

	if (result)
		return result;
	fd = socket(rig->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size))
		return -errno;
	return take_fd(&fd);
}

static int rig_connect(const struct splice_rig *rig, int fd, enum rig_host host)
{
	struct abi_endpoint to = rig_endpoint(rig->family, host, RIG_PORT);
	struct sockaddr_storage address;
	socklen_t size = addr_to_sockaddr(&to, &address);

	return connect(fd, (struct sockaddr *)&address, size) ? -errno : 0;
}

static int rig_accept(const struct splice_rig *rig, enum wire_end end,
		      int *ret_fd)
{
	*ret_fd = accept4(rig->listening[end], NULL, NULL, SOCK_CLOEXEC);
	return *ret_fd < 0 ? -errno : 0;
}

int rig_write(int fd, const void *bytes, size_t size)
{
	ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);

	if (sent < 0)
		return -errno;
	return (size_t)sent == size ? 0 : -EMSGSIZE;
}

static int rig_read_hello(int fd)
{
	uint8_t got[sizeof(rig_hello)];
	ssize_t length = recv(fd, got, sizeof(got), MSG_WAITALL);

	if (length < 0)
		return -errno;
	return length == sizeof(got) && !memcmp(got, rig_hello, sizeof(got))
		       ? 0
		       : -EBADMSG;
}

/* ---- the pattern --------------------------------------------------------- */

uint8_t rig_byte(enum abi_direction from, uint32_t offset)
{
	return (uint8_t)(offset + offset / 255 + (uint32_t)from + 1);
}

int rig_send(struct splice_rig *rig, enum abi_direction from, int fd)
{
	for (uint32_t i = 0; i < RIG_BURST; i++)
		rig->buffer[i] = rig_byte(from, rig->sent[from]++);
	return rig_write(fd, rig->buffer, RIG_BURST);
}

/* All that was sent. */
int rig_receive(struct splice_rig *rig, enum abi_direction from, int fd)
{
	while (rig->received[from] < rig->sent[from]) {
		ssize_t got = recv(fd, rig->buffer, RIG_BURST, 0);

		if (got <= 0)
			return got ? -errno : -ENODATA;
		for (ssize_t i = 0; i < got; i++) {
			if (rig->buffer[i] !=
			    rig_byte(from, rig->received[from]++))
				return -EBADMSG;
		}
	}
	return 0;
}

int rig_burst(struct splice_rig *rig, enum abi_direction from)
{
	int result = rig_send(rig, from, rig->far[from]);

	return result ? result : rig_receive(rig, from, rig->far[!from]);
}

int rig_read_end(int fd)
{
	uint8_t byte;
	ssize_t got = recv(fd, &byte, 1, 0);

	if (got < 0)
		return -errno;
	return got ? -EBADMSG : 0;
}

/* ---- join ---------------------------------------------------------------- */

static int rig_take(struct splice_rig *rig, uint32_t *ret_slot)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return splice_take(rig->splice, (uint64_t)now.tv_sec * 1000000000,
			   ret_slot);
}

static struct abi_endpoint rig_port(const struct splice_rig *rig, int fd,
				    enum rig_host host)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof(address);
	struct abi_endpoint at = rig_endpoint(rig->family, host, 0);
	struct abi_endpoint bound;

	getsockname(fd, (struct sockaddr *)&address, &size);
	addr_from_sockaddr(&address, &bound);
	at.port_be = bound.port_be;
	return at;
}

/* Our program takes the options of a SYN away that leaves by the other end:
 * the client's, as it does that of the agent's. */
static int rig_strip(struct splice_rig *rig)
{
	struct abi_endpoint client =
		rig_port(rig, rig->far[ABI_FROM_CLIENT], RIG_CLIENT);
	struct abi_endpoint router =
		rig_endpoint(rig->family, RIG_ROUTER, RIG_PORT);
	uint32_t index;
	struct abi_splice *slot;
	int result = rig_take(rig, &index);

	if (result)
		return result;
	slot = &rig->splice->slots[index];
	slot->family = (__u8)rig->family;
	splice_way(&slot->way[ABI_FROM_CLIENT], &client, &router);
	return splice_arm(rig->splice, index);
}

/* A client whose hello has been read. */
int rig_meet(struct splice_rig *rig)
{
	int *client = &rig->far[ABI_FROM_CLIENT], result;

	*client = rig_socket(rig, WIRE_FAR, RIG_CLIENT, 0);
	if (*client < 0)
		return *client;
	result = rig->without ? rig_strip(rig) : 0;
	if (!result)
		result = rig_connect(rig, *client, RIG_ROUTER);
	if (!result)
		result =
			rig_accept(rig, WIRE_NEAR, &rig->near[ABI_FROM_CLIENT]);
	if (!result)
		result = rig_write(*client, rig_hello, sizeof(rig_hello));
	if (!result)
		result = rig_read_hello(rig->near[ABI_FROM_CLIENT]);
	return result;
}

/* As the agent does it for a client that is near. */
static int rig_arm(struct splice_rig *rig)
{
	struct abi_endpoint router =
		rig_endpoint(rig->family, RIG_ROUTER, RIG_PORT);
	struct abi_endpoint client =
		rig_port(rig, rig->far[ABI_FROM_CLIENT], RIG_CLIENT);
	struct abi_endpoint backend =
		rig_endpoint(rig->family, RIG_BACKEND, RIG_PORT);
	struct abi_splice *slot = rig_slot(rig);
	struct abi_endpoint source =
		rig_endpoint(rig->family, RIG_ROUTER,
			     (uint16_t)(rig->splice->first_port + rig->slot));

	if (!rig->without)
		slot->offered = ABI_SPLICE_TIMESTAMPS | ABI_SPLICE_SACK;
	slot->handshake.received = sizeof(rig_hello);
	slot->handshake.sent = sizeof(rig_hello);
	slot->family = (__u8)rig->family;
	splice_way(&slot->way[ABI_FROM_CLIENT], &source, &backend);
	splice_way(&slot->way[ABI_FROM_BACKEND], &router, &client);
	return splice_arm(rig->splice, rig->slot);
}

/* Return: 0 if the programs have decided as they should. */
int rig_verdict(struct splice_rig *rig, enum abi_splice_state wanted,
		enum abi_why why)
{
	enum abi_splice_state state = ABI_SPLICE_ARMED;

	for (unsigned i = 0; i < RIG_PATIENCE_MS; i++) {
		state = splice_state(rig->splice, rig->slot);
		if (state != ABI_SPLICE_ARMED && state != ABI_SPLICE_FLIPPING)
			break;
		poll(NULL, 0, 1);
	}
	if (state == ABI_SPLICE_ABORTED && rig_slot(rig)->why == ABI_WHY_PATH)
		return RIG_AGAIN;
	if (state == ABI_SPLICE_ARMED)
		return -ETIMEDOUT;
	return state == wanted && rig_slot(rig)->why == why ? 0 : -EPROTO;
}

/* The backend gets the hello, and acknowledges it at once. */
int rig_forward(struct splice_rig *rig)
{
	int *near = &rig->near[ABI_FROM_BACKEND], on = 1, result;
	int *far = &rig->far[ABI_FROM_BACKEND];

	*near = rig_socket(rig, WIRE_NEAR, RIG_ROUTER,
			   (uint16_t)(rig->splice->first_port + rig->slot));
	if (*near < 0)
		return *near;
	rig->is_tried = true;
	result = rig_arm(rig);
	if (!result)
		result = rig_connect(rig, *near, RIG_BACKEND);
	if (!result)
		result = rig_accept(rig, WIRE_FAR, far);
	if (!result)
		result = rig_write(*near, rig_hello, sizeof(rig_hello));
	if (!result)
		result = rig_read_hello(*far);
	setsockopt(*far, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
	return result;
}

/* As the agent does; see join_close_silently(). */
void rig_close_near(struct splice_rig *rig)
{
	for (unsigned i = 0; i < 2; i++) {
		int fd = take_fd(&rig->near[i]), on = TCP_REPAIR_ON;

		setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on));
		close(fd);
	}
}

int rig_join(struct splice_rig *rig)
{
	int result = rig_meet(rig);

	if (!result)
		result = rig_forward(rig);
	return result ? result : rig_verdict(rig, ABI_SPLICE_SPLICED, 0);
}

int rig_splice(struct splice_rig *rig)
{
	int result = rig_join(rig);

	if (!result)
		rig_close_near(rig);
	return result;
}

/* The last packet has passed when its sender's peer has it, not when we look
 * here. */
int rig_closed(struct splice_rig *rig, enum abi_splice_end end)
{
	for (unsigned i = 0; i < RIG_PATIENCE_MS; i++) {
		if (splice_state(rig->splice, rig->slot) == ABI_SPLICE_CLOSED)
			break;
		poll(NULL, 0, 1);
	}
	return splice_state(rig->splice, rig->slot) == ABI_SPLICE_CLOSED &&
			       rig_slot(rig)->end == end
		       ? 0
		       : -ETIMEDOUT;
}

/* ---- one after the other --------------------------------------------------
 */

int rig_begin(struct splice_rig *rig)
{
	for (unsigned i = 0; i < 2; i++) {
		cleanup_fd(&rig->far[i]);
		cleanup_fd(&rig->near[i]);
		rig->far[i] = rig->near[i] = -1;
		rig->sent[i] = rig->received[i] = 0;
	}
	rig->without = false;
	rig->is_tried = false;
	return rig_take(rig, &rig->slot);
}

int rig_listen(struct splice_rig *rig)
{
	static const enum rig_host hosts[] = {RIG_ROUTER, RIG_BACKEND};
	struct abi_endpoint client = rig_endpoint(rig->family, RIG_CLIENT, 0);
	int result = splice_wire_address(&rig->wire, WIRE_FAR, &client);

	for (enum wire_end i = WIRE_NEAR; !result && i <= WIRE_FAR; i++) {
		struct abi_endpoint at = rig_endpoint(rig->family, hosts[i], 0);

		result = splice_wire_address(&rig->wire, i, &at);
		if (result)
			break;
		rig->listening[i] = rig_socket(rig, i, hosts[i], RIG_PORT);
		result = rig->listening[i] < 0 ? rig->listening[i] : 0;
		if (!result && listen(rig->listening[i], 1))
			result = -errno;
	}
	return result;
}

/* Programs on the router's end; and on the other, for rig_strip(). */
int rig_hang(const struct splice_rig *rig)
{
	const struct splice_wire *wire = &rig->wire;
	int near = wire->interface[WIRE_NEAR];
	int result = splice_wire_enter(wire, WIRE_FAR);

	if (!result)
		result = splice_lend(rig->splice, wire->interface[WIRE_FAR],
				     true);
	if (!result)
		result = splice_wire_enter(wire, WIRE_NEAR);
	if (!result)
		result = splice_lend(rig->splice, near, true);
	return result ? result : splice_lend(rig->splice, near, false);
}
