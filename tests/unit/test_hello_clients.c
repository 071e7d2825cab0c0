// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The recorded first flights of real clients. */
#include <dirent.h>
#include <stdio.h>

#include "hello_bytes.h"
#include "../../userspace/cleanup.h"

/* ---- real clients ------------------------------------------------------- */

#define RECORDED "hello/recorded"

static const struct {
	const char *file;
	uint16_t highest_version;
	bool ech;
	bool early_data;
	size_t bytes_behind;
	const char *alpn;
} recorded[] = {
	{"bun-1.4.5", 0x0304, false, false, 0, "\10http/1.1"},
	{"chromium-156", 0x0304, true, false, 0, "\2h2\10http/1.1"},
	{"curl-7.88.1", 0x0304, false, false, 0, "\2h2\10http/1.1"},
	{"firefox-esr-153", 0x0304, true, false, 0, "\2h2\10http/1.1"},
	{"gnutls-cli-3.7.9", 0x0304, false, false, 0, ""},
	{"java-17.0.15", 0x0304, false, false, 0, ""},
	{"node-20.20.2", 0x0304, false, false, 0, ""},
	{"node-26.10.0", 0x0304, false, false, 0, ""},
	{"nss-tstclnt-3.87.1", 0x0304, false, false, 0, ""},
	{"openssl-3.0.19", 0x0304, false, false, 0, "\2h2\10http/1.1"},
	{"openssl-3.0.19-early-data", 0x0304, false, true, 3028, ""},
	{"openssl-3.0.19-tls1.0", 0x0301, false, false, 0, ""},
	{"openssl-3.0.19-tls1.2", 0x0303, false, false, 0, ""},
	{"python-3.11.2", 0x0304, false, false, 0, "\10http/1.1"},
	{"wget-1.21.3", 0x0304, false, false, 0, ""},
};

/* From the repository's root, where `make` runs the tests. */
static const char *seeds_path(void)
{
	const char *path = getenv("SNICTL_SEEDS");

	return path ? path : "tests/fuzz/seeds";
}

static void load(const char *file)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/" RECORDED "/%s", seeds_path(), file);
	AUTO_FILE stream = fopen(path, "rbe");
	if (!stream)
		fail_msg("%s cannot be read", path);
	wire.length = fread(wire.data, 1, sizeof(wire.data), stream);
}

static void assert_recorded(size_t i)
{
	assert_usual_name();
	assert_int_equal(hello.highest_version, recorded[i].highest_version);
	assert_int_equal(hello.ech, recorded[i].ech);
	assert_int_equal(hello.early_data, recorded[i].early_data);
	assert_span(hello.alpn, recorded[i].alpn, strlen(recorded[i].alpn));
}

static void real_clients_are_understood(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(recorded); i++) {
		print_message("%s\n", recorded[i].file);
		load(recorded[i].file);
		assert_int_equal(read_wire(), HELLO_OK);
		assert_recorded(i);
		assert_int_equal(hello.wire_bytes + recorded[i].bytes_behind,
				 wire.length);

		/* The same message over records of one byte. */
		message.length = 0;
		put_data(&message, wire.data + 5, hello.wire_bytes - 5);
		wire_in_records_of(1);
		assert_int_equal(read_wire(), HELLO_OK);
		assert_recorded(i);
	}
}

static int not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void every_recording_is_in_the_table(void **state)
{
	struct dirent **entries;
	char path[4096];
	int count;

	(void)state;
	snprintf(path, sizeof(path), "%s/" RECORDED, seeds_path());
	count = scandir(path, &entries, not_hidden, alphasort);
	assert_int_equal(count, COUNT(recorded));
	for (int i = 0; i < count; i++) {
		assert_string_equal(entries[i]->d_name, recorded[i].file);
		free(entries[i]);
	}
	free(entries);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_clients_are_understood),
		cmocka_unit_test(every_recording_is_in_the_table),
	};

	return cmocka_run_group_tests_name("hello clients", tests, NULL,
					   reader_done);
}
