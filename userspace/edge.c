// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "edge.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include "cleanup.h"
#include "setting.h"

#define SECOND_NS 1000000000ULL
/* The bits of abi_prefix_key.family, which precede the prefix. */
#define FAMILY_BITS 32

static uint64_t now_by(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

uint64_t edge_now_ns(void)
{
	return now_by(CLOCK_BOOTTIME);
}

uint64_t edge_wall_ns(void)
{
	return now_by(CLOCK_REALTIME);
}

uint64_t edge_wall_s(uint64_t at_ns)
{
	/* Modulo 2^64, so the past is right as well. */
	return (edge_wall_ns() + (at_ns - edge_now_ns()) + SECOND_NS / 2) /
	       SECOND_NS;
}

static struct abi_prefix_key prefix_key(const struct abi_prefix *prefix)
{
	struct abi_prefix_key key = {.length = FAMILY_BITS + prefix->length,
				     .family = prefix->family};

	memcpy(key.addr, prefix->addr, sizeof(key.addr));
	return key;
}

/* The first @bits of an address. */
static struct abi_prefix_key cut_key(const struct abi_endpoint *address,
				     unsigned bits)
{
	struct abi_prefix_key key = {.length = FAMILY_BITS + bits,
				     .family = address->family};

	memcpy(key.addr, address->addr, sizeof(key.addr));
	for (unsigned i = bits; i < 8 * sizeof(key.addr); i++)
		key.addr[i / 8] &= (__u8) ~(0x80 >> i % 8);
	return key;
}

static void set_count(__u64 *count, __u64 value)
{
	__atomic_store_n(count, value, __ATOMIC_RELAXED);
}

static struct abi_lengths *lengths_of(const struct store *store, int family)
{
	return &store->edge->lengths[family == AF_INET6];
}

/* Before the first ban of this length is there. */
static void add_length(struct abi_lengths *lengths, uint8_t length)
{
	__u32 count = lengths->count;

	if (memchr(lengths->length, length, count))
		return;
	lengths->length[count] = length;
	__atomic_store_n(&lengths->count, count + 1, __ATOMIC_RELEASE);
}

static void forget_lengths(const struct store *store)
{
	for (int i = 0; i < 2; i++)
		__atomic_store_n(&store->edge->lengths[i].count, 0,
				 __ATOMIC_RELAXED);
}

/* ---- write -------------------------------------------------------------- */

int edge_ban_get(const struct store *store, const struct abi_prefix *prefix,
		 struct abi_ban *ret_ban)
{
	struct abi_prefix_key key = prefix_key(prefix);

	return bpf_map_lookup_elem(store->bans, &key, ret_ban) ? -errno : 0;
}

int edge_ban_put(const struct store *store, const struct abi_prefix *prefix,
		 const struct abi_ban *old, struct abi_ban ban)
{
	struct abi_prefix_key key = prefix_key(prefix);
	bool had_all_ports = old && old->all_ports;
	struct abi_edge *edge = store->edge;

	if (!old && edge->bans >= ABI_BANS_MAX)
		return -ENOSPC;
	ban.hits = old ? old->hits : 0;
	/* The hooks skip what they do not know of: so first the counts. */
	add_length(lengths_of(store, prefix->family), prefix->length);
	if (!old)
		set_count(&edge->bans, edge->bans + 1);
	if (ban.all_ports && !had_all_ports)
		set_count(&edge->all_ports, edge->all_ports + 1);
	if (bpf_map_update_elem(store->bans, &key, &ban, BPF_ANY))
		return -errno;
	if (!ban.all_ports && had_all_ports)
		set_count(&edge->all_ports, edge->all_ports - 1);
	return 0;
}

int edge_ban_del(const struct store *store, const struct abi_prefix *prefix)
{
	struct abi_prefix_key key = prefix_key(prefix);
	struct abi_edge *edge = store->edge;
	struct abi_ban old;
	int status = edge_ban_get(store, prefix, &old);

	if (status)
		return status;
	if (bpf_map_delete_elem(store->bans, &key))
		return -errno;
	set_count(&edge->bans, edge->bans - 1);
	if (old.all_ports)
		set_count(&edge->all_ports, edge->all_ports - 1);
	if (!edge->bans)
		forget_lengths(store);
	return 0;
}

int edge_allow_put(const struct store *store, const struct abi_prefix *prefix)
{
	struct abi_prefix_key key = prefix_key(prefix);
	struct abi_edge *edge = store->edge;
	__u32 one = 1;

	if (bpf_map_update_elem(store->allowed, &key, &one, BPF_ANY))
		return -errno;
	set_count(&edge->allowed, edge->allowed + 1);
	return 0;
}

int edge_allow_del(const struct store *store, const struct abi_prefix *prefix)
{
	struct abi_prefix_key key = prefix_key(prefix);
	struct abi_edge *edge = store->edge;

	if (bpf_map_delete_elem(store->allowed, &key))
		return -errno;
	set_count(&edge->allowed, edge->allowed - 1);
	return 0;
}

static int clear(int map)
{
	struct abi_prefix_key key, next;
	int more = bpf_map_get_next_key(map, NULL, &key);

	/* From a key that is gone, a hash begins anew: it is asked before. */
	while (!more) {
		more = bpf_map_get_next_key(map, &key, &next);
		if (bpf_map_delete_elem(map, &key))
			return -errno;
		key = next;
	}
	return 0;
}

int edge_clear(const struct store *store)
{
	int status = clear(store->bans);

	if (!status)
		status = clear(store->allowed);
	if (status)
		return status;
	set_count(&store->edge->bans, 0);
	set_count(&store->edge->all_ports, 0);
	set_count(&store->edge->allowed, 0);
	set_count(&store->edge->next_expiry_ns, 0);
	forget_lengths(store);
	return 0;
}

/* ---- judge -------------------------------------------------------------- */

bool edge_is_allowed(const struct store *store,
		     const struct abi_endpoint *address)
{
	struct abi_prefix_key key =
		cut_key(address, address->family == AF_INET ? 32 : 128);
	__u32 value;

	return __atomic_load_n(&store->edge->allowed, __ATOMIC_RELAXED) &&
	       !bpf_map_lookup_elem(store->allowed, &key, &value);
}

static bool holds_itself(const struct abi_ban *ban)
{
	return ban->sets & 1 &&
	       (!ban->expires_ns || ban->expires_ns > edge_now_ns());
}

static bool holds(const struct abi_ban *ban)
{
	return ban->sets & ~1U || holds_itself(ban);
}

/* As is_banned() in bpf/edge.bpf.c, but the longest. */
int edge_find_ban(const struct store *store, const struct abi_endpoint *address,
		  unsigned from, struct abi_prefix *ret_prefix,
		  struct abi_ban *ret_ban)
{
	const struct abi_lengths *lengths = lengths_of(store, address->family);
	__u32 count = __atomic_load_n(&lengths->count, __ATOMIC_ACQUIRE);
	struct abi_prefix_key found = {0};

	for (__u32 i = 0; i < count; i++) {
		struct abi_prefix_key key =
			cut_key(address, lengths->length[i]);
		struct abi_ban ban;

		if (lengths->length[i] > from || key.length < found.length ||
		    bpf_map_lookup_elem(store->bans, &key, &ban) ||
		    !holds(&ban))
			continue;
		found = key;
		*ret_ban = ban;
	}
	if (!found.length)
		return -ENOENT;
	if (ret_prefix) {
		*ret_prefix = (struct abi_prefix){
			.family = address->family,
			.length = (uint8_t)(found.length - FAMILY_BITS)};
		memcpy(ret_prefix->addr, found.addr, sizeof(found.addr));
	}
	return 0;
}

bool edge_is_banned(const struct store *store,
		    const struct abi_endpoint *address)
{
	struct abi_ban ban;

	return !edge_find_ban(store, address, 128, NULL, &ban) &&
	       !edge_is_allowed(store, address);
}

bool edge_is_cut_off(const struct store *store,
		     const struct abi_endpoint *address)
{
	struct abi_prefix prefix = {.length = ABI_PREFIX_LENGTHS};
	struct abi_ban ban;

	if (!__atomic_load_n(&store->edge->all_ports, __ATOMIC_RELAXED))
		return false;
	while (prefix.length &&
	       !edge_find_ban(store, address, prefix.length - 1U, &prefix,
			      &ban)) {
		if (ban.all_ports && holds_itself(&ban))
			return !edge_is_allowed(store, address);
	}
	return false;
}

bool edge_is_too_fast(const struct store *store,
		      const struct abi_endpoint *address)
{
	uint64_t rate = setting_get(store, ABI_SET_NEW_FLOWS_PER_SOURCE);
	uint64_t burst = setting_get(store, ABI_SET_NEW_FLOWS_BURST);
	uint64_t bits = setting_get(
		store, address->family == AF_INET ? ABI_SET_SOURCE_PREFIX_IPV4
						  : ABI_SET_SOURCE_PREFIX_IPV6);
	struct abi_prefix_key key = cut_key(address, (unsigned)bits);
	uint64_t now = edge_now_ns(), step;
	struct abi_rate at = {0};

	if (!rate)
		return false;
	step = SECOND_NS / rate;
	bpf_map_lookup_elem(store->edge_rates, &key, &at);
	if (at.due_ns > now + burst * step)
		return true;
	at.due_ns = (at.due_ns > now ? at.due_ns : now) + step;
	bpf_map_update_elem(store->edge_rates, &key, &at, BPF_ANY);
	return false;
}

/* No source has this key: it is of no family. */
void edge_shell_rate(const struct store *store, struct abi_rate *ret_rate,
		     const struct abi_rate *rate)
{
	static const struct abi_prefix_key key = {.addr = "ban-shell"};

	if (ret_rate && bpf_map_lookup_elem(store->edge_rates, &key, ret_rate))
		*ret_rate = (struct abi_rate){0};
	if (rate)
		bpf_map_update_elem(store->edge_rates, &key, rate, BPF_ANY);
}

/* ---- counts ------------------------------------------------------------- */

struct abi_edge_counts edge_counts_read(const struct store *store)
{
	struct abi_edge_counts sum = {0};
	int cpus = libbpf_num_possible_cpus();
	AUTO_FREE struct abi_edge_counts *each = NULL;
	__u32 zero = 0;

	if (cpus > 0)
		each = calloc((size_t)cpus, sizeof(*each));
	if (!each || bpf_map_lookup_elem(store->edge_counts, &zero, each))
		return sum;
	for (int i = 0; i < cpus; i++) {
		sum.banned += each[i].banned;
		sum.limited += each[i].limited;
	}
	return sum;
}
