// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Names that are too long for the records of their flows. */
#include <string.h>
#include "flow.h"

void flow_keep_name(struct flow *flow, const struct name *name)
{
	struct agent *agent = flow->thread->agent;
	bool is_long = name->length > ABI_NAME_SHORT;
	uint32_t number = is_long ? places_take(&agent->names) : 0;
	struct abi_flow_cold *cold = flow_record_begin(flow);

	if (number)
		memcpy(agent->store.names[number - 1].text, name->text,
		       name->length);
	else if (is_long)
		memcpy(cold->name, name->text + name->length - ABI_NAME_SHORT,
		       ABI_NAME_SHORT);
	else
		memcpy(cold->name, name->text, name->length);
	cold->long_name = (__u16)number;
	cold->name_length = name->length;
	flow_record_end(flow);
}

void flow_forget_name(struct flow *flow)
{
	uint32_t number = flow->cold->long_name;
	struct abi_flow_cold *cold;

	if (!number)
		return;
	cold = flow_record_begin(flow);
	cold->long_name = 0;
	cold->name_length = 0;
	flow_record_end(flow);
	places_give(&flow->thread->agent->names, number);
}
