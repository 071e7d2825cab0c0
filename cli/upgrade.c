// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <stdio.h>
#include "../userspace/control.h"
#include "command.h"

int upgrade_main(const struct invocation *call, struct error *error)
{
	json_auto_t *request = json_pack("{s:s}", "command", "upgrade");
	json_auto_t *answer = NULL;
	int ret = control_call(&call->paths, request, CONTROL_UPGRADE_S,
			       &answer, error);

	if (ret)
		return ret;
	printf("snictld %s serves\n",
	       json_string_value(json_object_get(answer, "version")));
	return 0;
}
