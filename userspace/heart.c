// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "heart.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "cleanup.h"
#include "descriptors.h"

/* Nobody may cut it: who touches it beyond its end dies. */
#define HEART_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static struct heart *heart_map(int fd)
{
	struct heart *heart = mmap(NULL, sizeof(*heart), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_NORESERVE, fd, 0);

	return heart == MAP_FAILED ? NULL : heart;
}

static void heart_look_at(int fd, void *context)
{
	struct heart **found = context, *heart;
	struct stat status;

	if (*found || fcntl(fd, F_GET_SEALS) != HEART_SEALS ||
	    fstat(fd, &status) || status.st_size != sizeof(*heart))
		return;
	heart = heart_map(fd);
	if (!heart)
		return;
	if (heart->layout == HEART_LAYOUT) {
		heart->memory = fd;
		*found = heart;
	} else {
		munmap(heart, sizeof(*heart));
	}
}

static struct heart *heart_new(void)
{
	AUTO_FD fd = memfd_create("heart", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct heart *heart = NULL;

	if (fd >= 0 && !ftruncate(fd, sizeof(*heart)) &&
	    !fcntl(fd, F_ADD_SEALS, HEART_SEALS))
		heart = heart_map(fd);
	if (!heart)
		return NULL;
	heart->layout = HEART_LAYOUT;
	heart->memory = take_fd(&fd);
	return heart;
}

struct heart *heart_open(void)
{
	struct heart *heart = NULL;

	descriptors_visit(heart_look_at, &heart);
	return heart ? heart : heart_new();
}

static bool heart_has(const uint64_t flows[ABI_THREADS_MAX], uint64_t flow)
{
	unsigned i = 0;

	while (i < ABI_THREADS_MAX && flows[i] != flow)
		i++;
	return flow && i < ABI_THREADS_MAX;
}

void heart_blame(struct heart *heart)
{
	uint64_t before[ABI_THREADS_MAX];

	memcpy(before, heart->suspect, sizeof(before));
	for (unsigned i = 0; i < ABI_THREADS_MAX; i++) {
		uint64_t flow = atomic_load(&heart->beat[i].flow);

		heart->suspect[i] = flow;
		heart->poison[i] = heart_has(before, flow) ? flow : 0;
	}
}

bool heart_is_poison(const struct heart *heart, uint64_t flow)
{
	return heart_has(heart->poison, flow);
}

struct preface *heart_keep(struct heart *heart, unsigned index, uint64_t flow)
{
	struct preface *preface = heart->preface + index * HEART_PREFACES;
	const struct preface *end = preface + HEART_PREFACES;

	while (preface < end && preface->flow)
		preface++;
	if (preface == end)
		return NULL;
	preface->length = 0;
	preface->outbound = false;
	preface->worker = heart->worker;
	__atomic_store_n(&preface->flow, flow, __ATOMIC_RELEASE);
	return preface;
}

struct preface *heart_kept(struct heart *heart, uint64_t flow, bool outbound)
{
	struct preface *preface = heart->preface;
	const struct preface *end = preface + ABI_THREADS_MAX * HEART_PREFACES;

	while (preface < end &&
	       (preface->flow != flow || preface->outbound != outbound ||
		preface->length > HEART_PREFACE_BYTES))
		preface++;
	return preface < end ? preface : NULL;
}

bool heart_add(struct heart *heart, struct preface *preface, const void *bytes,
	       size_t length)
{
	if (length > HEART_PREFACE_BYTES - preface->length)
		return false;
	memcpy(heart_bytes(heart, preface) + preface->length, bytes, length);
	/* Whatever is said to be there is. */
	__atomic_store_n(&preface->length, preface->length + (uint32_t)length,
			 __ATOMIC_RELEASE);
	return true;
}
