// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "splice.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <sys/random.h>
#include "cleanup.h"
#include "conntrack.h"
#include "splice.skel.h"
#include "splice_guard.h"
#include "splice_hook.h"
#include "store_object.h"

#define SECOND_NS 1000000000ULL
/* How long what comes late still finds its way: a FIN whose ACK was lost is
 * sent again within it. A target that is in TIME-WAIT takes a new connection by
 * its later timestamps (RFC 6191); without them it may not, for a minute. */
#define SPLICE_REST_NS (3 * SECOND_NS)
#define SPLICE_LONG_REST_NS (60 * SECOND_NS)
/* From the end of a tuple to the end of all programs that have seen it. */
#define SPLICE_GRACE_NS (SECOND_NS / 100)
#define SPLICE_RING_BYTES 65536
/* The lowest port that connections to backends come from, and how many there
 * have to be. */
#define SPLICE_PORT_MIN 10240
#define SPLICE_PORTS_MIN 1024

_Static_assert(65536 - SPLICE_PORT_MIN <= ABI_ENTRY_SPLICES, "abi_bucket");

/* ---- ports --------------------------------------------------------------- */

/* The first range that is reserved, as "A-B,C,..."; else none. */
static void splice_reserved_ports(unsigned *first, unsigned *behind)
{
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_reserved_ports", "re");
	unsigned from, to;

	if (file && fscanf(file, "%u-%u", &from, &to) == 2) {
		*first = from;
		*behind = to + 1;
	}
	if (file)
		fclose(file);
}

/* Of ports that the kernel does not give away by itself: below its range, or
 * reserved. So no other socket comes by a port of ours without naming it. */
static int splice_choose_ports(struct splice *splice, uint32_t capacity,
			       struct error *error)
{
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	unsigned first = SPLICE_PORT_MIN, behind = 0;

	if (file && fscanf(file, "%u", &behind) != 1)
		behind = 0;
	if (file)
		fclose(file);
	if (behind < first + SPLICE_PORTS_MIN)
		splice_reserved_ports(&first, &behind);
	if (behind < first + SPLICE_PORTS_MIN || behind > 65536)
		return error_set(error, EXIT_FAILED, ENOSPC,
				 "net.ipv4.ip_local_port_range begins too low, "
				 "and net.ipv4.ip_local_reserved_ports names "
				 "no range of %d ports or more",
				 SPLICE_PORTS_MIN);
	splice->first_port = (uint16_t)first;
	/* As many again for those that rest. */
	splice->count =
		MIN(behind - first, MAX(2 * capacity, SPLICE_PORTS_MIN));
	return 0;
}

static void splice_watch_port(struct splice *splice, uint16_t port)
{
	uint64_t *word = &splice->ports[port / 64], bit = 1ULL << port % 64;

	if (!(__atomic_load_n(word, __ATOMIC_RELAXED) & bit))
		__atomic_fetch_or(word, bit, __ATOMIC_RELAXED);
}

/* ---- queues ---------------------------------------------------------------
 */

static int queue_init(struct splice_queue *queue, uint32_t size)
{
	queue->size = size;
	queue->row = calloc(size, sizeof(*queue->row));
	return queue->row ? 0 : -ENOMEM;
}

static void queue_put(struct splice_queue *queue, uint32_t slot,
		      uint64_t now_ns)
{
	uint32_t at = (queue->first + queue->count++) % queue->size;

	queue->row[at] = (struct splice_rest){slot, now_ns};
}

/* The first, if it has waited for long enough. */
static bool queue_take(struct splice_queue *queue, uint64_t now_ns,
		       uint64_t wait_ns, uint32_t *ret_slot)
{
	if (!queue->count ||
	    queue->row[queue->first].from_ns + wait_ns > now_ns)
		return false;
	*ret_slot = queue->row[queue->first].slot;
	queue->first = (queue->first + 1) % queue->size;
	queue->count--;
	return true;
}

static void splice_wake(struct splice *splice, struct splice_queue *resting,
			uint64_t now_ns, uint64_t rest_ns)
{
	uint32_t slot;

	while (queue_take(resting, now_ns, rest_ns, &slot)) {
		splice_disarm(splice, slot);
		queue_put(&splice->free, slot, now_ns);
	}
}

int splice_take(struct splice *splice, uint64_t now_ns, uint32_t *ret_slot)
{
	uint32_t index;
	bool found;

	pthread_mutex_lock(&splice->lock);
	splice_wake(splice, &splice->resting, now_ns, SPLICE_REST_NS);
	splice_wake(splice, &splice->resting_long, now_ns, SPLICE_LONG_REST_NS);
	found = queue_take(&splice->free, now_ns, SPLICE_GRACE_NS, &index);
	pthread_mutex_unlock(&splice->lock);
	if (!found)
		return -ENOSPC;
	splice->slots[index] = (struct abi_splice){.state = ABI_SPLICE_FREE};
	splice->heard[index] = (struct splice_heard){.is_known = false};
	*ret_slot = index;
	return 0;
}

void splice_rest(struct splice *splice, uint32_t slot, uint64_t now_ns)
{
	const struct abi_splice *of = &splice->slots[slot];
	/* The target has answered, and so may be in TIME-WAIT. */
	bool is_long = of->mss && !(of->answered & ABI_SPLICE_TIMESTAMPS);

	pthread_mutex_lock(&splice->lock);
	queue_put(is_long ? &splice->resting_long : &splice->resting, slot,
		  now_ns);
	pthread_mutex_unlock(&splice->lock);
}

/* ---- arm ------------------------------------------------------------------
 */

int splice_arm(struct splice *splice, uint32_t index)
{
	struct abi_splice *slot = &splice->slots[index];

	__atomic_store_n(&slot->state, ABI_SPLICE_ARMED, __ATOMIC_RELEASE);
	for (enum abi_direction i = ABI_FROM_CLIENT; i <= ABI_FROM_BACKEND;
	     i++) {
		splice_watch_port(splice, be16toh(slot->way[i].source_port_be));
		if (!splice_tuple_put(splice, index, i))
			return -ENOSPC;
	}
	return 0;
}

void splice_disarm(struct splice *splice, uint32_t index)
{
	for (enum abi_direction i = ABI_FROM_CLIENT; i <= ABI_FROM_BACKEND; i++)
		splice_tuple_remove(splice, index, i);
	__atomic_store_n(&splice->slots[index].state, ABI_SPLICE_FREE,
			 __ATOMIC_RELEASE);
}

enum abi_splice_state splice_abort(struct splice *splice, uint32_t index)
{
	struct abi_splice *slot = &splice->slots[index];
	__u32 state = ABI_SPLICE_ARMED;

	if (__atomic_compare_exchange_n(&slot->state, &state,
					ABI_SPLICE_ABORTED, false,
					__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return ABI_SPLICE_ABORTED;
	/* A program is in the middle of it, for a microsecond. */
	while (splice_state(splice, index) == ABI_SPLICE_FLIPPING)
		continue;
	return splice_state(splice, index);
}

/* ---- rings ----------------------------------------------------------------
 */

/* Whose ring_buffer__consume() it is, for the time of a call of splice_news():
 * libbpf keeps the pointer that the ring was made with. */
static _Thread_local const struct splice_ears *splice_ears;

static int splice_read(void *unused, void *data, size_t size)
{
	uint32_t slot;

	(void)unused;
	if (size == sizeof(slot)) {
		memcpy(&slot, data, sizeof(slot));
		splice_ears->step(splice_ears->context, slot);
	} else if (size == sizeof(struct abi_tail)) {
		splice_ears->tail(splice_ears->context, data);
	}
	return 0;
}

static int splice_make_ring(struct splice *splice, uint32_t thread)
{
	AUTO_FD ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "splice_news", 0, 0,
				      SPLICE_RING_BYTES, NULL);

	if (ring < 0)
		return ring;
	if (bpf_map_update_elem(splice->rings_map, &thread, &ring, BPF_ANY))
		return -errno;
	splice->rings[thread] = ring_buffer__new(ring, splice_read, NULL, NULL);
	if (!splice->rings[thread])
		return -errno;
	splice->ring_fd[thread] = take_fd(&ring);
	return 0;
}

int splice_ring(const struct splice *splice, unsigned thread)
{
	return splice->ring_fd[thread];
}

bool splice_news(struct splice *splice, unsigned thread,
		 const struct splice_ears *ears)
{
	splice_ears = ears;
	return ring_buffer__consume(splice->rings[thread]) > 0;
}

void splice_come(const struct splice *splice, unsigned thread, bool comes)
{
	splice->comes[thread] = comes;
	/* What a program tells without waking is seen by the next look. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* ---- open -----------------------------------------------------------------
 */

static int splice_map(struct splice *splice)
{
	struct splice_bpf *bpf = splice->bpf;
	size_t slots = splice->count * sizeof(*splice->slots);
	size_t ports = ABI_SPLICE_PORT_WORDS * sizeof(*splice->ports);
	size_t buckets = splice->bucket_count * sizeof(*splice->buckets);

	splice->slots = mmap(NULL, slots, PROT_READ | PROT_WRITE, MAP_SHARED,
			     bpf_map__fd(bpf->maps.splices), 0);
	splice->ports = mmap(NULL, ports, PROT_READ | PROT_WRITE, MAP_SHARED,
			     bpf_map__fd(bpf->maps.splice_ports), 0);
	splice->buckets =
		mmap(NULL, buckets, PROT_READ | PROT_WRITE, MAP_SHARED,
		     bpf_map__fd(bpf->maps.splice_tuples), 0);
	splice->comes =
		mmap(NULL, sizeof(struct abi_comes), PROT_READ | PROT_WRITE,
		     MAP_SHARED, bpf_map__fd(bpf->maps.splice_comes), 0);
	if (splice->slots == MAP_FAILED || splice->ports == MAP_FAILED ||
	    splice->buckets == MAP_FAILED || splice->comes == MAP_FAILED)
		return -errno;
	/* Threads that are gone do not come. */
	memset(splice->comes, 0, sizeof(struct abi_comes));
	return 0;
}

/* Those of the object, which has them no more, or those that were pinned when
 * it was @is_kept. */
static int splice_take_programs(struct splice *splice,
				const struct store *store, bool is_kept)
{
	struct bpf_program *from[] = {
		[SPLICE_PROGRAM_IN] = splice->bpf->progs.splice_in,
		[SPLICE_PROGRAM_OUT] = splice->bpf->progs.splice_out,
	};

	if (is_kept)
		return 0;
	for (unsigned i = 0; i < SPLICE_PROGRAMS; i++) {
		splice->programs[i] =
			fcntl(bpf_program__fd(from[i]), F_DUPFD_CLOEXEC, 0);
		if (splice->programs[i] < 0)
			return -errno;
		bpf_program__unload(from[i]);
	}
	return store ? splice_program_keep(store, splice_program_hash(),
					   splice->programs)
		     : 0;
}

static int splice_load(struct splice *splice, const struct store *store)
{
	struct splice_bpf *bpf = splice_bpf__open();
	bool is_kept =
		store && !splice_program_get(store, splice_program_hash(),
					     splice->programs);
	int result;

	if (!bpf)
		return -errno;
	splice->bpf = bpf;
	result = bpf_map__set_max_entries(bpf->maps.splices, splice->count);
	if (!result)
		result = bpf_map__set_max_entries(bpf->maps.splice_tuples,
						  splice->count /
							  ABI_BUCKET_SPLICES);
	if (!result && store)
		/* With all that is in them. */
		result = store_object_reuse(store, bpf->obj, true);
	if (store)
		memcpy(&splice->tuple_key, store->meta->hash_key,
		       sizeof(splice->tuple_key));
	splice->bucket_count = bpf_map__max_entries(bpf->maps.splice_tuples);
	bpf->rodata->tuple_key = splice->tuple_key;
	bpf->rodata->tuple_buckets = splice->bucket_count;
	bpf_program__set_autoload(bpf->progs.splice_in, !is_kept);
	bpf_program__set_autoload(bpf->progs.splice_out, !is_kept);
	if (!result)
		result = splice_bpf__load(bpf);
	if (!result && store)
		result = store_object_pin(store, bpf->obj);
	if (!result)
		result = splice_take_programs(splice, store, is_kept);
	if (result)
		return result;
	/* As many as the maps of the first agent have. */
	splice->count = bpf_map__max_entries(bpf->maps.splices);
	splice->rings_map = bpf_map__fd(bpf->maps.splice_rings);
	return splice_map(splice);
}

bool splice_is_left(const struct splice *splice, uint32_t slot)
{
	enum abi_splice_state state = splice_state(splice, slot);

	return state == ABI_SPLICE_SPLICED || state == ABI_SPLICE_CLOSED;
}

static bool splice_has_record(const struct splice *splice, uint32_t slot,
			      const struct abi_flow_cold *cold,
			      uint32_t capacity)
{
	uint32_t flow = splice->slots[slot].flow;

	return flow < capacity && cold[flow].phase != ABI_PHASE_FREE &&
	       cold[flow].splice == slot + 1;
}

void splice_claim_rest(struct splice *splice, const struct abi_flow_cold *cold,
		       uint32_t capacity)
{
	for (uint32_t i = 0; i < splice->count; i++) {
		if (!splice_is_left(splice, i) ||
		    splice_has_record(splice, i, cold, capacity))
			continue;
		if (splice_state(splice, i) == ABI_SPLICE_SPLICED) {
			splice_disarm(splice, i);
			splice_reset(splice, i);
		}
		splice_rest(splice, i, 0);
	}
}

/* Slots that an agent had armed when it died: their flows, if they go on, are
 * relayed. It has used some ports just now, nobody knows which: begin anywhere.
 */
static int splice_sort(struct splice *splice)
{
	int result = queue_init(&splice->free, splice->count);
	uint32_t first = 0;

	splice->heard = calloc(splice->count, sizeof(*splice->heard));
	if (!splice->heard)
		return -ENOMEM;

	if (!result)
		result = queue_init(&splice->resting, splice->count);
	if (!result)
		result = queue_init(&splice->resting_long, splice->count);
	if (!result && getrandom(&first, sizeof(first), 0) < 0)
		result = -errno;
	for (uint32_t i = 0; !result && i < splice->count; i++) {
		uint32_t slot = (first % splice->count + i) % splice->count;

		splice_watch_port(splice,
				  (uint16_t)(splice->first_port + slot));
		splice_abort(splice, slot);
		if (splice_is_left(splice, slot))
			continue;
		if (splice_state(splice, slot) != ABI_SPLICE_FREE)
			splice_disarm(splice, slot);
		queue_put(&splice->free, slot, 0);
	}
	return result;
}

bool splice_exists(const struct store *store)
{
	AUTO_FD pinned = -1;

	return !store_get(store, ABI_MAP_SPLICES, &pinned);
}

int splice_open(const struct store *store, unsigned threads,
		struct splice **ret_splice, struct error *error)
{
	struct splice *splice = calloc(1, sizeof(*splice));
	int result;

	if (!splice)
		return error_set(error, EXIT_FAILED, ENOMEM, "out of memory");
	splice->threads = threads;
	conntrack_open(&splice->conntrack);
	splice->programs[SPLICE_PROGRAM_IN] = -1;
	splice->programs[SPLICE_PROGRAM_OUT] = -1;
	pthread_mutex_init(&splice->lock, NULL);
	pthread_mutex_init(&splice->tuple_lock, NULL);
	for (unsigned i = 0; i < threads; i++)
		splice->ring_fd[i] = -1;
	result = splice_choose_ports(splice, store->flow_capacity, error);
	if (!result) {
		result = splice_load(splice, store);
		if (!result)
			result = splice_sort(splice);
		for (unsigned i = 0; !result && i < threads; i++)
			result = splice_make_ring(splice, i);
		if (result)
			error_set(error, EXIT_FAILED, result,
				  "this kernel does not load it: %s",
				  strerror(-result));
	}
	if (!result)
		result = splice_sync(splice, store, error);
	if (result < 0) {
		splice_close(splice);
		return result;
	}
	splice->guard = splice_guard_attach(store);
	*ret_splice = splice;
	return 0;
}

int splice_open_apart(uint32_t count, struct splice **ret_splice)
{
	struct splice *splice = calloc(1, sizeof(*splice));
	int result;

	if (!splice)
		return -ENOMEM;
	splice->conntrack = (struct conntrack){-1, -1};
	splice->count = count;
	splice->first_port = SPLICE_PORT_MIN;
	pthread_mutex_init(&splice->tuple_lock, NULL);
	splice->programs[SPLICE_PROGRAM_IN] = -1;
	splice->programs[SPLICE_PROGRAM_OUT] = -1;
	pthread_mutex_init(&splice->lock, NULL);
	result = splice_load(splice, NULL);
	if (!result)
		result = splice_sort(splice);
	if (result) {
		splice_close(splice);
		return result;
	}
	*ret_splice = splice;
	return 0;
}

int splice_lend(const struct splice *splice, int index, bool out)
{
	return splice_hook_lend(
		index, out,
		splice->programs[out ? SPLICE_PROGRAM_OUT : SPLICE_PROGRAM_IN]);
}

void splice_way(struct abi_splice_way *way, const struct abi_endpoint *source,
		const struct abi_endpoint *destination)
{
	memcpy(way->source, source->addr, sizeof(way->source));
	memcpy(way->destination, destination->addr, sizeof(way->destination));
	way->source_port_be = source->port_be;
	way->destination_port_be = destination->port_be;
}

uint64_t splice_program_hash(void)
{
	size_t size;
	const void *elf = splice_bpf__elf_bytes(&size);

	return store_object_hash(elf, size);
}

int splice_sync(const struct splice *splice, const struct store *store,
		struct error *error)
{
	return splice_hook_sync(store, splice->programs[SPLICE_PROGRAM_IN],
				splice->programs[SPLICE_PROGRAM_OUT], error);
}

void splice_close(struct splice *splice)
{
	if (!splice)
		return;
	for (unsigned i = 0; i < splice->threads; i++) {
		ring_buffer__free(splice->rings[i]);
		cleanup_fd(&splice->ring_fd[i]);
	}
	conntrack_close(&splice->conntrack);
	for (unsigned i = 0; i < SPLICE_PROGRAMS; i++)
		cleanup_fd(&splice->programs[i]);
	free(splice->free.row);
	free(splice->resting.row);
	free(splice->resting_long.row);
	free(splice->heard);
	splice_bpf__destroy(splice->bpf);
	free(splice);
}
