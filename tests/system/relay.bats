#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The bytes of connections, their ends, and the agent's own: whatever the two
# ends do, each sees what it would see of the other without a router.

# shellcheck disable=SC2154 # set by what is loaded
load common
load router

setup_file() {
	file_lab --backends 3
	start_agent
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

# serves_nobody HOST - its server has seen the end of every connection.
serves_nobody() {
	[[ ! $(lab_exec "$1" ss -Htn state connected exclude time-wait \
		sport = :443) ]]
}

# seen_right HOST - end its traffic server, which has seen nothing wrong.
seen_right() {
	wait_until serves_nobody "$1"
	traffic_check "$1"
}

# serve NAME - the server of that name; its host is $server.
serve() {
	case $1 in
	one.test)
		server=backend1
		traffic_serve $server --expect-name one.test
		;;
	two.test)
		server=backend2
		traffic_serve $server --expect-proxy v2
		;;
	esac
}

# every_byte NAME OPTION... - of traffic connect, to the server of that name;
# both ends have to find every byte and every end right.
every_byte() {
	serve "$1"
	run -0 --separate-stderr traffic_connect --name "$@"
	jq -e '.completed > 0 and .failed == 0' <<<"$output"
	seen_right "$server"
}

# ---- bytes ------------------------------------------------------------------

@test "every shape, both families, sizes from nothing to 300 KB" {
	every_byte one.test --shape all --connections 400 \
		--size 0-300000 --stall 50
}

@test "every shape, behind PROXY to the backend" {
	every_byte two.test --shape all --connections 200 \
		--size 0-300000 --stall 50 --seed 2
}

@test "every shape, the hello in pieces, over records, before a greeting" {
	every_byte one.test --shape all --connections 100 \
		--size 0-20000 --stall 20 --segment 100 --records 40 \
		--hello-bytes 3000 --name-last --seed 3
}

@test "bulk both ways at once" {
	every_byte one.test --shape both --connections 4 \
		--concurrency 4 --size 30000000
	every_byte one.test --shape down,up --connections 4 \
		--concurrency 4 --size 30000000
}

@test "more connections at once than are common" {
	every_byte one.test --shape echo --connections 2000 \
		--concurrency 1000 --size 2000
}

@test "half-close both ways" {
	every_byte one.test --shape client-fin,server-fin \
		--connections 100 --size 0-200000
}

@test "RST becomes RST both ways" {
	every_byte one.test --shape client-reset,server-reset \
		--connections 100 --size 0-200000
	wait_for_flow end=reset-by-client
	wait_for_flow end=reset-by-backend
}

@test "what a server sends before it resets arrives first" {
	client <<-'END'
		for address in "192.0.2.1", "2001:db8:1::1":
		    c = connect(address).send(hello("reset.test"))
		    c.expect(b"three\n").send(b"reset").expect_reset()
	END
	wait_for_flow 'name=reset.test outcome=routed end=reset-by-backend'
}

# Both ends of it in the router: what one has sent has arrived when it resets.
@test "what waits for a slow reader when its peer resets arrives first, both ways" {
	routes <<<'route add local.test 127.0.0.1:9000 --datapath relay'
	client router <<-'END'
		listener = socket.socket()
		listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
		listener.bind(("127.0.0.1", 9000))
		listener.listen()
		data = os.urandom(200000)
		for backend_resets in True, False:
		    c = connect("192.0.2.1", receive_buffer=4096)
		    c.send(hello("local.test"))
		    b = Peer(listener.accept()[0])
		    b.expect(c.sent)
		    sender, reader = (b, c) if backend_resets else (c, b)
		    sender.send(data).wait_acked().reset()
		    reader.expect(data).expect_reset()
	END
	wait_for_flow 'name=local.test bytes_out=200000 end=reset-by-backend'
	wait_for_flow 'name=local.test end=reset-by-client'
}

@test "what nobody reads when its peer has reset is given up after half-close-timeout" {
	snictl set half-close-timeout 1s
	client <<-'END'
		c = connect("192.0.2.1").send(hello("silent.test"))
		c.sock.setblocking(False)
		try:
		    while True:
		        c.sock.send(bytes(1 << 16))
		except BlockingIOError:
		    pass
		wait_flows(1, name="silent.test")
		c.reset()
		wait_flows(0, name="silent.test")
	END
	wait_for_flow 'name=silent.test end=reset-by-client'
}

@test "a client's RST before the backend has answered is passed on" {
	client <<-'END'
		c = connect("192.0.2.1").send(hello("late.test"))
		wait_flows(1, phase="relay")
		c.reset()
		wait_flows(0)
	END
	wait_for_flow 'name=late.test outcome=routed end=reset-by-client'
	# The backend's socket is gone too: nothing is left of the connection.
	run -0 lab_exec backend3 ss -Htn sport = :444
	assert_output ''
}

# Without resets: a RST that is lost is never sent again.
@test "every other shape over wires that lose, double, delay and reorder" {
	lab_up --backends 2 \
		--impair client 'loss=1 dup=1 reorder=2 delay=2 jitter=1 seed=1' \
		--impair backend2 'loss=1 dup=1 reorder=2 delay=2 jitter=1 seed=2'
	start_agent
	routes <<<'route add two.test 198.51.100.12:443 --proxy v2'
	every_byte two.test --connections 100 --size 0-50000 --stall 50 \
		--shape echo,down,up,both,immediate,client-fin,server-fin,client-stall,server-stall,bytes,eager,burst
}

# ---- a stalled reader -------------------------------------------------------

# memory - of the agent's worker, in KiB.
memory() {
	awk '/^VmRSS/ { print $2 }' "/proc/$(pgrep -P "$agent")/status"
}

# ticks - the worker's CPU time so far, in hundredths of a second.
ticks() {
	sed 's/.*) //' "/proc/$(pgrep -P "$agent")/stat" |
		awk '{ print $12 + $13 }'
}

@test "stalled reader: the sender is held up, no memory grows" {
	local before
	before=$(memory)
	# A backend and a client that take nothing; the senders have 100 MB.
	run -0 client <<-'END'
		up = [connect("192.0.2.1").send(hello("silent.test"))
		      for i in range(20)]
		taken = 0
		for c in up:
		    c.sock.setblocking(False)
		quiet = 0
		while quiet < 5:
		    # Until nobody has taken a byte for a while.
		    quiet += 1
		    for c in up:
		        try:
		            while count := c.sock.send(bytes(1 << 16)):
		                taken += count
		                quiet = 0
		        except BlockingIOError:
		            pass
		    time.sleep(0.1)
		print(taken // len(up))
	END
	# What four socket buffers and a pipe hold, as the kernel sizes them.
	local bound
	bound=$(awk '{ sum += 2 * $3 } END { print sum + 1048576 }' \
		/proc/sys/net/ipv4/tcp_rmem /proc/sys/net/ipv4/tcp_wmem)
	((output > 65536 && output < bound))
	snictl flow kill --name silent.test
	(($(memory) - before < 4096))
}

@test "stalled reader: it gets every byte when it goes on, others are not held up" {
	serve one.test
	lab_start --log stall.log client "$build/tests/tools/traffic" connect \
		--to 192.0.2.1:443 --to '[2001:db8:1::1]:443' --name one.test \
		--shape client-stall --stall signal \
		--connections 10 --concurrency 10 --size 30000000
	local stalled=$started before
	wait_until grep -qx parked "$lab_path/log/stall.log"
	before=$(ticks)
	every_byte two.test --shape echo --connections 1 --size 10000 \
		--message 100 --pace 20000
	# That took a second or more; a spinning thread would have used it up.
	(($(ticks) - before < 30))
	kill -USR1 "$stalled"
	wait_until grep -q '"failed": 0' "$lab_path/log/stall.log"
	seen_right backend1
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
	run -0 wait_for_flow "id=$number client=192.0.2.10:$(<"$BATS_TEST_TMPDIR/port") local=192.0.2.1:443 listener=443 name=a.test alpn=h2,http/1.1 outcome=routed route=a.test target=198.51.100.13:443 proxy=off datapath=relay bytes_in=1000 bytes_out=1006 packets_in=$number packets_out=$number hello_ms=$ms connect_ms=$ms life_ms=$ms end=closed"
	# Nothing else is in it.
	assert_equal "$(wc -w <<<"$output")" 20
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
		sh -c '"$@"; echo "exit status $?"' sh "$build/snictld"
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

@test "the worker dies: another serves, from the same routes" {
	local worker
	own_agent
	# The kernel ends what the dead one had open.
	hold <<<'c.expect_fin()'
	worker=$(pgrep -P "$agent")
	kill -KILL "$worker"
	release
	wait_until agent_answers
	serves
	grep 'the worker died of signal 9' "$agent_log"
	[[ $(pgrep -P "$agent") != "$worker" ]]
	kill -INT "$agent"
	exits 0
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
