#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The log of connections, and the agent's own end. What moves the bytes is
# tested by moves-*.bats.

# shellcheck disable=SC2154 # set by what is loaded
load common
load router
load survival

setup_file() {
	file_lab --backends 3
	start_agent --datapath relay
	start_peer backend3 three
}

setup() {
	routes <<-'END'
		route add one.test 198.51.100.11:443 --datapath relay
		route add two.test 198.51.100.12:443 --datapath relay --proxy v2
		route add a.test 198.51.100.13:443 --datapath relay
		route add late.test 198.51.100.13:444 --datapath relay
		route add reset.test 198.51.100.13:446 --datapath relay
		route add silent.test 198.51.100.13:447 --datapath relay
	END
}

# ---- the log ----------------------------------------------------------------

@test "log: every field of the line, as text" {
	client <<-'END'
		first = hello("a.test", alpn=["h2", "http/1.1"])
		c = connect("192.0.2.1").send(first + bytes(1000 - len(first)))
		c.expect_backend("three").fin().expect_fin()
		open(os.environ["BATS_TEST_TMPDIR"] + "/port", "w") \
		    .write(str(c.name()[1]))
	END
	local number='[0-9]+' ms='[0-9]+\.[0-9]'
	run -0 wait_for_flow "id=$number client=192.0.2.10:$(<"$BATS_TEST_TMPDIR/port") local=192.0.2.1:443 listener=443 name=a.test alpn=h2,http/1.1 outcome=routed http=- route=a.test target=198.51.100.13:443 proxy=off datapath=relay bytes_in=1000 bytes_out=1006 packets_in=$number packets_out=$number hello_ms=$ms connect_ms=$ms life_ms=$ms end=closed"
	# Nothing else is in it.
	assert_equal "$(wc -w <<<"$output")" 21
}

@test "log: every field of the line, as JSON" {
	snictl set log json
	client <<-'END'
		first = hello("a.test", alpn=["h2"])
		c = connect("2001:db8:1::1").send(first + bytes(1000 - len(first)))
		c.expect_backend("three").fin().expect_fin()
		connect("192.0.2.1").send(hello("b.test")).expect_alert(112)
	END
	wait_until grep -q unknown-name <(news)
	run -0 jq -c 'del(.id, .hello_ms, .connect_ms, .life_ms, .packets_in,
		.packets_out) | .client |= sub(":[0-9]+$"; "")' <(news)
	assert_line --index 0 '{"client":"[2001:db8:1::10]","local":"[2001:db8:1::1]:443","listener":"443","name":"a.test","alpn":"h2","outcome":"routed","route":"a.test","target":"198.51.100.13:443","proxy":"off","datapath":"relay","bytes_in":1000,"bytes_out":1006,"end":"closed"}'
	assert_line --index 1 '{"client":"192.0.2.10","local":"192.0.2.1:443","listener":"443","name":"b.test","outcome":"unknown-name","proxy":"off","bytes_in":0,"bytes_out":0,"end":"refused"}'
	run -0 jq -s 'all(.id > 0 and .life_ms >= 0 and .hello_ms >= 0) and
		.[0].packets_in > 2 and .[0].packets_out > 2 and
		.[0].id < .[1].id' <(news)
	assert_output true
}

@test "log: what a client chose cannot forge a line" {
	client <<-'END'
		for alpn in ['a b'], ['x" end="'], ["x\ny"], ["\\", "h2"]:
		    c = connect("192.0.2.1").send(hello("a.test", alpn=alpn))
		    c.expect_backend("three").fin().expect_fin()
	END
	wait_for_flow 'alpn=a\?b outcome=routed'
	wait_for_flow 'alpn=x\?\?end=\? outcome=routed'
	wait_for_flow 'alpn=x\?y outcome=routed'
	wait_for_flow 'alpn=\?,h2 outcome=routed'
}

@test "log: off" {
	snictl set log off
	client <<-'END'
		connect("192.0.2.1").send(hello("b.test")).expect_alert(112).fin()
		wait_flows(0, name="b.test")
	END
	snictl set log text
	client <<<'connect("192.0.2.1").send(hello("c.test")).expect_alert(112)'
	wait_for_flow name=c.test
	run ! flow_line name=b.test
}

# ---- the agent's end --------------------------------------------------------

# own_agent - a lab of the test's own, and in it an agent whose exit status the
# log shows. Its pid is $agent.
own_agent() {
	lab_up --backends 1
	start_peer backend1 one
	export agent_log=$lab_path/log/agent.log
	again_agent
	routes <<<'route add a.test 198.51.100.11:443'
	mkfifo "$BATS_TEST_TMPDIR/go"
}

again_agent() {
	# shellcheck disable=SC2016 # the inner shell's
	lab_start --log agent.log router \
		sh -c '"$@"; echo "exit status $?"' \
		sh "$build/snictld" --datapath relay
	wait_until agent_answers
	agent=$(pgrep -P "$started")
}

# exits STATUS - the agent does.
exits() {
	wait_until grep -qx "exit status $1" "$agent_log"
}

# hold SCRIPT - in the background: a flow is held until release; then SCRIPT
# is run.
hold() {
	local script=$BATS_TEST_TMPDIR/hold.py
	{
		cat <<-END
			from peer import *
			c = connect("192.0.2.1").send(hello("a.test"))
			c.expect_backend("one")
			print("held", flush=True)
			open("$BATS_TEST_TMPDIR/go").readline()
		END
		cat
		echo 'print("right")'
	} >"$script"
	rm -f "$lab_path/log/hold.log"
	lab_start --log hold.log client python3 "$script"
	wait_until grep -qx held "$lab_path/log/hold.log"
}

release() {
	echo >"$BATS_TEST_TMPDIR/go"
	wait_until grep -qx right "$lab_path/log/hold.log"
}

refuses_connections() {
	! lab_exec client python3 -c \
		'import socket; socket.create_connection(("192.0.2.1", 443))'
}

serves() {
	client <<<'connect("192.0.2.1").send(hello("a.test")).expect_backend("one")'
}

@test "SIGTERM: no new connections, flows may end, then exit status 0" {
	own_agent
	hold <<<'c.send(b"still").expect(b"still").fin().expect_fin()'
	kill -TERM "$agent"
	wait_until refuses_connections
	run snictl status
	assert_output --partial drain
	release
	exits 0
	wait_for_flow 'name=a.test end=closed'
}

@test "SIGTERM: after drain-timeout flows are reset" {
	own_agent
	snictl set drain-timeout 500ms
	hold <<<'c.expect_reset()'
	kill -TERM "$agent"
	exits 0
	release
}

@test "SIGTERM twice ends at once" {
	own_agent
	hold <<<'c.expect_reset()'
	kill -TERM "$agent"
	wait_until refuses_connections
	kill -TERM "$agent"
	exits 0
	release
}

@test "SIGINT ends at once" {
	own_agent
	hold <<<'c.expect_reset()'
	kill -INT "$agent"
	exits 0
	release
}

@test "the worker dies: another serves, with the same routes and flows" {
	local worker
	own_agent
	hold <<<'c.send(b"still").expect(b"still").fin().expect_fin()'
	worker=$(pgrep -P "$agent")
	kill -KILL "$worker"
	wait_until next_worker "$worker"
	release
	wait_for_flow 'name=a.test end=closed'
	serves
	grep 'the worker died of signal 9' "$agent_log"
	kill -INT "$agent"
	exits 0
}

# is_patient - a thread of the worker is, with what it moves.
is_patient() {
	chrt -ap "$(snictl status --json | jq -e .agent.pid)" |
		grep -q SCHED_BATCH
}

is_hasty() {
	! is_patient
}

# patient_or_over - which of the two is first. What is seen once counts: of a
# busy machine a thread may have too little the next moment.
patient_or_over() {
	if is_patient; then
		echo patient
	else
		nobody_is "$bulk"
	fi
}

@test "a thread that moves much lets others go on first, and then no more" {
	local bulk seen
	traffic_serve backend1
	: >"$lab_path/log/bulk.log"
	lab_start --log bulk.log client "$build/tests/tools/traffic" connect \
		--to 192.0.2.1:443 --name one.test --shape down \
		--size unlimited --seconds 10
	bulk=$started
	seen=$(wait_until patient_or_over)
	lab_stop "$bulk"
	wait_until is_hasty
	traffic_check backend1
	# It begins at 420 MB/s; less than that is a slow machine.
	jq -e '.bytes_per_second < 500000000' "$lab_path/log/bulk.log" ||
		[[ $seen == patient ]]
	[[ $seen == patient ]] || skip "this machine moves too little"
}

@test "urgent data: what comes behind it does not wait for more" {
	local worker
	own_agent
	worker=$(pgrep -P "$agent")
	client <<-END
		c = connect("192.0.2.1").send(hello("a.test"))
		c.expect_backend("one")

		def send_urgent(size):
		    c.sock.sendall(b"before" * size)
		    c.sock.send(b"!", socket.MSG_OOB)
		    c.sock.sendall(b"behind" * size)

		# All of it waits; then it comes in bulk.
		for size in (1, 1000, 5000):
		    os.kill($worker, signal.SIGSTOP)
		    send_urgent(size)
		    os.kill($worker, signal.SIGCONT)
		    c.expect(b"before" * size + b"behind" * size)
		# The end comes right behind it.
		def send_all():
		    send_urgent(1000000)
		    c.fin()

		sender = threading.Thread(target=send_all)
		sender.start()
		c.expect(b"before" * 1000000 + b"behind" * 1000000)
		sender.join()
		c.expect_fin()
	END
	kill -INT "$agent"
	exits 0
}

@test "the worker dies: who connects meanwhile waits, and is served" {
	local worker before
	own_agent
	serves
	before=$(descriptors)
	worker=$(pgrep -P "$agent")
	for _ in 1 2 3 4; do
		kill -STOP "$worker"
		waiting_are_served "$worker"
		wait_until next_worker "$worker"
		worker=$(pgrep -P "$agent")
	done
	wait_until test "$(descriptors)" = "$before"
	serves
}

@test "the worker hangs: it is killed, and another serves" {
	local worker
	own_agent
	worker=$(pgrep -P "$agent")
	kill -STOP "$worker"
	serves
	grep 'the worker hangs' "$agent_log"
	grep 'the worker died of signal 9' "$agent_log"
	[[ $(pgrep -P "$agent") != "$worker" ]]
}

@test "the main process dies: nobody keeps the ports" {
	local worker
	own_agent
	worker=$(pgrep -P "$agent")
	kill -KILL "$agent"
	exits 137
	wait_until refuses_connections
	wait_until test ! -e "/proc/$worker"
	again_agent
	serves
}
