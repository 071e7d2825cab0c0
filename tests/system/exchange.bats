#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Requests on port 80 that are under way when the worker dies, or is upgraded.

# shellcheck disable=SC2154 # set by what is loaded
load common
load cli
load router
load survival

setup() {
	lab_up --backends 2
	start_peer backend2 tls
	lab_start --log http.log backend1 env \
		HTTP_PEER_LOG="$lab_path/log/requests" \
		"$BATS_TEST_DIRNAME/http_peer.py" serve one
	wait_until grep -qx ready "$lab_path/log/http.log"
	snictld=$lab_path/snictld
	install_program "$build/snictld"
	start_agent
	routes <<-'END'
		listen add 443
		listen add 80 --http
		route add one.test 198.51.100.11:443 --http proxy
		route add tls.test 198.51.100.12:443
	END
	: >"$lab_path/log/requests"
	go=$lab_path/run/go
	mkfifo "$go"
	before=$(left_behind)
}

# ask METHOD [BODY] - in the background, of a backend that answers when told
# to; a second request stands behind the first. What comes goes to a file.
ask() {
	cat >"$lab_path/run/ask.py" <<-END
		from peer import *
		c = connect("192.0.2.1", port=80)
		body = b"$2"
		c.send(b"$1 /slow?$go HTTP/1.1\r\nHost: one.test\r\n"
		       b"Content-Length: %d\r\n\r\n" % len(body) + body
		       + b"GET /behind HTTP/1.1\r\nHost: one.test\r\n\r\n")
		head, got = c.read_all().split(b"\r\n\r\n", 1)
		equal(head.split(b"\r\n")[0], b"HTTP/1.1 200 OK")
		equal(got, b"a" * 500 + b"b" * 500 + body)
		print("whole", flush=True)
	END
	lab_start --log asked.log client python3 "$lab_path/run/ask.py"
	wait_until asked "$1 /slow"
}

asked() {
	grep -F "$1" "$lab_path/log/requests"
}

# tell - the backend may go on.
tell() {
	echo >"$go"
}

half_an_answer() {
	snictl flow list --json | jq -e '.[] | select(.bytes_out > 500)'
}

is_answered() {
	grep -qx whole "$lab_path/log/asked.log"
}

# all_right - it is, and nothing else was asked; and nothing is left over.
all_right() {
	wait_until is_answered
	wait_until nothing_is_left
	wait_until asked over
	refute asked extra
	refute asked /behind
}

@test "at every step" {
	local point
	stop_agent
	mkdir "$lab_path/run/crash"
	snictld=$build/crashing/snictld
	export SNICTL_CRASH=$lab_path/run/crash
	start_agent
	before=$(left_behind)
	for point in accepted recorded socket socket-recorded connecting \
		connected preface preface-sent preface-over told told-sent \
		closing closed; do
		: >"$SNICTL_CRASH/$point"
		client <<-'END'
			def ask(head, behind=b""):
			    c = connect("192.0.2.1", port=80)
			    return c.send(head + b" HTTP/1.1\r\nHost: one.test\r\n"
			                  b"\r\n" + behind)
			c = ask(b"GET /large", b"GET /behind HTTP/1.1\r\n\r\n")
			head, got = c.read_all().split(b"\r\n\r\n")
			equal(got == bytes(range(256)) * 32768, True)
			c = ask(b"HEAD /head")
			equal(c.read_all().split(b"\r\n")[0], b"HTTP/1.1 200 OK")
		END
		[[ ! -e $SNICTL_CRASH/$point ]]
	done
	for point in told told-sent; do
		: >"$SNICTL_CRASH/$point"
		run -0 get /hints --include
		assert_equal "$(grep -c '^HTTP/' <<<"$output")" 2
		assert_line hinted
		[[ ! -e $SNICTL_CRASH/$point ]]
		: >"$SNICTL_CRASH/$point"
		run -0 get /echo --data body
		assert_output --partial body
		[[ ! -e $SNICTL_CRASH/$point ]]
	done
	wait_until nothing_is_left
	refute asked /behind
	refute asked extra
}

@test "the worker dies before the response, and within it" {
	ask GET
	die
	die
	tell
	wait_until half_an_answer
	die
	die
	tell
	all_right
}

# upload - half of a request is sent, as c; standard input goes on with it, in
# the background.
upload() {
	{
		printf 'c = connect("192.0.2.1", port=80)\n'
		printf 'c.send(b"POST /echo HTTP/1.1\\r\\nHost: one.test\\r\\n"'
		printf 'b"Content-Length: 10\\r\\n\\r\\n12345")\n'
		cat
	} | client >"$lab_path/log/upload.log" &
	uploading=$!
	wait_until asked 'POST /echo'
}

# leaves - begin an upgrade, in the background.
leaves() {
	install_program "$build/next/snictld"
	snictl upgrade >"$lab_path/log/upgrade.log" 2>&1 &
	upgrading=$!
}

# waiting PORT - a connection waits in the backlog of that port.
waiting() {
	lab_exec router ss -Hltn "sport = :$1" |
		awk '{ n += $2 } END { exit !n }'
}

get() {
	lab_exec client curl --silent --show-error --max-time "$PATIENCE" \
		--resolve '*:80:192.0.2.1' "http://one.test$1" "${@:2}"
}

@test "an upgrade: the response goes on" {
	ask GET
	tell
	wait_until half_an_answer
	leaves
	wait "$upgrading"
	tell
	all_right
}

@test "an upgrade lets a request come to its end, and begins none meanwhile" {
	local worker next
	worker=$(worker)
	upload <<-END
		d = connect("192.0.2.1", port=80).send(b"GET /echo HTTP/1.1\r\n")
		open("$go").readline()
		c.send(b"67890")
		d.send(b"Host: one.test\r\n\r\n")
		for one, end in (c, b"1234567890"), (d, b"\r\n\r\n"):
		    got = one.read_all()
		    equal((got[:15], got[-len(end):]), (b"HTTP/1.1 200 OK", end))
	END
	leaves
	wait_until grep -F '1 that are sent may end' "$agent_log"
	get /echo >"$lab_path/log/get.log" &
	next=$!
	wait_until waiting 80
	client <<<'connect("192.0.2.1").send(hello("tls.test")).expect_backend("tls")'
	assert_equal "$(worker)" "$worker"
	refute asked 'GET /echo'
	tell
	wait "$upgrading"
	wait "$next"
	wait "$uploading"
}

@test "an upgrade does not wait for ever" {
	snictl set drain-timeout 100ms
	upload <<<'c.expect_reset()'
	leaves
	wait "$upgrading"
	wait "$uploading"
	wait_for_flow 'end=worker-died'
	wait_until nothing_is_left
}

@test "the worker dies within a request's body: it is reset" {
	upload <<<'c.expect_reset()'
	die
	wait "$uploading"
	wait_until nothing_is_left
}
