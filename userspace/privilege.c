// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "privilege.h"

#include <cap-ng.h>
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>

int privilege_drop(struct error *error)
{
	static const unsigned kept[] = {CAP_NET_BIND_SERVICE, CAP_NET_ADMIN,
					CAP_BPF};
	unsigned have = 0;

	for (unsigned i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		if (capng_have_capability(CAPNG_EFFECTIVE, kept[i]))
			have |= 1U << i;
	}
	capng_clear(CAPNG_SELECT_BOTH);
	for (unsigned i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		if (have & 1U << i)
			capng_update(CAPNG_ADD,
				     CAPNG_EFFECTIVE | CAPNG_PERMITTED,
				     kept[i]);
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return error_set(error, EXIT_FAILED, errno,
				 "cannot renounce new privileges: %s",
				 strerror(errno));
	/* The bounding set can only be emptied with CAP_SETPCAP. */
	if (capng_apply(CAPNG_SELECT_CAPS))
		return error_set(error, EXIT_FAILED, EPERM,
				 "cannot drop capabilities");
	return 0;
}
