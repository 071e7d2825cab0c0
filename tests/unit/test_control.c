// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../../userspace/control.h"

/* Longer than the 108 bytes of sun_path. */
#define LONG_NAME                                                              \
	"a-run-directory-whose-path-does-not-fit-into-the-address-of-a-Unix-"  \
	"socket-because-tests-have-such"

/** struct fixture - a run directory of its own, and an agent in it. */
struct fixture {
	char base[32];
	char run_dir[160];
	struct paths paths;
	struct error error;
	int listening;
	const char *answer;
	char request[256];
	pthread_t agent;
};

static int begin(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture)
		return -1;
	*state = fixture;
	snprintf(fixture->base, sizeof(fixture->base),
		 "/tmp/snictl-test.XXXXXX");
	if (!mkdtemp(fixture->base))
		return -1;
	snprintf(fixture->run_dir, sizeof(fixture->run_dir), "%s/" LONG_NAME,
		 fixture->base);
	fixture->paths.run_dir = fixture->run_dir;
	fixture->listening = -1;
	return 0;
}

static int end(void **state)
{
	struct fixture *fixture = *state;
	char socket[192];

	if (fixture->listening >= 0)
		close(fixture->listening);
	snprintf(socket, sizeof(socket), "%s/control", fixture->run_dir);
	unlink(socket);
	rmdir(fixture->run_dir);
	rmdir(fixture->base);
	free(fixture);
	return 0;
}

/* ---- an agent that answers once -------------------------------------------
 */

static void *answer_once(void *context)
{
	struct fixture *fixture = context;
	struct pollfd poll_fd = {fixture->listening, POLLIN, 0};
	int fd;

	poll(&poll_fd, 1, 10000);
	fd = accept(fixture->listening, NULL, NULL);
	if (recv(fd, fixture->request, sizeof(fixture->request) - 1, 0) > 0 &&
	    fixture->answer)
		send(fd, fixture->answer, strlen(fixture->answer), 0);
	close(fd);
	return NULL;
}

static int call(struct fixture *fixture, const char *answer, json_t **ret_json)
{
	json_auto_t *request = json_pack("{s:s}", "command", "status");
	int ret;

	fixture->answer = answer;
	if (fixture->listening < 0)
		assert_int_equal(control_listen(&fixture->paths,
						&fixture->listening,
						&fixture->error),
				 0);
	pthread_create(&fixture->agent, NULL, answer_once, fixture);
	ret = control_call(&fixture->paths, request, CONTROL_PATIENCE_S,
			   ret_json, &fixture->error);
	pthread_join(fixture->agent, NULL);
	return ret;
}

/* ---- tests ----------------------------------------------------------------
 */

static void test_an_answer_arrives(void **state)
{
	struct fixture *fixture = *state;
	json_auto_t *answer = NULL;

	assert_int_equal(call(fixture, "{\"ok\": true, \"pid\": 7}", &answer),
			 0);
	assert_string_equal(fixture->request, "{\"command\":\"status\"}");
	assert_int_equal(json_integer_value(json_object_get(answer, "pid")), 7);
}

static void test_the_longest_answer_arrives(void **state)
{
	struct fixture *fixture = *state;
	json_auto_t *answer = NULL;
	char *text = malloc(CONTROL_MESSAGE_MAX + 2);

	memset(text, ' ', CONTROL_MESSAGE_MAX + 1);
	memcpy(text, "{\"ok\": true}", 12);
	text[CONTROL_MESSAGE_MAX] = '\0';
	assert_int_equal(call(fixture, text, &answer), 0);
	json_decref(answer);
	answer = NULL;
	text[CONTROL_MESSAGE_MAX] = ' ';
	text[CONTROL_MESSAGE_MAX + 1] = '\0';
	assert_int_equal(call(fixture, text, &answer), -EMSGSIZE);
	free(text);
}

static void test_a_refusal_is_an_error_with_its_sentence(void **state)
{
	struct fixture *fixture = *state;
	json_t *answer = NULL;

	assert_int_equal(
		call(fixture, "{\"error\": \"no such thing\"}", &answer),
		-EREMOTEIO);
	assert_string_equal(fixture->error.text,
			    "the agent says: no such thing");
	assert_null(answer);
}

static void test_no_answer_and_a_bad_one_are_errors(void **state)
{
	struct fixture *fixture = *state;
	json_t *answer = NULL;

	assert_int_equal(call(fixture, NULL, &answer), -ECONNRESET);
	assert_int_equal(call(fixture, "{\"ok\": tr", &answer), -EPROTO);
	assert_int_equal(call(fixture, "[]", &answer), -EREMOTEIO);
	assert_null(answer);
}

static void test_without_an_agent_the_connection_is_refused(void **state)
{
	struct fixture *fixture = *state;
	json_auto_t *request = json_object();
	json_t *answer = NULL;

	/* No run directory; then one whose agent has died. */
	assert_int_equal(control_call(&fixture->paths, request,
				      CONTROL_PATIENCE_S, &answer,
				      &fixture->error),
			 -ECONNREFUSED);
	assert_non_null(strstr(fixture->error.text, fixture->run_dir));
	assert_int_equal(
		control_listen(&fixture->paths, &fixture->listening, NULL), 0);
	close(fixture->listening);
	fixture->listening = -1;
	assert_int_equal(control_call(&fixture->paths, request,
				      CONTROL_PATIENCE_S, &answer,
				      &fixture->error),
			 -ECONNREFUSED);
	assert_null(answer);
}

static void test_one_run_directory_has_one_agent(void **state)
{
	struct fixture *fixture = *state;
	int second = -1;

	assert_int_equal(
		control_listen(&fixture->paths, &fixture->listening, NULL), 0);
	assert_int_equal(
		control_listen(&fixture->paths, &second, &fixture->error),
		-EADDRINUSE);
	assert_int_equal(second, -1);
	assert_non_null(strstr(fixture->error.text, "--run-dir"));
	/* What a dead agent left behind is replaced. */
	close(fixture->listening);
	assert_int_equal(
		control_listen(&fixture->paths, &fixture->listening, NULL), 0);
}

static void test_the_socket_is_for_its_owner_only(void **state)
{
	struct fixture *fixture = *state;
	char path[192];
	struct stat status;

	assert_int_equal(
		control_listen(&fixture->paths, &fixture->listening, NULL), 0);
	snprintf(path, sizeof(path), "%s/control", fixture->run_dir);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_an_answer_arrives),
		TEST(test_the_longest_answer_arrives),
		TEST(test_a_refusal_is_an_error_with_its_sentence),
		TEST(test_no_answer_and_a_bad_one_are_errors),
		TEST(test_without_an_agent_the_connection_is_refused),
		TEST(test_one_run_directory_has_one_agent),
		TEST(test_the_socket_is_for_its_owner_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
