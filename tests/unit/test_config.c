// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "../../userspace/addr.h"
#include "../../userspace/config.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct abi_endpoint address(const char *text)
{
	struct abi_endpoint result;

	assert_int_equal(addr_parse_endpoint(text, 0, &result), 0);
	return result;
}

/* Cuts at blanks, as a shell would. */
static int parse_row(const char *line, struct config_row *row,
		     struct config_fault *fault, struct error *error)
{
	char copy[4096], *words[64];
	size_t count = 0;

	assert_true(strlen(line) < sizeof(copy));
	memcpy(copy, line, strlen(line) + 1);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		words[count++] = word;
	return config_row_parse(words, count, row, fault, error);
}

static struct config_row row_of(const char *line)
{
	struct config_row row;
	struct error error;

	if (parse_row(line, &row, NULL, &error))
		fail_msg("%s: %s", line, error.text);
	return row;
}

/* ---- rows --------------------------------------------------------------- */

static void test_rows_in_their_normal_form(void **state)
{
	static const struct {
		const char *given;
		const char *normal; /* NULL: as given */
	} rows[] = {
		{"listen add 443", NULL},
		{"listen add *:443", "listen add 443"},
		{"listen add 192.0.2.1:443 --accept-proxy 10.0.0.0/8,2001:db8::/32",
		 NULL},
		{"listen add --accept-proxy=10.1.2.3 [2001:DB8::1]:443",
		 "listen add [2001:db8::1]:443 --accept-proxy 10.1.2.3/32"},
		{"listen del 443", NULL},
		{"listen add 80 --http", NULL},
		{"listen add 80 --trust-forwarded=10.0.0.0/8,::1 --http",
		 "listen add 80 --http --trust-forwarded 10.0.0.0/8,::1/128"},
		{"route add pbx.example.com 10.1.2.3:443", NULL},
		{"route add a.example 10.0.0.1:443 --http proxy --http-target "
		 "[::1]:8080 --forwarded --alpn acme-tls/1 --on 8443",
		 NULL},
		{"route add a.example 10.0.0.1:443 --http acme --http-target "
		 "10.0.0.2",
		 "route add a.example 10.0.0.1:443 --http-target 10.0.0.2:80"},
		{"route add a.example 10.0.0.1:443 --http off", NULL},
		{"route add PBX.Example.com. 10.1.2.3",
		 "route add pbx.example.com 10.1.2.3:443"},
		{"route add *.example.com reject", NULL},
		{"route add .example.com drop --on 8443", NULL},
		{"route add none [2001:db8::1]:8443", NULL},
		{"route add default 2001:db8::1", "route add default "
						  "[2001:db8::1]:443"},
		{"route add other 10.0.0.1:22 --on 192.0.2.1:443", NULL},
		{"route add --proxy v1 a.example --datapath=relay 10.0.0.1,"
		 "10.0.0.2:8443,[::1]:443",
		 "route add a.example 10.0.0.1:443,10.0.0.2:8443,[::1]:443 "
		 "--proxy v1 --datapath relay"},
		{"route add a.example 10.0.0.1:443 --proxy off --datapath auto",
		 "route add a.example 10.0.0.1:443"},
		{"route replace a.example 10.0.0.1:443 --proxy v2", NULL},
		{"route del a.example", NULL},
		{"route del .example.com --on 8443", NULL},
		{"set hello-timeout 10000ms", "set hello-timeout 10s"},
		{"set datapath splice", NULL},
		{"set datapath default", "set datapath auto"},
		{"set edge-hook xdp --interface eth0.7@a", NULL},
		{"set --interface=123456789012345 edge-hook auto",
		 "set edge-hook auto --interface 123456789012345"},
		{"set edge-hook default --interface eth0", NULL},
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		const char *normal = rows[i].normal;
		struct config_row row = row_of(rows[i].given), again;
		char text[CONFIG_ROW_SIZE];
		size_t length = config_row_format(&row, text);

		assert_string_equal(text, normal ? normal : rows[i].given);
		assert_int_equal(length, strlen(text));
		again = row_of(text);
		again.proxy_given = row.proxy_given;
		assert_memory_equal(&again, &row, sizeof(row));
	}
}

static void test_whether_proxy_was_given_is_kept(void **state)
{
	(void)state;
	assert_false(row_of("route add a.example 10.0.0.1").proxy_given);
	assert_true(
		row_of("route add a.example 10.0.0.1 --proxy off").proxy_given);
}

#define USAGE_LISTEN                                                           \
	"listen add [ADDR:]PORT [--accept-proxy PREFIX[,PREFIX...]] [--http] " \
	"[--trust-forwarded PREFIX[,PREFIX...]]"
#define USAGE_ROUTE                                                            \
	"route add NAME TARGET[,TARGET...] [--proxy off|v1|v2] "               \
	"[--datapath auto|splice|sockmap|relay] [--on [ADDR:]PORT] "           \
	"[--alpn PROTOCOL] [--http acme|redirect|proxy|off] "                  \
	"[--http-target ADDR[:PORT]] [--forwarded]"

static void test_faults_are_quoted_and_placed(void **state)
{
	static const struct {
		const char *line;
		size_t word;
		size_t offset;
		const char *sentence;
	} rows[] = {
		{"", 0, 0,
		 "\"\" is no command here: it is listen, route or set"},
		{"flow list", 0, 0,
		 "\"flow\" is no command here: it is listen, route or set"},
		{"route", 1, 0,
		 "\"\" is nothing that route does: it is add, replace or del"},
		{"listen replace 443", 1, 0,
		 "\"replace\" is nothing that listen does: it is add or del"},
		{"listen add", 2, 0, "[ADDR:]PORT is missing: " USAGE_LISTEN},
		{"listen add 443 444", 3, 0,
		 "\"444\" is one word too many: " USAGE_LISTEN},
		{"listen add 443 --proxy v1", 3, 0,
		 "\"--proxy\" is no option of this: " USAGE_LISTEN},
		{"listen add 443 --accept-proxy", 4, 0,
		 "\"--accept-proxy\" needs a value: " USAGE_LISTEN},
		{"listen add 65536", 2, 0,
		 "\"65536\" has no port from 1 to 65535"},
		{"listen add here", 2, 0,
		 "\"here\" is no port and no address with a port: "
		 "[ADDR:]PORT, like 443, 192.0.2.1:443 or [2001:db8::1]:443"},
		{"listen add 443 --accept-proxy=10.0.0.0/8,10.1.2.3/8", 3, 26,
		 "\"10.1.2.3/8\" has bits set behind its length"},
		{"listen add 443 --accept-proxy 10.0.0.0/8,,10.0.0.1", 4, 11,
		 "\"\" is no prefix: ADDR or ADDR/LENGTH, like 10.0.0.0/8"},
		{"listen add 443 --accept-proxy ::/0,::/0", 4, 5,
		 "\"::/0\" is there twice"},
		{"listen add 443 --accept-proxy 10.0.0.0,10.0.0.1,10.0.0.2,"
		 "10.0.0.3,10.0.0.4,10.0.0.5,10.0.0.6,10.0.0.7,10.0.0.8",
		 4, 72, "\"10.0.0.8\" is one prefix too many: at most 8"},
		{"listen add 80 --http --http", 4, 0,
		 "\"--http\" is there twice"},
		{"listen add 80 --http=yes", 3, 0,
		 "\"--http\" takes no value: " USAGE_LISTEN},
		{"listen add 80 --trust-forwarded ::/0", 4, 0,
		 "--trust-forwarded means nothing without --http"},
		{"route add a.example 10.0.0.1 --http maybe", 5, 0,
		 "\"maybe\" is no http: it is acme, redirect, proxy or off"},
		{"route add a.example 10.0.0.1 --http off --http-target ::1", 7,
		 0, "--http-target means nothing with --http off"},
		{"route add a.example 10.0.0.1 --http-target 0.0.0.0", 5, 0,
		 "\"0.0.0.0\" cannot be a target: it is the unspecified "
		 "address"},
		{"route add a.example reject --http acme", 5, 0,
		 "--http means nothing with \"reject\""},
		{"route add a.example 10.0.0.1 --alpn acme-tls/1-or-longer", 5,
		 0,
		 "\"acme-tls/1-or-longer\" is no ALPN protocol: 1 to 15 "
		 "letters, such as acme-tls/1"},
		{"route add a.example", 3, 0,
		 "TARGET is missing: " USAGE_ROUTE},
		{"route add a.example 10.0.0.300", 3, 0,
		 "\"10.0.0.300\" is no IP address; names as targets come "
		 "later, addresses only"},
		{"route add a.example 10.0.0.1,pbx.example.com", 3, 9,
		 "\"pbx.example.com\" is no IP address; names as targets come "
		 "later, addresses only"},
		{"route add a.example 10.0.0.1:0", 3, 0,
		 "\"10.0.0.1:0\" has no port from 1 to 65535"},
		{"route add a.example 10.0.0.1,", 3, 9,
		 "\"\" is no IP address; names as targets come later, "
		 "addresses only"},
		{"route add a.example 10.0.0.1,reject", 3, 9,
		 "\"reject\" is no IP address; names as targets come later, "
		 "addresses only"},
		{"route add a.example 10.0.0.1:443,10.0.0.1", 3, 13,
		 "\"10.0.0.1\" is there twice"},
		{"route add a.example 0.0.0.0", 3, 0,
		 "\"0.0.0.0\" cannot be a target: it is the unspecified "
		 "address"},
		{"route add a.example 224.0.0.1", 3, 0,
		 "\"224.0.0.1\" cannot be a target: it is no address of one "
		 "host"},
		{"route add a.example ff02::1", 3, 0,
		 "\"ff02::1\" cannot be a target: it is a multicast address"},
		{"route add a.example [fe80::1]:443", 3, 0,
		 "\"[fe80::1]:443\" cannot be a target: it is a link-local "
		 "address, which needs an interface"},
		{"route add a.example 10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4,"
		 "10.0.0.5,10.0.0.6,10.0.0.7,10.0.0.8,10.0.0.9",
		 3, 72, "\"10.0.0.9\" is one target too many: at most 8"},
		{"route add a.example 10.0.0.1 --proxy v3", 5, 0,
		 "\"v3\" is no proxy: it is off, v1 or v2"},
		{"route add a.example 10.0.0.1 --datapath=fast", 4, 11,
		 "\"fast\" is no datapath: it is auto, splice, sockmap or "
		 "relay"},
		{"route add a.example 10.0.0.1 --on x", 5, 0,
		 "\"x\" is no port and no address with a port: [ADDR:]PORT, "
		 "like 443, 192.0.2.1:443 or [2001:db8::1]:443"},
		{"route add a.example 10.0.0.1 --on 443 --on 444", 6, 0,
		 "\"--on\" is there twice"},
		{"route add a.example reject --proxy v1", 5, 0,
		 "--proxy means nothing with \"reject\""},
		{"route del a.example 10.0.0.1", 3, 0,
		 "\"10.0.0.1\" is one word too many: route del NAME [--on "
		 "[ADDR:]PORT] [--alpn PROTOCOL]"},
		{"set", 1, 0,
		 "KEY is missing: set KEY VALUE [--interface NAME]"},
		{"set log off --interface eth0", 4, 0,
		 "--interface means nothing with log"},
		{"set edge-hook tc --interface 1234567890123456", 4, 0,
		 "\"1234567890123456\" is no name of an interface"},
		{"set edge-hook tc --interface=a/b", 3, 12,
		 "\"a/b\" is no name of an interface"},
		{"set edge-hook tc --interface ..", 4, 0,
		 "\"..\" is no name of an interface"},
		{"set edge-hook fast --interface eth0", 2, 0,
		 "\"fast\" is no value of edge-hook: it is auto, xdp or tc"},
		{"set colour red", 1, 0,
		 "\"colour\" is no setting: `set list` shows them all"},
		{"set hello-max 1", 2, 0,
		 "\"1\" is out of range: hello-max is from 512 to 65536"},
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct config_row row;
		struct config_fault fault = {99, 99};
		struct error error = {0};

		memset(&row, 0x5a, sizeof(row));
		assert_int_equal(parse_row(rows[i].line, &row, &fault, &error),
				 -EINVAL);
		assert_string_equal(error.text, rows[i].sentence);
		assert_int_equal(error.status, EXIT_USAGE);
		assert_int_equal(fault.word, rows[i].word);
		assert_int_equal(fault.offset, rows[i].offset);
		assert_int_equal(row.verb, 0x5a5a5a5a);
	}
}

static void test_a_bad_name_is_quoted_with_its_reason(void **state)
{
	static const char sentence[] = "\"10.0.0.1\" is no host name: ";
	struct config_row row;
	struct error error;

	(void)state;
	assert_int_equal(
		parse_row("route add 10.0.0.1 10.0.0.1", &row, NULL, &error),
		-EINVAL);
	assert_int_equal(strncmp(error.text, sentence, strlen(sentence)), 0);
	assert_true(strlen(error.text) > strlen(sentence));
}

static void test_the_longest_rows_fit(void **state)
{
	static const char target[] =
		"[2001:db8:1111:2222:3333:4444:5555:666%d]:65535,";
	char line[CONFIG_ROW_SIZE * 2], text[CONFIG_ROW_SIZE];
	struct config_row row;
	int length;

	(void)state;
	length = snprintf(line, sizeof(line), "route replace *.");
	for (int i = 0; i < 123; i++)
		length += snprintf(line + length, 3, "a.");
	length += snprintf(line + length, 8, "aaaaa ");
	for (int i = 0; i < ABI_TARGETS_MAX; i++)
		length += snprintf(line + length, sizeof(target), target, i);
	snprintf(line + length - 1, 200,
		 " --proxy v2 --datapath sockmap --on "
		 "[2001:db8:1111:2222:3333:4444:5555:6666]:65535");
	row = row_of(line);
	assert_int_equal(row.route.route.name_length, 251);
	config_row_format(&row, text);
	assert_string_equal(text, line);
}

/* ---- whole texts -------------------------------------------------------- */

static struct config config_of(const char *text)
{
	struct config config;
	struct error error;

	if (config_parse("F", text, strlen(text), NULL, &config, &error))
		fail_msg("%s", error.text);
	return config;
}

static char *text_of(const struct config *config)
{
	char *text = NULL;
	size_t size = 0, lines, newlines = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	lines = config_print(config, out);
	fclose(out);
	for (size_t i = 0; i < size; i++)
		newlines += text[i] == '\n';
	assert_int_equal(lines, newlines);
	return text;
}

static void assert_text(const struct config *config, const char *expected)
{
	char *text = text_of(config);

	assert_string_equal(text, expected);
	free(text);
}

static void test_a_text_is_printed_in_order(void **state)
{
	AUTO_CONFIG config =
		config_of("# what a person wrote\n"
			  "route add default 10.0.0.9 # comment\r\n"
			  "\troute add b.example 10.0.0.2\n"
			  "\n"
			  "listen add 8443\n"
			  "route add none reject --on 8443\n"
			  "route add a.example 10.0.0.7 --on 8443\n"
			  "set edge-hook tc --interface eth1\n"
			  "set log json\n"
			  "set hello-timeout 10s\n"
			  "set edge-hook auto --interface eth0\n"
			  "route add .b.example 10.0.0.3 --proxy v2\n"
			  "listen add 443\n"
			  "route add other drop\n"
			  "route add *.a.example 10.0.0.1");

	(void)state;
	assert_text(&config, "listen add 443\n"
			     "listen add 8443\n"
			     "set log json\n"
			     "set edge-hook auto --interface eth0\n"
			     "set edge-hook tc --interface eth1\n"
			     "route add *.a.example 10.0.0.1:443\n"
			     "route add b.example 10.0.0.2:443\n"
			     "route add .b.example 10.0.0.3:443 --proxy v2\n"
			     "route add default 10.0.0.9:443\n"
			     "route add other drop\n"
			     "route add a.example 10.0.0.7:443 --on 8443\n"
			     "route add none reject --on 8443\n");
}

static void test_what_is_printed_is_read_as_the_same(void **state)
{
	static const char *const lines[] = {"listen add 443\n",
					    "set keepalive 0s\n",
					    "route add .x.example drop\n"};

	(void)state;
	for (unsigned i = 0; i < COUNT(lines); i++) {
		AUTO_CONFIG config = config_of(lines[i]);

		assert_text(&config, lines[i]);
	}
}

static void test_an_empty_text_is_an_empty_configuration(void **state)
{
	AUTO_CONFIG config = config_of("");

	(void)state;
	assert_int_equal(config.listener_count, 0);
	assert_int_equal(config.route_count, 0);
	assert_int_equal(config.settings[ABI_SET_HELLO_TIMEOUT_MS], 10000);
}

static void test_faults_name_file_line_and_column(void **state)
{
	static const struct {
		const char *text;
		const char *sentence;
	} rows[] = {
		{"listen add 443\n"
		 "# comment\n"
		 "route add a.example  10.0.0.1,10.0.0.300 # bad\n",
		 "F:3:31: \"10.0.0.300\" is no IP address; names as targets "
		 "come later, addresses only"},
		{"  route add a.example   # too short\n",
		 "F:1:22: TARGET is missing: " USAGE_ROUTE},
		{"listen add 443 --accept-proxy=",
		 "F:1:31: \"\" is no prefix: ADDR or ADDR/LENGTH, like "
		 "10.0.0.0/8"},
		{"route del a.example\n",
		 "F:1:7: \"del\" changes what is there, but a file says what "
		 "is to be there: only \"add\" and \"set\""},
		{"1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5\n",
		 "F:1:49: more than 24 words"},
		{"route add a.example 10.0.0.1\n"
		 "\n"
		 "route  add  A.example.  reject\n",
		 "F:3:13: \"a.example\" has a route already, also on line 1"},
		{"route add .a.example 10.0.0.1\n"
		 "route add *.a.example 10.0.0.1\n",
		 "F:2:11: \"*.a.example\" cannot stand beside \".a.example\", "
		 "also on line 1: both cover the names below"},
		{"listen add 443\n"
		 "route add a.example 10.0.0.1 --on=8443\n",
		 "F:2:35: \"8443\" is no listener: `listen add 8443` makes it "
		 "one"},
		{"listen add 443\nlisten add 443\n",
		 "F:2:12: \"443\" is a listener already: 443, also on line 1"},
		{"listen add 0.0.0.0:443\nlisten add 443\n",
		 "F:2:12: \"443\" is a listener already: 0.0.0.0:443, also on "
		 "line 1"},
		{"set log off\nset log text\n",
		 "F:2:5: \"log\" is set already, also on line 1"},
		{"set edge-hook tc --interface a\n"
		 "set edge-hook xdp --interface b\n"
		 "set edge-hook xdp --interface a\n",
		 "F:3:31: the edge-hook of a is set already"},
		{"set edge-hook default --interface a\n",
		 "F:1:15: \"default\" changes what is there, but a file says "
		 "what is to be there: only \"add\" and \"set\""},
		{"listen add 443\n"
		 "route add a.example 10.0.0.1,127.0.0.9\n",
		 "F:2:30: \"127.0.0.9:443\" is our own listener 443: "
		 "connections for \"a.example\" would run in a loop; its "
		 "target is the server's address and port"},
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct config config;
		struct error error = {0};

		memset(&config, 0x5a, sizeof(config));
		assert_int_not_equal(config_parse("F", rows[i].text,
						  strlen(rows[i].text), NULL,
						  &config, &error),
				     0);
		assert_string_equal(error.text, rows[i].sentence);
		assert_int_equal(error.status, EXIT_FAILED);
		assert_int_equal(config.route_count, 0x5a5a5a5a5a5a5a5a);
	}
}

static void test_a_nul_byte_is_a_fault(void **state)
{
	static const char text[] = "listen add 443\nset\0log off\n";
	struct config config;
	struct error error;

	(void)state;
	assert_int_equal(config_parse("F", text, sizeof(text) - 1, NULL,
				      &config, &error),
			 -EINVAL);
	assert_string_equal(error.text, "F:2:4: a NUL byte: this is no text");
}

static void test_listeners_side_by_side(void **state)
{
	AUTO_CONFIG config = config_of("listen add 443\n"
				       "listen add 192.0.2.1:443\n"
				       "listen add [2001:db8::1]:443\n"
				       "listen add 0.0.0.0:8443\n"
				       "listen add [::]:8443\n"
				       "listen add 192.0.2.1:8443\n");

	(void)state;
	assert_int_equal(config.listener_count, 6);
}

static void test_no_more_listeners_than_the_map_holds(void **state)
{
	char text[300 * 20];
	struct config config;
	struct error error;
	size_t length = 0;

	(void)state;
	for (int i = 1; i <= 257; i++)
		length += (size_t)snprintf(text + length, 20, "listen add %d\n",
					   i);
	assert_int_equal(config_parse("F", text, length, NULL, &config, &error),
			 -EINVAL);
	assert_string_equal(error.text, "F:257:12: 257 listeners are too many: "
					"at most 256");
	length -= strlen("listen add 257\n");
	assert_int_equal(config_parse("F", text, length, NULL, &config, &error),
			 0);
	config_done(&config);
}

/* ---- loops -------------------------------------------------------------- */

static void test_no_more_hooks_than_there_is_room_for(void **state)
{
	AUTO_CONFIG config = config_of("");
	char line[64];

	(void)state;
	for (unsigned i = 0; i <= ABI_HOOKS_MAX; i++) {
		struct error error = {0};
		struct config_row row;

		snprintf(line, sizeof(line),
			 "set edge-hook tc --interface eth%u", i);
		row = row_of(line);
		assert_int_equal(config_edit(&config, &row, NULL, &error),
				 i < ABI_HOOKS_MAX ? 0 : -ENOSPC);
	}
	assert_int_equal(config.hook_count, ABI_HOOKS_MAX);
}

static void test_a_target_that_is_a_listener_is_a_loop(void **state)
{
	struct abi_endpoint own[] = {address("192.0.2.1"),
				     address("2001:db8::1")};
	const struct config_locals locals = {own, 2};
	static const struct {
		const char *listener;
		const char *target;
		bool loop;
	} rows[] = {
		{"443", "192.0.2.1:443", true},
		{"443", "[2001:db8::1]:443", true},
		{"443", "127.1.2.3:443", true},
		{"443", "[::1]:443", true},
		{"443", "192.0.2.1:444", false},
		{"443", "192.0.2.2:443", false},
		{"0.0.0.0:443", "192.0.2.1:443", true},
		{"0.0.0.0:443", "[2001:db8::1]:443", false},
		{"[::]:443", "[2001:db8::1]:443", true},
		{"[::]:443", "192.0.2.1:443", false},
		/* An address that is not up just now. */
		{"192.0.2.9:443", "192.0.2.9:443", true},
		{"192.0.2.9:443", "192.0.2.1:443", false},
		{"192.0.2.9:443", "127.0.0.1:443", false},
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct config config;
		struct error error;
		char text[256];
		int status;

		snprintf(text, sizeof(text),
			 "listen add %s\nroute add a.example %s\n",
			 rows[i].listener, rows[i].target);
		status = config_parse("F", text, strlen(text), &locals, &config,
				      &error);
		assert_int_equal(status, rows[i].loop ? -EINVAL : 0);
		if (!status)
			config_done(&config);
	}
}

/* ---- edits -------------------------------------------------------------- */

static const char base[] = "listen add 443\n"
			   "listen add 8443\n"
			   "set edge-hook tc --interface eth1\n"
			   "route add .a.example 10.0.0.1:443\n"
			   "route add c.example 10.0.0.1:444\n"
			   "route add default 10.0.0.1:443\n"
			   "route add c.example 10.0.0.1:443 --on 8443\n";

static void test_edits(void **state)
{
	static const struct {
		const char *line;
		const char *gone;
		const char *come;
		const char *before; /* the line that @come stands before */
	} rows[] = {
		{"route add b.example reject", "",
		 "route add b.example reject\n", "route add c.example"},
		{"route add none drop", "", "route add none drop\n",
		 "route add default"},
		{"route replace .a.example drop",
		 "route add .a.example 10.0.0.1:443\n",
		 "route add .a.example drop\n", "route add c.example"},
		{"route del c.example", "route add c.example 10.0.0.1:444\n",
		 "", ""},
		{"route del c.example --on 8443",
		 "route add c.example 10.0.0.1:443 --on 8443\n", "", ""},
		{"listen add 1.2.3.4:445", "", "listen add 1.2.3.4:445\n",
		 "listen add 8443"},
		{"listen del 443", "listen add 443\n", "", ""},
		{"set log off", "", "set log off\n", "set edge-hook"},
		{"set edge-hook xdp --interface eth0", "",
		 "set edge-hook xdp --interface eth0\n", "set edge-hook tc"},
		{"set edge-hook xdp --interface eth1",
		 "set edge-hook tc --interface eth1\n",
		 "set edge-hook xdp --interface eth1\n",
		 "route add .a.example"},
		{"set edge-hook default --interface eth1",
		 "set edge-hook tc --interface eth1\n", "", ""},
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		AUTO_CONFIG config = config_of(base);
		struct config_row row = row_of(rows[i].line);
		char expected[1024], *at;
		struct error error;

		if (config_edit(&config, &row, NULL, &error))
			fail_msg("%s: %s", rows[i].line, error.text);
		memcpy(expected, base, sizeof(base));
		at = strstr(expected, rows[i].gone);
		assert_non_null(at);
		memmove(at, at + strlen(rows[i].gone),
			strlen(at + strlen(rows[i].gone)) + 1);
		at = strstr(expected, rows[i].before);
		assert_non_null(at);
		memmove(at + strlen(rows[i].come), at, strlen(at) + 1);
		memcpy(at, rows[i].come, strlen(rows[i].come));
		assert_text(&config, expected);
	}
}

static void test_a_refused_edit_changes_nothing(void **state)
{
	static const struct {
		const char *line;
		int status;
		const char *sentence;
	} rows[] = {
		{"route add c.example 10.0.0.2", -EEXIST,
		 "\"c.example\" has a route already, to 10.0.0.1:444: `route "
		 "replace` changes it"},
		{"route add *.a.example drop", -EEXIST,
		 "\"*.a.example\" cannot stand beside \".a.example\", which "
		 "is there: both cover the names below"},
		{"route replace d.example drop", -ENOENT,
		 "there is no route \"d.example\""},
		{"route replace *.a.example drop", -ENOENT,
		 "there is no route \"*.a.example\""},
		{"route del *.a.example", -ENOENT,
		 "there is no route \"*.a.example\""},
		{"route del .a.example --on 8443", -ENOENT,
		 "there is no route \".a.example\" on listener 8443"},
		{"route add d.example drop --on 9443", -EINVAL,
		 "\"9443\" is no listener: `listen add 9443` makes it one"},
		{"route replace c.example 127.0.0.1:8443", -EINVAL,
		 "\"127.0.0.1:8443\" is our own listener 8443: connections for "
		 "\"c.example\" would run in a loop; its target is the "
		 "server's address and port"},
		{"listen add 443", -EEXIST,
		 "\"443\" is a listener already: 443"},
		{"listen add 10.0.0.1:444", -EINVAL,
		 "\"10.0.0.1:444\" is our own listener 10.0.0.1:444: "
		 "connections for \"c.example\" would run in a loop; its "
		 "target is the server's address and port"},
		{"listen del 444", -ENOENT, "there is no listener \"444\""},
		{"listen del 8443", -EBUSY,
		 "listener \"8443\" has 1 route of its own: `route del NAME "
		 "--on 8443` first"},
		{"set edge-hook default --interface eth0", -ENOENT,
		 "\"eth0\" has no edge-hook of its own"},
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		AUTO_CONFIG config = config_of(base);
		struct config_row row = row_of(rows[i].line);
		struct error error = {0};

		assert_int_equal(config_edit(&config, &row, NULL, &error),
				 rows[i].status);
		assert_string_equal(error.text, rows[i].sentence);
		assert_int_equal(error.status, EXIT_FAILED);
		assert_text(&config, base);
	}
}

/* Few rows behind many, many behind few: the order is the same. */
static void test_rows_that_were_added_find_their_places(void **state)
{
	(void)state;
	for (unsigned added = 1; added < 50; added++) {
		AUTO_CONFIG config;

		config_init(&config);
		for (unsigned i = 0; i < 50; i++) {
			/* The last ones first, and the first of all last. */
			unsigned number = i < 50 - added
						  ? i * 2 + 1
						  : (49 - i) * 37 % 50 * 2;
			char line[64];
			struct config_row row;

			snprintf(line, sizeof(line),
				 "route add n%03u.example drop", number);
			row = row_of(line);
			assert_int_equal(
				config_append_route(&config, &row.route), 0);
		}
		config_sort(&config);
		assert_int_equal(config.route_count, 50);
		for (unsigned i = 1; i < 50; i++)
			assert_true(config_compare_routes(&config.routes[i - 1],
							  &config.routes[i]) <
				    0);
	}
}

static void test_many_edits_keep_the_order(void **state)
{
	AUTO_CONFIG config = config_of("");
	char line[64];

	(void)state;
	/* 617 and 1000 have no common divisor: each number comes once. */
	for (unsigned i = 0; i < 1000; i++) {
		struct config_row row;

		snprintf(line, sizeof(line), "route add n%u.example drop",
			 i * 617 % 1000);
		row = row_of(line);
		assert_int_equal(config_edit(&config, &row, NULL, NULL), 0);
		assert_ptr_not_equal(config_find_route(&config, &row.route),
				     NULL);
	}
	assert_int_equal(config.route_count, 1000);
	for (size_t i = 1; i < config.route_count; i++)
		assert_true(config_compare_routes(&config.routes[i - 1],
						  &config.routes[i]) < 0);
}

/* ---- differences -------------------------------------------------------- */

static void print_difference(void *context, const struct config_row *before,
			     const struct config_row *after)
{
	char text[CONFIG_ROW_SIZE];
	FILE *out = context;

	config_row_format(after ? after : before, text);
	fprintf(out, "%c %s\n", !before ? '+' : after ? '~' : '-', text);
}

static void assert_diff(const char *before, const char *after,
			const char *expected, size_t count)
{
	AUTO_CONFIG old = config_of(before);
	AUTO_CONFIG new = config_of(after);
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(config_diff(&old, &new, print_difference, out), count);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

static void test_differences(void **state)
{
	(void)state;
	assert_diff(base, base, "", 0);
	assert_diff("", "listen add 1\nset log off\nroute add a.example drop\n",
		    "+ listen add 1\n"
		    "~ set log off\n"
		    "+ route add a.example drop\n",
		    3);
	assert_diff("listen add 1\nroute add a.example drop\n", "",
		    "- listen add 1\n- route add a.example drop\n", 2);
	assert_diff("set edge-hook tc --interface a\n"
		    "set edge-hook tc --interface b\n"
		    "set edge-hook tc --interface c\n",
		    "set edge-hook tc --interface c\n"
		    "set edge-hook xdp --interface b\n"
		    "set edge-hook tc --interface d\n",
		    "- set edge-hook tc --interface a\n"
		    "~ set edge-hook xdp --interface b\n"
		    "+ set edge-hook tc --interface d\n",
		    3);
	assert_diff("listen add 1 --accept-proxy 10.0.0.0/8\n"
		    "route add a.example drop\n"
		    "route add .b.example drop\n"
		    "route add c.example drop\n",
		    "listen add 1\n"
		    "route add b.example drop\n"
		    "route add *.b.example drop\n"
		    "route add c.example reject\n",
		    "~ listen add 1\n"
		    "- route add a.example drop\n"
		    "+ route add b.example drop\n"
		    "~ route add *.b.example drop\n"
		    "~ route add c.example reject\n",
		    5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_in_their_normal_form),
		cmocka_unit_test(test_whether_proxy_was_given_is_kept),
		cmocka_unit_test(test_faults_are_quoted_and_placed),
		cmocka_unit_test(test_a_bad_name_is_quoted_with_its_reason),
		cmocka_unit_test(test_the_longest_rows_fit),
		cmocka_unit_test(test_a_text_is_printed_in_order),
		cmocka_unit_test(test_what_is_printed_is_read_as_the_same),
		cmocka_unit_test(test_an_empty_text_is_an_empty_configuration),
		cmocka_unit_test(test_faults_name_file_line_and_column),
		cmocka_unit_test(test_a_nul_byte_is_a_fault),
		cmocka_unit_test(test_listeners_side_by_side),
		cmocka_unit_test(test_no_more_listeners_than_the_map_holds),
		cmocka_unit_test(test_no_more_hooks_than_there_is_room_for),
		cmocka_unit_test(test_a_target_that_is_a_listener_is_a_loop),
		cmocka_unit_test(test_edits),
		cmocka_unit_test(test_a_refused_edit_changes_nothing),
		cmocka_unit_test(test_rows_that_were_added_find_their_places),
		cmocka_unit_test(test_many_edits_keep_the_order),
		cmocka_unit_test(test_differences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
