// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "edit.h"

#include "../userspace/edge_hook.h"
#include "../userspace/state.h"
#include "output.h"

int edit_row(const struct invocation *call, struct config_row *ret_row,
	     struct error *error)
{
	AUTO_STORE store = STORE_NONE;
	struct config_row row;
	int ret;

	ret = config_row_parse(call->words, call->word_count, &row, NULL,
			       error);
	if (ret)
		return ret;
	ret = state_open(&call->paths, &store, error);
	if (ret)
		return ret;
	ret = state_edit(&store, &call->paths, &row, error);
	/* A limit may be the first or the last reason for hooks. */
	if (!ret && row.object == CONFIG_SETTING)
		ret = edge_hook_sync(&store, error);
	if (ret)
		return ret;
	*ret_row = row;
	return 0;
}

int route_change_main(const struct invocation *call, struct error *error)
{
	char name[PATTERN_TEXT_SIZE];
	struct config_row row;
	int ret = edit_row(call, &row, error);

	if (ret)
		return ret;
	if (row.verb != CONFIG_DEL && !row.proxy_given &&
	    row.route.route.action == ABI_ACTION_FORWARD)
		output_note("%s: without --proxy the backend sees this "
			    "router's address, not the client's",
			    config_route_name(&row.route, name));
	return 0;
}
