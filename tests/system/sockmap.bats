#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What is special about flows whose bytes a sockmap moves. What they have in
# common with all others is tested by moves-sockmap.bats.

# shellcheck disable=SC2154 # set by what is loaded
load common
load router
load sockmap
load survival

setup_file() {
	file_lab --backends 2
	start_agent --datapath sockmap --workers 1
	start_peer backend1 one
}

setup() {
	routes <<-'END'
		route add a.test 198.51.100.11:443
		route add counted.test 198.51.100.11:443
		route add relay.test 198.51.100.11:443 --datapath relay
		route add traffic.test 198.51.100.12:443
	END
	[[ $(path_of sockmap on) == true ]] ||
		skip "the data path is off: $(path_of sockmap why)"
}

worker() {
	snictl status --json | jq -e .agent.pid
}

@test "the route says which data path, the agent where it does not" {
	client <<-'END'
		for name, phase in ("a.test", "kernel"), ("relay.test", "relay"):
		    c = connect("192.0.2.1").send(hello(name))
		    c.expect_backend("one")
		    wait_flows(1, phase=phase)
		    c.fin().expect_fin()
	END
	wait_for_flow 'name=a.test datapath=sockmap end=closed'
	wait_for_flow 'name=relay.test datapath=relay end=closed'
	assert_equal "$(counter datapaths.sockmap)" 1
}

# In SWITCHES the number of times that a thread of the agent has gone to sleep,
# so also how often something has woken it.
SWITCHES='
import glob
def switches():
    return sum(int(line.split()[1])
               for path in glob.glob(f"/proc/{worker}/task/*/status")
               for line in open(path)
               if line.startswith("voluntary"))
'

@test "the agent sleeps while the kernel moves the bytes" {
	client <<-END
		worker = $(worker)
		$SWITCHES
		c = connect("192.0.2.1").send(hello("a.test"))
		c.expect_backend("one")
		wait_flows(1, phase="kernel")
		before, start = switches(), time.monotonic()
		for i in range(2000):
		    c.send(bytes(1000)).read(1000)
		count = switches() - before
		# Each thread, and the main one, shows once a second that it lives.
		beats = (os.cpu_count() + 1) * (time.monotonic() - start)
		if count > 20 + 2 * beats:
		    fail(f"woken {count} times for 2000 messages each way")
		c.fin().expect_fin()
	END
	wait_for_flow 'name=a.test datapath=sockmap end=closed'
}

@test "bytes that the kernel moves are counted as they go, and in the log" {
	client <<-'END'
		c = connect("192.0.2.1").send(hello("counted.test"))
		c.expect_backend("one")
		wait_flows(1, phase="kernel")
		for i in range(1, 4):
		    c.exchange(bytes(10000))
		    sent = len(hello("counted.test")) + i * 10000
		    wait_flows(1, bytes_in=sent, bytes_out=sent + 4,
		               datapath="sockmap", why=None)
		open(os.environ["BATS_TEST_TMPDIR"] + "/sent", "w") \
		    .write(str(sent))
		c.fin().expect_fin()
	END
	local sent
	sent=$(<"$BATS_TEST_TMPDIR/sent")
	wait_for_flow "name=counted.test datapath=sockmap bytes_in=$sent bytes_out=$((sent + 4)) end=closed"
	assert_equal "$(snictl route show counted.test --json |
		jq -c '[.bytes_in, .bytes_out]')" "[$sent,$((sent + 4))]"
}

@test "connections that the memory is not enough for are relayed" {
	# For two with both directions full.
	routes <<-'END'
		set sockmap-limit 262144
		set sockmap-memory 1048576
		route add a.test 198.51.100.11:443
	END
	client <<-'END'
		def open(count, phase):
		    c = connect("192.0.2.1").send(hello("a.test"))
		    c.expect_backend("one")
		    wait_flows(count, phase=phase)
		    return c
		first = open(1, "kernel")
		second = open(2, "kernel")
		third = open(1, "relay")
		wait_flows(1, phase="relay", why="memory")
		third.send(b"x" * 1000).read(1000)
		third.fin().expect_fin()
		first.fin().expect_fin()
		wait_flows(1)
		fourth = open(2, "kernel")
		second.fin().expect_fin()
		fourth.fin().expect_fin()
	END
	wait_for_flow 'name=a.test datapath=relay end=closed'
	assert_equal "$(counter relayed.memory)" 1
}

@test "a connection whose reader fell behind stays with the relay, its memory does not" {
	# For one with both directions full.
	routes <<-'END'
		set sockmap-limit 1024
		set sockmap-memory 2048
		route add a.test 198.51.100.11:443
	END
	client <<-'END'
		def open(count, phase):
		    c = connect("192.0.2.1").send(hello("a.test"))
		    c.expect_backend("one")
		    wait_flows(count, phase=phase)
		    return c
		first = open(1, "kernel")
		first.exchange(bytes(3000))
		wait_flows(1, phase="relay", datapath="relay", why="slow-reader")
		second = open(1, "kernel")
		for i in range(100):
		    first.exchange(b"little")
		wait_flows(1, phase="relay", why="slow-reader")
		first.fin().expect_fin()
		second.fin().expect_fin()
	END
	wait_for_flow 'name=a.test datapath=relay end=closed'
}

@test "thousands come back in the middle, and every byte is right" {
	local before
	before=$(counter returns)
	# Each message is beyond the limit, so each flow comes back with it.
	snictl set sockmap-limit 1024
	traffic_serve backend2
	run -0 --separate-stderr traffic_connect --name traffic.test \
		--shape echo --connections 2500 --concurrency 50 \
		--size 12000 --message 3000
	jq -e '.failed == 0 and .completed == 2500' <<<"$output"
	(($(counter returns) - before > 2000))
	run ! flow_line end=bytes-lost
	traffic_check backend2
}

# all_by_relay N - as many flows, well under way, none in the kernel's hands.
all_by_relay() {
	snictl flow list --json |
		jq -e --argjson count "$1" 'length == $count and
			all(.phase == "relay" and .bytes_in > 20000000)'
}

@test "they come back though neither side ever pauses" {
	local before
	before=$(counter returns)
	traffic_serve backend2
	# Those with bytes both ways from the start never leave the relay.
	for _ in {1..10}; do
		lab_start --log both.log client \
			"$build/tests/tools/traffic" connect \
			--to 192.0.2.1:443 --name traffic.test --shape both \
			--connections 8 --concurrency 8 --size 10000000000
		wait_until all_by_relay 8
		snictl flow kill --name traffic.test
		lab_stop "$started"
		(($(counter returns) == before)) || break
	done
	(($(counter returns) > before))
	lab_stop "$(<"$lab_path/run/traffic-backend2.pid")"
}

@test "a client's RST before a slow backend: what it gets is each byte once" {
	routes <<<'route add slow.test 127.0.0.1:9000'
	client router <<-'END'
		listener = socket.socket()
		listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
		listener.bind(("127.0.0.1", 9000))
		listener.listen()
		listener.settimeout(PATIENCE)
		c = connect("127.0.0.1").send(hello("slow.test"))
		backend = Peer(listener.accept()[0]).expect(c.sent)
		wait_flows(1, phase="kernel")
		data, taken = os.urandom(16 << 20), 0
		c.sock.setblocking(False)
		try:
		    while taken < len(data):
		        taken += c.sock.send(data[taken:])
		except BlockingIOError:
		    pass
		wait_flows(1, phase="relay")
		c.reset()
		got = b""
		try:
		    while more := backend.receive():
		        got += more
		    fail("a FIN")
		except ConnectionError:
		    pass
		if len(got) < 100000 or not data.startswith(got):
		    fail(f"{taken} sent, {len(got)} came: {shorten(got)}")
	END
	wait_for_flow 'name=slow.test end=reset-by-client'
}

@test "a flow of which the kernel has lost bytes is reset on both sides" {
	snictl set half-close-timeout 1s
	client <<-END
		import glob
		path = glob.glob("$lab_path/bpf/snictl/*/sockmap_flows")[0]
		def bpftool(*words):
		    return subprocess.run(["bpftool", "--json", "map", *words],
		                          check=True, capture_output=True).stdout
		c = connect("192.0.2.1").send(hello("a.test"))
		c.expect_backend("one").exchange(b"little")
		wait_flows(1, phase="kernel")
		# "limit" of struct abi_sockmap_direction: the only one that has it.
		flow, = (entry for entry in
		        json.loads(bpftool("dump", "pinned", path))
		        if any(int(byte, 16) for byte in entry["value"][52:56]))
		# "redirected" has 2^32 bytes more than ever get out.
		flow["value"][4] = "0x1"
		bpftool("update", "pinned", path, "key", *flow["key"],
		        "value", *flow["value"])
		c.fin().expect_reset()
	END
	wait_for_flow 'name=a.test datapath=sockmap end=bytes-lost'
}

@test "a flow that is idle in the kernel ends, one that is not goes on" {
	snictl set idle-timeout 1s
	client <<-'END'
		c = connect("192.0.2.1").send(hello("a.test"))
		c.expect_backend("one")
		wait_flows(1, phase="kernel")
		end = time.monotonic() + 3
		while time.monotonic() < end:
		    c.exchange(b"still here")
		    time.sleep(0.1)
		wait_flows(1, phase="kernel")
		c.expect_fin()
	END
	wait_for_flow 'name=a.test datapath=sockmap end=idle'
}

@test "a flow in the kernel is killed on both sides" {
	client <<-'END'
		c = connect("192.0.2.1").send(hello("a.test"))
		c.expect_backend("one")
		wait_flows(1, phase="kernel")
		subprocess.run([SNICTL, "flow", "kill", "--name", "a.test"],
		               check=True)
		c.expect_reset()
	END
	wait_for_flow 'name=a.test datapath=sockmap end=killed'
	run -0 lab_exec backend1 ss -Htn sport = :443
	assert_output ''
}

@test "100 readers that stop: at most 2 MiB of each is here, then all arrives" {
	stall 100 8000000
	at_most_2_mib 100
	all_arrives
}

# ---- where it cannot work ---------------------------------------------------

# by_relay - a flow that wants the sockmap goes by the relay, and says why.
by_relay() {
	start_peer backend1 one
	routes <<<'route add a.test 198.51.100.11:443 --datapath sockmap'
	client <<-END
		c = connect("192.0.2.1").send(hello("a.test"))
		c.expect_backend("one")
		wait_flows(1, datapath="relay", phase="relay", why="$1")
		c.fin().expect_fin()
	END
}

@test "off: the kernel cannot be tried" {
	lab_up
	lab_exec router ip link set lo down
	start_agent --datapath sockmap
	assert_equal "$(path_of sockmap on)" false
	run -0 path_of sockmap why
	assert_output --partial 'no connection over loopback'
	run -0 snictl status
	assert_output --partial 'no connection over loopback'
	grep 'the data path sockmap is off: .*loopback' "$agent_log"
	by_relay off
}

# A client that connects while there is no worker waits as long as that takes.
@test "what has passed its test is not tried again, until the maps are new" {
	lab_up
	start_agent --datapath sockmap
	assert_equal "$(path_of sockmap on)" true
	lab_exec router ip link set lo down
	die
	assert_equal "$(path_of sockmap on)" true
	stop_agent
	snictl unload
	start_agent --datapath sockmap
	assert_equal "$(path_of sockmap on)" false
}

@test "off: no right to read the kernel's structs" {
	lab_up
	export agent_log=$lab_path/log/agent.log
	lab_start --log agent.log router setpriv \
		--bounding-set=-perfmon,-sys_admin "$build/snictld"
	wait_until agent_answers
	assert_equal "$(path_of sockmap on)" false
	run -0 path_of sockmap why
	assert_output 'needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON'
	by_relay off
}
