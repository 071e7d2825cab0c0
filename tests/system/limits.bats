#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What the agent does at each of its limits: in numbers, in time, and in
# descriptors.

# shellcheck disable=SC2154 # set by what is loaded
load common
load router

setup_file() {
	file_lab --backends 2
	# More clients, two of them in one IPv6 network.
	lab_exec client ip address add 192.0.2.11/24 dev eth0
	lab_exec client ip address add 2001:db8:1::11/64 dev eth0 nodad
	lab_exec client ip address add 2001:db8:1:1::10/64 dev eth0 nodad
	lab_exec router ip route add 2001:db8:1:1::/64 via 2001:db8:1::10
	# A port whose packets vanish.
	lab_exec backend2 nft -f - <<-'END'
		table inet t {
			chain input {
				type filter hook input priority 0;
				tcp dport 450 drop
			}
		}
	END
	start_agent --datapath relay
	start_peer backend1 one
	start_peer backend2 two
}

setup() {
	routes <<-'END'
		route add a.test 198.51.100.11:443
	END
}

# ---- in numbers -------------------------------------------------------------

@test "pending hellos per source: one more is reset, others are served" {
	snictl set hello-pending-per-source 3
	before=$(counter outcomes.limited)
	client <<-'END'
		pending = [connect("192.0.2.1") for i in range(3)]
		wait_flows(3, phase="hello")
		connect_reset("192.0.2.1")
		# Another address is another source.
		connect("192.0.2.1", source="192.0.2.11") \
		    .send(hello("a.test")).expect_backend("one").close()
		# A flow whose hello has come does not count as pending.
		for c in pending:
		    c.expect_open().send(hello("a.test")).expect_backend("one")
		connect("192.0.2.1").send(hello("a.test")).expect_backend("one")
	END
	wait_for_flow 'outcome=limited end=limited-pending'
	assert_equal "$(counter outcomes.limited)" $((before + 1))
}

@test "pending hellos per source: 256 unless set" {
	client <<-'END'
		pending = [connect("192.0.2.1") for i in range(256)]
		wait_flows(256, phase="hello")
		connect_reset("192.0.2.1")
		for c in pending:
		    c.expect_open()
	END
}

@test "pending hellos per source: an IPv6 source is a /64" {
	snictl set hello-pending-per-source 1
	client <<-'END'
		to = "2001:db8:1::1"
		pending = connect(to, source="2001:db8:1::10")
		wait_flows(1, phase="hello")
		connect_reset(to, source="2001:db8:1::11")
		connect(to, source="2001:db8:1:1::10") \
		    .send(hello("a.test")).expect_backend("one")
		pending.expect_open()
	END
}

@test "flows per source: one more is reset, until one has ended" {
	snictl set max-flows-per-source 2
	client <<-'END'
		def flow():
		    return connect("192.0.2.1").send(hello("a.test"))

		flow().expect_backend("one").close()
		wait_flows(0)
		first, second = flow(), flow()
		for c in first, second:
		    c.expect_backend("one")
		connect_reset("192.0.2.1")
		connect("192.0.2.1", source="192.0.2.11") \
		    .send(hello("a.test")).expect_backend("one").close()
		first.fin().expect_fin().close()
		wait_flows(1)
		flow().expect_backend("one")
		second.expect_open()
	END
	wait_for_flow 'outcome=limited end=limited-flows'
}

@test "flows per source: behind a trusted proxy the header's address counts" {
	routes <<-'END'
		listen add 443 --accept-proxy 192.0.2.10
		set max-flows-per-source 1
		route add a.test 198.51.100.11:443
	END
	client <<-'END'
		def flow(client):
		    header = proxy_v2(client, 1, "203.0.113.8", 2)
		    return connect("192.0.2.1").send(header + hello("a.test"))

		first = flow("203.0.113.7")
		first.expect(b"one\n")
		try:
		    flow("203.0.113.7").expect_reset()
		except ConnectionError:
		    pass  # it came while the hello was being sent
		flow("203.0.113.9").expect(b"one\n")
	END
	wait_for_flow 'client=203.0.113.7:1 outcome=limited'
}

@test "max-flows: one more is reset, until one has ended" {
	snictl set max-flows 2
	before=$(counter outcomes.limited)
	client <<-'END'
		first = connect("192.0.2.1").send(hello("a.test"))
		second = connect("2001:db8:1::1").send(hello("a.test"))
		for c in first, second:
		    c.expect_backend("one")
		for source in "192.0.2.10", "192.0.2.11":
		    connect_reset("192.0.2.1", source=source)
		first.fin().expect_fin().close()
		wait_flows(1)
		connect("192.0.2.1").send(hello("a.test")).expect_backend("one")
		second.expect_open()
	END
	assert_equal "$(counter outcomes.limited)" $((before + 2))
}

@test "a limit that is lowered ends no flow" {
	client <<-'END'
		kept = [connect("192.0.2.1").send(hello("a.test")) for i in range(3)]
		for c in kept:
		    c.expect_backend("one")
		for name in "max-flows", "max-flows-per-source", \
		        "hello-pending-per-source":
		    subprocess.run([SNICTL, "set", name, "1"], check=True)
		connect_reset("192.0.2.1")
		for c in kept:
		    c.send(b"still").expect(b"still")
	END
}

# ---- in time ----------------------------------------------------------------

@test "hello-timeout holds for each of many, and frees their places" {
	snictl set hello-timeout 300ms
	snictl set hello-pending-per-source 50
	client <<-'END'
		half = hello("a.test")[:20]
		waiting = [connect("192.0.2.1").send(half) for i in range(50)]
		for c in waiting:
		    c.expect_fin().close()
		wait_flows(0)
		connect("192.0.2.1").send(hello("a.test")).expect_backend("one")
	END
}

@test "idle-timeout: silent flows end cleanly on both sides, others go on" {
	snictl set idle-timeout 1s
	client <<-'END'
		busy = connect("192.0.2.1").send(hello("a.test"))
		idle = connect("192.0.2.1").send(hello("a.test"))
		for c in busy, idle:
		    c.expect_backend("one")
		# A byte every 200 ms, for longer than the time-out.
		end = time.monotonic() + 1.6
		ended = False
		while time.monotonic() < end:
		    busy.send(b"x").expect(b"x")
		    ended |= bool(select.select([idle.sock], [], [], 0.2)[0])
		if not ended:
		    fail("the idle flow has not ended")
		idle.expect_fin()
		busy.send(b"x").expect(b"x")
	END
	wait_for_flow 'outcome=routed end=idle'
}

@test "half-close-timeout: only the side that is left open counts" {
	snictl set half-close-timeout 1s
	snictl route replace a.test 198.51.100.11:445
	client <<-'END'
		busy = connect("192.0.2.1").send(hello("a.test"))
		idle = connect("192.0.2.1").send(hello("a.test"))
		for c in busy, idle:
		    c.expect(b"one\n").expect_fin()
		end = time.monotonic() + 1.6
		while time.monotonic() < end:
		    busy.send(b"x")
		    time.sleep(0.2)
		wait_flows(1)
		busy.send(b"x").wait_acked().fin().expect_closed()
	END
	wait_for_flow 'outcome=routed end=half-close-timeout'
	wait_for_flow 'outcome=routed end=closed'
}

@test "connect-timeout: the next target, then an alert" {
	snictl set connect-timeout 300ms
	snictl route replace a.test 198.51.100.12:450,198.51.100.11:443
	client <<-'END'
		began = time.monotonic()
		c = connect("192.0.2.1").send(hello("a.test"))
		c.expect_backend("one").close()
		if time.monotonic() - began < 0.3:
		    fail("the first target was given up too early")
	END
	wait_for_flow 'outcome=routed target=198.51.100.11:443'
	snictl route replace a.test '198.51.100.12:450,[2001:db8:2::12]:450'
	client <<-'END'
		c = connect("192.0.2.1").send(hello("a.test"))
		c.expect_alert(80).expect_fin().fin().expect_closed()
	END
	wait_for_flow 'outcome=connect-failed error="Connection timed out"'
	run -0 snictl route show a.test --json
	assert_output --partial 'timed out'
}

@test "a client that resets while the backend is being reached" {
	snictl route replace a.test 198.51.100.12:450
	client <<-'END'
		c = connect("192.0.2.1").send(hello("a.test"))
		wait_flows(1, phase="connect")
		c.reset()
		wait_flows(0)
	END
	wait_for_flow 'end=reset-by-client'
}

@test "a client that ends while the backend is being reached is answered" {
	snictl set connect-timeout 300ms
	snictl route replace a.test 198.51.100.12:450,198.51.100.11:444
	client <<-'END'
		c = connect("192.0.2.1").send(hello("a.test") + b"more").fin()
		c.expect_backend("one").expect_fin().expect_closed()
	END
}

# ---- in descriptors ---------------------------------------------------------

# What the scripts below measure by: the worker's descriptors, its CPU time in
# hundredths of a second, and how often it has paused accepting.
watching() {
	cat <<-END
		import resource
		pid = $(pgrep -P "$agent")

		def descriptors():
		    return {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}

		def ticks():
		    stat = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
		    return int(stat[11]) + int(stat[12])

		def pauses():
		    return json.loads(subprocess.run(
		        [SNICTL, "stats", "--json"], check=True,
		        stdout=subprocess.PIPE).stdout)["accept_pauses"]

		def wait_pauses(count):
		    goal, end = pauses() + count, time.monotonic() + PATIENCE
		    while pauses() < goal:
		        if time.monotonic() > end:
		            fail("accepting does not pause")
		        time.sleep(0.05)

		def expect_calm():
		    """A loop that spins would take 100 a second."""
		    before, began = ticks(), time.monotonic()
		    wait_pauses(8)
		    rate = (ticks() - before) / (time.monotonic() - began)
		    if rate > 20:
		        fail(f"{rate:.0f} % CPU while waiting for descriptors")

		def flow(to="192.0.2.1"):
		    return connect(to).send(hello("a.test"))
	END
}

@test "out of descriptors: what exists goes on, what comes waits, no CPU is burnt" {
	client <<-END
		$(watching)
		kept = [flow() for i in range(5)]
		for c in kept:
		    c.expect_backend("one")
		limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
		free = min(set(range(10000)) - descriptors())
		resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, limits[1]))
		waiting = [flow(to) for to in ("192.0.2.1", "2001:db8:1::1") * 4]
		expect_calm()
		# Bulk needs no pipe.
		for c in kept:
		    c.exchange(os.urandom(1 << 20))
		for c in waiting:
		    c.expect_open()
		resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
		for c in waiting:
		    c.expect_backend("one")
		for c in kept:
		    c.exchange(b"still")
	END
}

@test "few descriptors from the start: as many flows as they carry, the others wait" {
	lab_up --backends 1
	start_peer backend1 one
	ulimit -n 220
	start_agent --datapath relay
	routes <<<'route add a.test 198.51.100.11:443'
	client <<-END
		$(watching)
		every = [flow() for i in range(150)]
		expect_calm()
		ready = select.select([c.sock for c in every], [], [], 0)[0]
		served = [c for c in every if c.sock in ready]
		waiting = [c for c in every if c.sock not in ready]
		wait_flows(len(served), phase="relay")
		if not 5 <= len(served) <= 110:
		    fail(f"{len(served)} flows")
		for c in served:
		    c.expect_backend("one")
		for c in waiting:
		    c.expect_open()
		for c in served:
		    c.exchange(os.urandom(1 << 16))
		# Whoever is served makes room for another.
		for c in served:
		    c.fin().expect_fin().close()
		while waiting:
		    ready = select.select([c.sock for c in waiting], [], [],
		                          PATIENCE)[0]
		    if not ready:
		        fail(f"{len(waiting)} are never served")
		    for c in [c for c in waiting if c.sock in ready]:
		        c.expect_backend("one").fin().expect_fin().close()
		        waiting.remove(c)
	END
}
