// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "sockmap.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cap-ng.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include "cleanup.h"
#include "sockmap.skel.h"
#include "store_object.h"

/* One entry takes 16 bytes. */
#define SOCKMAP_RING_BYTES 65536

/* What ring_buffer__new() is given, for the time of a call of
 * sockmap_news(): libbpf keeps the pointer it was made with. */
struct sockmap_reader {
	void (*each)(void *context, uint32_t index);
	void *context;
};

static _Thread_local struct sockmap_reader sockmap_reader;

static int sockmap_take(void *unused, void *data, size_t size)
{
	uint32_t index;

	(void)unused;
	if (size == sizeof(index)) {
		memcpy(&index, data, sizeof(index));
		sockmap_reader.each(sockmap_reader.context, index);
	}
	return 0;
}

static int sockmap_make_ring(struct sockmap *sockmap, uint32_t thread)
{
	int rings = bpf_map__fd(sockmap->bpf->maps.rings);
	AUTO_FD ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "news", 0, 0,
				      SOCKMAP_RING_BYTES, NULL);

	if (ring < 0)
		return ring;
	if (bpf_map_update_elem(rings, &thread, &ring, BPF_ANY))
		return -errno;
	sockmap->rings[thread] =
		ring_buffer__new(ring, sockmap_take, NULL, NULL);
	if (!sockmap->rings[thread])
		return -errno;
	sockmap->ring_fd[thread] = take_fd(&ring);
	return 0;
}

/* Those that outlive an agent, and the names of their pins. */
struct sockmap_kept {
	struct bpf_map *map;
	const char *name;
};

#define SOCKMAP_KEPT 3

static int sockmap_reuse(const struct store *store,
			 const struct sockmap_kept kept[SOCKMAP_KEPT])
{
	for (unsigned i = 0; i < SOCKMAP_KEPT; i++) {
		AUTO_FD pinned = -1;
		int result = store_get(store, kept[i].name, &pinned);

		if (!result)
			result = bpf_map__reuse_fd(kept[i].map, pinned);
		if (result && result != -ENOENT)
			return result;
	}
	return 0;
}

static int sockmap_pin(const struct store *store,
		       const struct sockmap_kept kept[SOCKMAP_KEPT])
{
	int result = 0;

	for (unsigned i = 0; !result && i < SOCKMAP_KEPT; i++)
		result = store_pin(store, bpf_map__fd(kept[i].map),
				   kept[i].name);
	return result;
}

/* A socket that was closed has left the maps, but its cookie has not. */
static void sockmap_sweep(const struct sockmap *sockmap)
{
	__u64 cookie, next, value;
	__u32 index;
	int more = bpf_map_get_next_key(sockmap->cookies, NULL, &next);

	while (!more) {
		cookie = next;
		more = bpf_map_get_next_key(sockmap->cookies, &cookie, &next);
		if (!bpf_map_lookup_elem(sockmap->cookies, &cookie, &index) &&
		    (bpf_map_lookup_elem(sockmap->targets, &index, &value) ||
		     value != cookie))
			bpf_map_delete_elem(sockmap->cookies, &cookie);
	}
}

static int sockmap_load(struct sockmap *sockmap, const struct store *store,
			int flows, uint32_t capacity, bool guarded)
{
	struct sockmap_bpf *bpf = sockmap_bpf__open();
	int result;

	if (!bpf)
		return -errno;
	const struct sockmap_kept kept[SOCKMAP_KEPT] = {
		{bpf->maps.cookies, "sockmap_cookies"},
		{bpf->maps.targets, "sockmap_targets"},
		{bpf->maps.verdicts, "sockmap_verdicts"},
	};

	sockmap->bpf = bpf;
	bpf->rodata->guarded = guarded;
	result = bpf_map__reuse_fd(bpf->maps.sockmap_flows, flows);
	if (!result)
		result = bpf_map__set_max_entries(bpf->maps.cookies,
						  2 * capacity);
	if (!result)
		result = bpf_map__set_max_entries(bpf->maps.targets,
						  2 * capacity);
	if (!result)
		result = bpf_map__set_max_entries(bpf->maps.verdicts,
						  2 * capacity);
	if (!result && store)
		result = sockmap_reuse(store, kept);
	if (!result)
		result = sockmap_bpf__load(bpf);
	if (!result && store)
		result = sockmap_pin(store, kept);
	if (result)
		return result;
	sockmap->cookies = bpf_map__fd(bpf->maps.cookies);
	sockmap->targets = bpf_map__fd(bpf->maps.targets);
	sockmap->verdicts = bpf_map__fd(bpf->maps.verdicts);
	sockmap->hold = bpf_program__fd(bpf->progs.sockmap_hold);
	if (store)
		sockmap_sweep(sockmap);
	return bpf_prog_attach(bpf_program__fd(bpf->progs.sockmap_verdict),
			       sockmap->verdicts, BPF_SK_SKB_STREAM_VERDICT, 0)
		       ? -errno
		       : 0;
}

/* Without the right to read the kernel's structs a program that does is just
 * no valid one. */
static bool sockmap_is_allowed(void)
{
	static const unsigned needed[] = {CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON};

	for (unsigned i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (!capng_have_capability(CAPNG_EFFECTIVE, needed[i]) &&
		    !capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN))
			return false;
	}
	return true;
}

int sockmap_open(const struct store *store, int flows, uint32_t capacity,
		 unsigned threads, bool guarded, struct sockmap **ret_sockmap,
		 struct error *error)
{
	struct sockmap *sockmap = calloc(1, sizeof(*sockmap));
	int result = sockmap ? 0 : -ENOMEM;

	if (!result) {
		sockmap->threads = threads;
		for (unsigned i = 0; i < threads; i++)
			sockmap->ring_fd[i] = -1;
		result = sockmap_load(sockmap, store, flows, capacity, guarded);
	}
	for (unsigned i = 0; !result && i < threads; i++)
		result = sockmap_make_ring(sockmap, i);
	if (!result) {
		*ret_sockmap = sockmap;
		return 0;
	}
	sockmap_close(sockmap);
	if (!sockmap_is_allowed())
		return error_set(error, EXIT_FAILED, result,
				 "needs CAP_BPF, CAP_NET_ADMIN and "
				 "CAP_PERFMON");
	return error_set(error, EXIT_FAILED, result,
			 "this kernel does not load it: %s", strerror(-result));
}

uint64_t sockmap_program_hash(void)
{
	size_t size;
	const void *elf = sockmap_bpf__elf_bytes(&size);

	return store_object_hash(elf, size);
}

void sockmap_close(struct sockmap *sockmap)
{
	if (!sockmap)
		return;
	for (unsigned i = 0; i < sockmap->threads; i++) {
		ring_buffer__free(sockmap->rings[i]);
		cleanup_fd(&sockmap->ring_fd[i]);
	}
	sockmap_bpf__destroy(sockmap->bpf);
	free(sockmap);
}

int sockmap_ring(const struct sockmap *sockmap, unsigned thread)
{
	return sockmap->ring_fd[thread];
}

void sockmap_news(struct sockmap *sockmap, unsigned thread,
		  void (*each)(void *context, uint32_t index), void *context)
{
	sockmap_reader = (struct sockmap_reader){each, context};
	ring_buffer__consume(sockmap->rings[thread]);
}

uint64_t sockmap_lost(const struct sockmap *sockmap)
{
	return __atomic_load_n(&sockmap->bpf->bss->news_lost, __ATOMIC_RELAXED);
}
