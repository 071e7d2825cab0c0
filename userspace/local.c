// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "local.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>
#include "addr.h"

static bool from_interface(const struct ifaddrs *interface,
			   struct abi_endpoint *ret_address)
{
	struct sockaddr_storage address = {0};

	if (!interface->ifa_addr)
		return false;
	if (interface->ifa_addr->sa_family == AF_INET)
		memcpy(&address, interface->ifa_addr,
		       sizeof(struct sockaddr_in));
	else if (interface->ifa_addr->sa_family == AF_INET6)
		memcpy(&address, interface->ifa_addr,
		       sizeof(struct sockaddr_in6));
	else
		return false;
	addr_from_sockaddr(&address, ret_address);
	return true;
}

int local_addresses(struct config_locals *ret_locals)
{
	struct config_locals locals = {0};
	struct ifaddrs *interfaces, *at;
	size_t room = 0;

	if (getifaddrs(&interfaces))
		return -errno;
	for (at = interfaces; at; at = at->ifa_next)
		room++;
	locals.addresses = calloc(room ? room : 1, sizeof(*locals.addresses));
	for (at = interfaces; locals.addresses && at; at = at->ifa_next)
		locals.count +=
			from_interface(at, &locals.addresses[locals.count]);
	freeifaddrs(interfaces);
	if (!locals.addresses)
		return -ENOMEM;
	*ret_locals = locals;
	return 0;
}

void local_free(struct config_locals *locals)
{
	free(locals->addresses);
	*locals = (struct config_locals){0};
}
