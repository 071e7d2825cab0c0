// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Names that are too long for the records of their flows. Whose a place in the
 * map is only the records say: a place is filled before one names it, and free
 * for others after none does, so an agent that dies leaves none taken.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "flow.h"

int flow_names_open(struct agent *agent)
{
	uint32_t count = store_name_count(&agent->store);
	const struct abi_flow_cold *cold = agent->store.cold;
	uint32_t capacity = agent->store.flow_capacity;

	agent->free_names = calloc(count, sizeof(*agent->free_names));
	if (!agent->free_names)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		agent->free_names[i] = i + 1;
	for (uint32_t i = 0; i < capacity; i++) {
		if (cold[i].phase != ABI_PHASE_FREE && cold[i].long_name &&
		    cold[i].long_name <= count)
			agent->free_names[cold[i].long_name - 1] = 0;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (agent->free_names[i])
			agent->free_names[agent->free_name_count++] = i + 1;
	}
	return 0;
}

/* Return: one more than its index; 0: there is none. */
static uint32_t take(struct agent *agent)
{
	uint32_t number = 0;

	pthread_mutex_lock(&agent->free_lock);
	if (agent->free_name_count)
		number = agent->free_names[--agent->free_name_count];
	pthread_mutex_unlock(&agent->free_lock);
	return number;
}

void flow_keep_name(struct flow *flow, const struct name *name)
{
	struct agent *agent = flow->thread->agent;
	bool is_long = name->length > ABI_NAME_SHORT;
	uint32_t number = is_long ? take(agent) : 0;
	struct abi_flow_cold *cold = flow_record_begin(flow);

	if (number)
		memcpy(agent->store.names[number - 1].text, name->text,
		       name->length);
	else if (is_long)
		memcpy(cold->name, name->text + name->length - ABI_NAME_SHORT,
		       ABI_NAME_SHORT);
	else
		memcpy(cold->name, name->text, name->length);
	cold->long_name = number;
	cold->name_length = name->length;
	flow_record_end(flow);
}

void flow_forget_name(struct flow *flow)
{
	struct agent *agent = flow->thread->agent;
	uint32_t number = flow->cold->long_name;
	struct abi_flow_cold *cold;

	if (!number)
		return;
	cold = flow_record_begin(flow);
	cold->long_name = 0;
	cold->name_length = 0;
	flow_record_end(flow);
	pthread_mutex_lock(&agent->free_lock);
	agent->free_names[agent->free_name_count++] = number;
	pthread_mutex_unlock(&agent->free_lock);
}
