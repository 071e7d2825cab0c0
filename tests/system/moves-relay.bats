#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The bytes of connections and their ends: whatever the two ends do, each sees
# what it would see of the other without a router. The same tests for every
# data path: which one is in the name by which this file is run.

# shellcheck disable=SC2154 # set by what is loaded
load common
load router

datapath=${BATS_TEST_FILENAME##*-}
datapath=${datapath%.bats}

setup_file() {
	file_lab --backends 3
	start_agent --datapath "$datapath"
	start_peer backend3 three
}

setup() {
	routes <<-'END'
		route add one.test 198.51.100.11:443
		route add two.test 198.51.100.12:443 --proxy v2
		route add late.test 198.51.100.13:444
		route add reset.test 198.51.100.13:446
		route add silent.test 198.51.100.13:447
	END
	is_on || skip "the data path $datapath is off: $(why_off)"
}

# is_on - this kernel has the data path; CI has a kernel that has them all.
is_on() {
	snictl status --json |
		jq -e --arg name "$datapath" '.datapaths[] | select(.name == $name).on'
}

why_off() {
	snictl status --json |
		jq -r --arg name "$datapath" '.datapaths[] | select(.name == $name).why'
}

# was_taken - connections went by the data path.
was_taken() {
	flow_line "datapath=$datapath" >/dev/null
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
	was_taken
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
	was_taken
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
	routes <<<'route add local.test 127.0.0.1:9000'
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
	local phase=relay
	[[ $datapath != sockmap ]] || phase=kernel
	[[ $datapath != splice ]] || phase=spliced
	client <<-END
		c = connect("192.0.2.1").send(hello("late.test"))
		wait_flows(1, phase="$phase")
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
	start_agent --datapath "$datapath"
	routes <<<'route add two.test 198.51.100.12:443 --proxy v2'
	every_byte two.test --connections 100 --size 0-50000 --stall 50 \
		--shape echo,down,up,both,immediate,client-fin,server-fin,client-stall,server-stall,bytes,eager,burst
	was_taken
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
