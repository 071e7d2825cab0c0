// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "listener.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	const struct listener *left = a, *right = b;
	int ports = (int)ntohs(left->endpoint.port_be) -
		    (int)ntohs(right->endpoint.port_be);

	if (ports)
		return ports;
	if (left->endpoint.family != right->endpoint.family)
		return (int)left->endpoint.family - right->endpoint.family;
	return memcmp(left->endpoint.addr, right->endpoint.addr,
		      sizeof(left->endpoint.addr));
}

/* One pass over the map; beside a writer it may miss rows or see one twice. */
static int read_once(const struct store *store, struct listener_list *list)
{
	const struct abi_endpoint *previous = NULL;

	for (list->count = 0; list->count < ABI_LISTENERS_MAX;) {
		struct listener *row = &list->row[list->count];

		if (bpf_map_get_next_key(store->listeners, previous,
					 &row->endpoint))
			return errno == ENOENT ? 0 : -errno;
		previous = &row->endpoint;
		if (!bpf_map_lookup_elem(store->listeners, &row->endpoint,
					 &row->value))
			list->count++;
		else if (errno != ENOENT)
			return -errno;
	}
	return 0;
}

int listener_list_read(const struct store *store,
		       struct listener_list *ret_list, uint64_t *ret_generation)
{
	const __u64 *now = &store->meta->listener_generation;
	uint64_t generation;
	int status;

	do {
		generation = __atomic_load_n(now, __ATOMIC_ACQUIRE);
		status = read_once(store, ret_list);
	} while (!status &&
		 __atomic_load_n(now, __ATOMIC_ACQUIRE) != generation);
	if (status)
		return status;
	qsort(ret_list->row, ret_list->count, sizeof(ret_list->row[0]),
	      compare);
	if (ret_generation)
		*ret_generation = generation;
	return 0;
}

uint32_t listener_list_id(const struct listener_list *list,
			  const struct abi_endpoint *endpoint)
{
	for (size_t i = 0; i < list->count; i++) {
		if (!memcmp(&list->row[i].endpoint, endpoint,
			    sizeof(*endpoint)))
			return list->row[i].value.id;
	}
	return 0;
}

const struct listener *listener_list_find(const struct listener_list *list,
					  uint32_t id)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->row[i].value.id == id)
			return &list->row[i];
	}
	return NULL;
}

static void changed(const struct store *store)
{
	__atomic_add_fetch(&store->meta->listener_generation, 1,
			   __ATOMIC_RELEASE);
}

int listener_put(const struct store *store, const struct listener *listener)
{
	int status = bpf_map_update_elem(store->listeners, &listener->endpoint,
					 &listener->value, BPF_ANY);

	changed(store);
	return status;
}

int listener_del(const struct store *store, const struct abi_endpoint *endpoint)
{
	int status = bpf_map_delete_elem(store->listeners, endpoint);

	changed(store);
	return status;
}
