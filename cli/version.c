// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <inttypes.h>
#include "../bpf/abi.h"
#include "abi_hash.h"
#include "command.h"
#include "output.h"

int version_main(const struct invocation *call, struct error *error)
{
	char hash[17];

	(void)error;
	snprintf(hash, sizeof(hash), "%016" PRIx64, (uint64_t)ABI_LAYOUT_HASH);
	if (call->option[OPTION_JSON])
		return output_json(json_pack("{s:s, s:i, s:s}", "version",
					     SNICTL_VERSION, "abi", ABI_VERSION,
					     "layout", hash));
	printf("snictl %s, maps v%d, layout %s\n", SNICTL_VERSION, ABI_VERSION,
	       hash);
	return 0;
}
