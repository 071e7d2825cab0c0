// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include "../userspace/edge_hook.h"
#include "../userspace/splice.h"
#include "../userspace/splice_hook.h"
#include "../userspace/store.h"
#include "agent_view.h"
#include "command.h"

/* Links go with their pins, but a filter has to be taken off. */
static int remove_all(const struct paths *paths, struct error *error)
{
	AUTO_STORE store = STORE_NONE;

	if (!store_open(paths, STORE_WRITE, &store, NULL)) {
		edge_hook_remove(&store);
		if (splice_exists(&store))
			splice_hook_remove();
	}
	store_close(&store);
	return store_remove(paths, error);
}

int unload_main(const struct invocation *call, struct error *error)
{
	json_auto_t *answer = NULL;
	int ret;

	if (call->option[OPTION_FORCE])
		return remove_all(&call->paths, error);
	ret = agent_ask(&call->paths, "status", &answer, error);
	if (!ret)
		return error_set(error, EXIT_FAILED, EBUSY,
				 "an agent uses the maps (pid %d): stop it "
				 "first, or give --force",
				 (int)json_integer_value(
					 json_object_get(answer, "pid")));
	if (ret != -ECONNREFUSED)
		return ret;
	return remove_all(&call->paths, error);
}
