// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * handshake ADDRESS PORT NAME CONCURRENCY SECONDS: new TLS 1.3 connections,
 * each with a full handshake, a GET, and an answer that is checked byte by
 * byte (BODY_BYTES of BODY_BYTE, as the bench has written it). Prints what it
 * did as JSON; exit status 0: nothing failed, and something was done.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BODY_BYTES 1024
#define BODY_BYTE 'x'
#define ANSWER_MAX 4096
#define EVENTS_MAX 64
/* Without progress for so long, it is over. */
#define PATIENCE_MS 10000

static const char request[] = "GET /body HTTP/1.0\r\n\r\n";

enum stage {
	STAGE_HANDSHAKE,
	STAGE_REQUEST,
	STAGE_ANSWER
};

struct client {
	int fd;
	SSL *ssl;
	enum stage stage;
	size_t length;
	char answer[ANSWER_MAX];
};

/** struct bench - what all clients share. */
struct bench {
	SSL_CTX *context;
	int epoll;
	struct sockaddr_in to;
	const char *name;
	unsigned active;
	uint64_t completed;
	uint64_t failed;
};

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void die(const char *what)
{
	fprintf(stderr, "handshake: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void begin(struct bench *bench, struct client *client)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET,
				    .data.ptr = client};
	int one = 1;

	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (client->fd < 0)
		die("socket");
	setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(client->fd, (struct sockaddr *)&bench->to,
		    sizeof(bench->to)) &&
	    errno != EINPROGRESS)
		die("connect");
	client->stage = STAGE_HANDSHAKE;
	client->length = 0;
	client->ssl = SSL_new(bench->context);
	if (!client->ssl || !SSL_set_fd(client->ssl, client->fd) ||
	    !SSL_set_tlsext_host_name(client->ssl, bench->name))
		die("SSL_new");
	SSL_set_connect_state(client->ssl);
	if (epoll_ctl(bench->epoll, EPOLL_CTL_ADD, client->fd, &event))
		die("epoll_ctl");
	bench->active++;
}

static bool answer_is_right(const struct client *client)
{
	static const char status[] = "HTTP/1.1 200 ";
	const char *body =
		memmem(client->answer, client->length, "\r\n\r\n", 4);

	if (!body || strncmp(client->answer, status, sizeof(status) - 1) != 0)
		return false;
	body += 4;
	if (client->answer + client->length - body != BODY_BYTES)
		return false;
	for (size_t i = 0; i < BODY_BYTES; i++) {
		if (body[i] != BODY_BYTE)
			return false;
	}
	return true;
}

static void finish(struct bench *bench, struct client *client, bool right)
{
	if (right)
		bench->completed++;
	else
		bench->failed++;
	if (!right && bench->failed <= 3)
		fprintf(stderr,
			"handshake: failed at stage %u, %zu bytes: %s\n",
			(unsigned)client->stage, client->length,
			ERR_reason_error_string(ERR_peek_last_error()));
	ERR_clear_error();
	SSL_free(client->ssl);
	close(client->fd);
	bench->active--;
}

/* Return: 1 done, 0 wait for the socket, -1 failed. */
static int step(struct client *client)
{
	int done = -1;

	switch (client->stage) {
	case STAGE_HANDSHAKE:
		done = SSL_do_handshake(client->ssl);
		if (done == 1)
			client->stage = STAGE_REQUEST;
		break;
	case STAGE_REQUEST:
		done = SSL_write(client->ssl, request, sizeof(request) - 1);
		if (done > 0)
			client->stage = STAGE_ANSWER;
		break;
	case STAGE_ANSWER:
		done = SSL_read(client->ssl, client->answer + client->length,
				(int)(ANSWER_MAX - client->length));
		if (done > 0)
			client->length += (size_t)done;
		break;
	}
	if (done > 0)
		return 1;
	done = SSL_get_error(client->ssl, done);
	return done == SSL_ERROR_WANT_READ || done == SSL_ERROR_WANT_WRITE ? 0
									   : -1;
}

static void run(struct bench *bench, struct client *client)
{
	int more;

	do {
		more = step(client);
	} while (more > 0 && client->length < ANSWER_MAX);
	if (more)
		finish(bench, client,
		       client->stage == STAGE_ANSWER &&
			       SSL_get_shutdown(client->ssl) &&
			       answer_is_right(client));
}

static void run_all(struct bench *bench, struct client *clients,
		    unsigned concurrency, double end_s)
{
	struct epoll_event events[EVENTS_MAX];

	for (unsigned i = 0; i < concurrency; i++)
		begin(bench, &clients[i]);
	while (bench->active) {
		int count = epoll_wait(bench->epoll, events, EVENTS_MAX,
				       PATIENCE_MS);

		if (count <= 0) {
			bench->failed += bench->active;
			return;
		}
		for (int i = 0; i < count; i++) {
			struct client *client = events[i].data.ptr;
			unsigned before = bench->active;

			run(bench, client);
			if (bench->active < before && now_s() < end_s)
				begin(bench, client);
		}
	}
}

int main(int argc, char **argv)
{
	struct bench bench = {.to.sin_family = AF_INET};
	unsigned long concurrency, port;
	struct client *clients;
	double begin_s, seconds;

	if (argc != 6 || inet_pton(AF_INET, argv[1], &bench.to.sin_addr) != 1) {
		fprintf(stderr, "handshake ADDRESS PORT NAME CONCURRENCY "
				"SECONDS\n");
		return 2;
	}
	port = strtoul(argv[2], NULL, 10);
	concurrency = strtoul(argv[4], NULL, 10);
	seconds = strtod(argv[5], NULL);
	bench.to.sin_port = htons((uint16_t)port);
	bench.name = argv[3];
	bench.context = SSL_CTX_new(TLS_client_method());
	bench.epoll = epoll_create1(0);
	clients = calloc(concurrency, sizeof(*clients));
	if (!port || port > 65535 || !concurrency || !bench.context ||
	    bench.epoll < 0 || !clients)
		die("starting");
	SSL_CTX_set_min_proto_version(bench.context, TLS1_3_VERSION);
	SSL_CTX_set_session_cache_mode(bench.context, SSL_SESS_CACHE_OFF);
	begin_s = now_s();
	run_all(&bench, clients, (unsigned)concurrency, begin_s + seconds);
	printf("{\"completed\": %llu, \"failed\": %llu, \"empty\": 0, "
	       "\"seconds\": %.6f}\n",
	       (unsigned long long)bench.completed,
	       (unsigned long long)bench.failed, now_s() - begin_s);
	return bench.failed || !bench.completed;
}
