// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "account.h"

#include <string.h>

static struct account *accounts_find(struct accounts *accounts,
				     const struct abi_route_key *key)
{
	for (unsigned i = 0; i < accounts->count; i++) {
		if (!memcmp(&accounts->of[i].key, key, sizeof(*key)))
			return &accounts->of[i];
	}
	return NULL;
}

void accounts_add(struct accounts *accounts, const struct store *store,
		  const struct abi_route_key *key, const uint64_t bytes[2])
{
	struct account *account = accounts_find(accounts, key);

	if (!account) {
		if (accounts->count == ACCOUNTS_MAX)
			accounts_flush(accounts, store);
		account = &accounts->of[accounts->count++];
		*account = (struct account){.key = *key};
	}
	account->flows++;
	account->bytes[0] += bytes[0];
	account->bytes[1] += bytes[1];
}

void accounts_flush(struct accounts *accounts, const struct store *store)
{
	for (unsigned i = 0; i < accounts->count; i++) {
		const struct account *account = &accounts->of[i];

		route_account(store, &account->key, account->flows,
			      account->bytes);
	}
	accounts->count = 0;
}
