// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "edge_dispatcher.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <xdp/libxdp.h>
#include "cleanup.h"

/* Others have 50, unless they say so: what is dropped need not be looked at
 * by them. */
#define RUN_PRIORITY 5

static void close_dispatcher(struct xdp_multiprog **dispatcher)
{
	xdp_multiprog__close(*dispatcher);
}

static void close_program(struct xdp_program **program)
{
	xdp_program__close(*program);
}

#define AUTO_DISPATCHER                                                        \
	__attribute__((cleanup(close_dispatcher))) struct xdp_multiprog
#define AUTO_PROGRAM __attribute__((cleanup(close_program))) struct xdp_program

static int get_dispatcher(int interface, struct xdp_multiprog **ret_dispatcher)
{
	struct xdp_multiprog *found;
	long status;

	libxdp_set_print(NULL);
	found = xdp_multiprog__get_from_ifindex(interface);
	status = libxdp_get_error(found);
	if (status)
		return (int)status;
	*ret_dispatcher = found;
	return 0;
}

static int get_program(int descriptor, struct xdp_program **ret_program)
{
	struct xdp_program *found = xdp_program__from_fd(descriptor);
	long status = libxdp_get_error(found);

	if (status)
		return (int)status;
	*ret_program = found;
	return 0;
}

/* All others of the object are left out. */
static void choose(struct bpf_object *object, const char *name)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, object)
	{
		bpf_program__set_autoload(
			program, !strcmp(bpf_program__name(program), name));
	}
}

int edge_dispatcher_join(int interface, struct bpf_object *object,
			 const char *name, int *ret_program)
{
	LIBBPF_OPTS(xdp_program_opts, options, .obj = object,
		    .prog_name = name);
	AUTO_DISPATCHER *dispatcher = NULL;
	AUTO_PROGRAM *program = NULL;
	int status = get_dispatcher(interface, &dispatcher), copy;

	if (status)
		return status;
	if (xdp_multiprog__is_legacy(dispatcher) ||
	    xdp_multiprog__attach_mode(dispatcher) != XDP_MODE_NATIVE)
		return -EBUSY;
	choose(object, name);
	program = xdp_program__create(&options);
	if (!program)
		return -errno;
	status = xdp_program__set_run_prio(program, RUN_PRIORITY);
	if (!status)
		status = xdp_program__set_chain_call_enabled(program, XDP_PASS,
							     true);
	if (!status)
		status = xdp_program__attach(program, interface,
					     XDP_MODE_NATIVE, 0);
	if (status)
		return status;
	copy = fcntl(xdp_program__fd(program), F_DUPFD_CLOEXEC, 0);
	if (copy < 0) {
		status = -errno;
		xdp_program__detach(program, interface, XDP_MODE_NATIVE, 0);
		return status;
	}
	*ret_program = copy;
	return 0;
}

bool edge_dispatcher_has(int interface, int program)
{
	AUTO_DISPATCHER *dispatcher = NULL;
	AUTO_PROGRAM *ours = NULL;
	struct xdp_program *one = NULL;
	int status = get_dispatcher(interface, &dispatcher);

	if (!status)
		status = get_program(program, &ours);
	if (status)
		return status == -EPERM || status == -EACCES;
	while ((one = xdp_multiprog__next_prog(one, dispatcher))) {
		if (xdp_program__id(one) == xdp_program__id(ours))
			return true;
	}
	return false;
}

int edge_dispatcher_leave(int interface, int program)
{
	AUTO_PROGRAM *ours = NULL;
	int status;

	if (!edge_dispatcher_has(interface, program))
		return 0;
	status = get_program(program, &ours);
	return status ? status
		      : xdp_program__detach(ours, interface, XDP_MODE_UNSPEC,
					    0);
}
