// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "edge_program.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include "cleanup.h"
#include "edge.skel.h"
#include "edge_dispatcher.h"
#include "store_object.h"

/* In bpf/edge.bpf.c, and of their pins. */
static const char *const names[EDGE_PROGRAM_COUNT] = {
	[EDGE_PROGRAM_XDP] = "edge_xdp",
	[EDGE_PROGRAM_TC] = "edge_tc",
	[EDGE_PROGRAM_TC_IP] = "edge_tc_ip",
};

static int load_and_pin(const struct store *store)
{
	struct edge_bpf *object = edge_bpf__open();
	int status;

	if (!object)
		return -errno;
	status = store_object_reuse(store, object->obj, false);
	if (!status)
		status = edge_bpf__load(object);
	for (int i = 0; !status && i < EDGE_PROGRAM_COUNT; i++)
		status = store_pin(
			store,
			bpf_program__fd(bpf_object__find_program_by_name(
				object->obj, names[i])),
			names[i]);
	edge_bpf__destroy(object);
	return status;
}

static int get_pinned(const struct store *store,
		      int program[EDGE_PROGRAM_COUNT])
{
	int status = 0;

	for (int i = 0; !status && i < EDGE_PROGRAM_COUNT; i++) {
		cleanup_fd(&program[i]);
		status = store_get(store, names[i], &program[i]);
	}
	return status;
}

int edge_programs_get(const struct store *store,
		      int program[EDGE_PROGRAM_COUNT], struct error *error)
{
	int status;

	if (program[EDGE_PROGRAM_COUNT - 1] >= 0)
		return 0;
	status = get_pinned(store, program);
	if (status == -ENOENT) {
		status = load_and_pin(store);
		if (!status)
			status = get_pinned(store, program);
	}
	if (!status)
		return 0;
	return error_set(error, EXIT_FAILED, status,
			 "the kernel does not take the edge's programs: %s%s",
			 strerror(-status),
			 status == -EPERM || status == -EACCES
				 ? ": this needs root, or CAP_BPF, CAP_PERFMON "
				   "and CAP_NET_ADMIN"
				 : "");
}

int edge_program_join(const struct store *store, int interface,
		      int *ret_program)
{
	struct edge_bpf *object = edge_bpf__open();
	int status;

	if (!object)
		return -errno;
	status = store_object_reuse(store, object->obj, false);
	if (!status)
		status = edge_dispatcher_join(interface, object->obj,
					      names[EDGE_PROGRAM_XDP],
					      ret_program);
	edge_bpf__destroy(object);
	return status;
}
