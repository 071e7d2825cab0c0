// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "splice_guard.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "cleanup.h"
#include "splice_guard.skel.h"
#include "store_object.h"

/* Linux 6.4; the headers of Debian 12 are older. */
#define PROGRAM_NETFILTER 32
#define ATTACH_NETFILTER 45
/* A priority is for one program only: others may have some, and an earlier one
 * of ours is there until this one is. */
#define PRIORITY_FIRST NF_IP_PRI_RAW
#define PRIORITY_LAST (NF_IP_PRI_RAW + 20)
#define PIN_NAME_SIZE 24

/* In order of the names of their pins, which are Internet versions. */
static const struct guard {
	const char *pin;
	__u32 family;
} guards[] = {{"splice_guard_4", NFPROTO_IPV4},
	      {"splice_guard_6", NFPROTO_IPV6}};

/* What BPF_LINK_CREATE takes of union bpf_attr. */
struct link_create {
	__u32 program;
	__u32 target;
	__u32 attach_type;
	__u32 flags;
	__u32 family;
	__u32 hook;
	__s32 priority;
	__u32 netfilter_flags;
};

static int attach(int program, __u32 family)
{
	struct link_create create = {
		.program = (__u32)program,
		.attach_type = ATTACH_NETFILTER,
		.family = family,
		.hook = NF_INET_LOCAL_IN,
		.priority = PRIORITY_FIRST,
	};
	long link;

	do {
		link = syscall(SYS_bpf, BPF_LINK_CREATE, &create,
			       sizeof(create));
	} while (link < 0 && errno == EBUSY &&
		 create.priority++ < PRIORITY_LAST);
	return link < 0 ? -errno : (int)link;
}

static int attach_and_pin(const struct store *store, int program,
			  const struct guard *guard)
{
	AUTO_FD link = attach(program, guard->family);

	return link < 0 ? link : store_pin(store, link, guard->pin);
}

int splice_guard_attach(const struct store *store)
{
	struct splice_guard_bpf *bpf = splice_guard_bpf__open();
	int result, program;

	if (!bpf)
		return -errno;
	/* libbpf of Debian 12 does not know them yet. */
	bpf_program__set_type(bpf->progs.splice_guard, PROGRAM_NETFILTER);
	bpf_program__set_expected_attach_type(bpf->progs.splice_guard,
					      ATTACH_NETFILTER);
	bpf_program__set_autoload(bpf->progs.splice_guard, true);
	result = store_object_reuse(store, bpf->obj, false);
	memcpy(&bpf->rodata->tuple_key, store->meta->hash_key,
	       sizeof(bpf->rodata->tuple_key));
	bpf->rodata->tuple_buckets =
		bpf_map__max_entries(bpf->maps.splice_tuples);
	if (!result)
		result = splice_guard_bpf__load(bpf);
	program = bpf_program__fd(bpf->progs.splice_guard);
	for (size_t i = 0; !result && i < sizeof(guards) / sizeof(*guards); i++)
		result = attach_and_pin(store, program, &guards[i]);
	splice_guard_bpf__destroy(bpf);
	return result;
}

bool splice_guard_exists(const struct store *store)
{
	AUTO_FD link = -1;

	return !store_get(store, guards[0].pin, &link);
}
