#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# How each kind of client is treated: one test for each row of the table of
# behaviours that we hold ourselves to, with that row's name.

load common
load router

setup_file() {
	file_lab --backends 2
	start_agent
	start_peer backend1 one
	start_peer backend2 two
}

# Backend one has the name, backend two everything that must not go there.
setup() {
	routes <<-'END'
		route add a.test 198.51.100.11:443
		route add hello.example.com 198.51.100.11:443
	END
}

with_default() {
	routes <<-'END'
		route add a.test 198.51.100.11:443
		route add default 198.51.100.12:443
	END
}

@test "post-quantum hello in 2 segments" {
	client <<-'END'
		for name in "chromium-156", "firefox-esr-153", "node-26.10.0":
		    bytes = recorded(name)
		    for address in "192.0.2.1", "2001:db8:1::1":
		        c = connect(address).send(bytes, cut=[1400])
		        c.expect_backend("one").close()
	END
}

@test "post-quantum hello 1 byte at a time" {
	client <<-'END'
		bytes = recorded("chromium-156")
		for address in "192.0.2.1", "2001:db8:1::1":
		    c = connect(address).send(bytes, cut=1)
		    c.expect_backend("one").close()
	END
}

@test "hello over several TLS records" {
	client <<-'END'
		for fragment in 1, 2, 5, 100, 1000:
		    bytes = hello("a.test", fragment, post_quantum=True)
		    connect("192.0.2.1").send(bytes).expect_backend("one").close()
		bytes = hello("a.test", 1)
		connect("192.0.2.1").send(bytes, cut=1).expect_backend("one")
	END
}

@test "4.5 KB hello" {
	client <<-'END'
		bytes = hello("a.test", size=4608)
		connect("192.0.2.1").send(bytes).expect_backend("one")
	END
}

@test "15.9 KB hello, one record" {
	client <<-'END'
		bytes = hello("a.test", size=16282)
		equal(len(bytes), 5 + 16282)
		connect("192.0.2.1").send(bytes).expect_backend("one")
	END
}

@test "20 KB hello: up to the configured cap" {
	snictl set hello-max 65536
	client <<-'END'
		for size in 20480, 65536:
		    bytes = hello("a.test", size=size)
		    connect("192.0.2.1").send(bytes).expect_backend("one").close()
	END
}

@test "20 KB hello: above the cap alert, own counter, never the default" {
	with_default
	before=$(counter outcomes.too-large)
	client <<-'END'
		c = connect("192.0.2.1").send(hello("a.test", size=20480))
		c.expect_alert(50).expect_fin().fin().expect_closed()
	END
	wait_for_flow 'name=- outcome=too-large route=- target=-'
	assert_equal "$(counter outcomes.too-large)" $((before + 1))
}

@test "hello of 16,384 bytes: route" {
	client <<-'END'
		c = connect("192.0.2.1").send(hello("a.test", size=16384))
		c.expect_backend("one")
	END
}

@test "hello of 16,385 bytes: alert" {
	client <<-'END'
		c = connect("192.0.2.1").send(hello("a.test", size=16385))
		c.expect_alert(50).expect_fin().fin().expect_closed()
	END
	wait_for_flow 'outcome=too-large'
}

@test "hello of the cap that is set, and of one byte more" {
	snictl set hello-max 1000
	client <<-'END'
		c = connect("192.0.2.1").send(hello("a.test", size=1000))
		c.expect_backend("one").close()
		c = connect("192.0.2.1").send(hello("a.test", size=1001))
		c.expect_alert(50).expect_fin()
	END
	snictl set hello-max 65536
	client <<-'END'
		c = connect("192.0.2.1").send(hello("a.test", size=65536))
		c.expect_backend("one").close()
		c = connect("192.0.2.1").send(hello("a.test", size=65537))
		c.expect_alert(50).expect_fin()
	END
}

@test "too large is told by the announced length, before the bytes come" {
	client <<-'END'
		start = hello("a.test", size=16385)[:9]
		c = connect("192.0.2.1").send(start)
		c.expect_alert(50).expect_fin()
	END
}

@test "upper-case name" {
	client <<-'END'
		c = connect("192.0.2.1").send(hello("A.TesT"))
		c.expect_backend("one")
	END
}

@test "trailing dot" {
	client <<-'END'
		c = connect("192.0.2.1").send(hello("a.test."))
		c.expect_backend("one").close()
		c = connect("192.0.2.1").send(hello("a.test.."))
		c.expect_alert(50).expect_fin()
	END
}

@test "a.test\\0.x" {
	with_default
	client <<-'END'
		for name in b"a.test\0.x", b"a.test\0", b"\0a.test", b"a.test\n":
		    c = connect("192.0.2.1").send(hello(name))
		    c.expect_alert(50).expect_fin().close()
	END
	wait_for_flow 'outcome=malformed route=- target=-'
}

@test "IP literal as name" {
	client <<-'END'
		for literal in "192.0.2.1", "2001:db8:1::1", "[2001:db8:1::1]":
		    c = connect("192.0.2.1").send(hello(literal))
		    c.expect_alert(112).expect_fin().close()
	END
	wait_for_flow 'name=- outcome=no-sni'
	snictl route add none 198.51.100.12:443
	client <<-'END'
		for literal in "192.0.2.1", "2001:db8:1::1":
		    c = connect("192.0.2.1").send(hello(literal))
		    c.expect_backend("two").close()
	END
}

@test "unknown / no SNI, no default" {
	client <<-'END'
		for name in "b.test", None:
		    for address in "192.0.2.1", "2001:db8:1::1":
		        c = connect(address).send(hello(name))
		        c.expect_alert(112).expect_fin()
		        # What it still sends is read: no RST destroys the alert.
		        c.send(bytes(100000)).fin().expect_closed()
		# Also what came together with the hello.
		c = connect("192.0.2.1").send(hello("b.test") + bytes(100000))
		c.expect_alert(112).expect_fin().fin().expect_closed()
	END
	wait_for_flow 'name=b.test outcome=unknown-name route=- target=-'
	wait_for_flow 'name=- outcome=no-sni route=- target=-'
}

@test "unknown / no SNI: the alert has the client's record version" {
	client <<-'END'
		c = connect("192.0.2.1")
		c.send(records(message("b.test"), version=0x0303))
		c.expect_alert(112, version=0x0303).expect_fin()
	END
}

@test "unknown / no SNI, with none and default" {
	with_default
	client <<-'END'
		for name in "b.test", None:
		    c = connect("192.0.2.1").send(hello(name))
		    c.expect_backend("two").close()
	END
	wait_for_flow 'name=b.test outcome=routed route=default'
	wait_for_flow 'name=- outcome=routed route=default'
	snictl route add none 198.51.100.11:443
	client <<-'END'
		c = connect("192.0.2.1").send(hello())
		c.expect_backend("one").close()
		c = connect("192.0.2.1").send(hello("b.test"))
		c.expect_backend("two")
	END
	wait_for_flow 'name=- outcome=routed route=none'
}

# First bytes of SSLv2, SSH, and of one who waits for an answer to them.
not_tls='openings = [bytes.fromhex("802e0100020015000000100100800200800300"
    "8004008005008006004007 00c0"), b"SSH-2.0-OpenSSH_9.2\r\n",
    b"PROXY TCP4 ", b"\0"]
http = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"'

@test "SSLv2, SSH, HTTP on the TLS port" {
	with_default
	before=$(counter outcomes.not-tls)
	client <<-END
		$not_tls
		for opening in openings:
		    c = connect("192.0.2.1").send(opening)
		    c.expect_fin().fin().expect_closed()
		c = connect("192.0.2.1").send(http).expect(b"HTTP/1.1 400 ")
		c.expect_line(b"use https://\\n").expect_fin().fin().expect_closed()
	END
	wait_for_flow 'outcome=not-tls route=- target=-'
	wait_for_flow 'outcome=http-on-tls route=- target=-'
	assert_equal "$(counter outcomes.not-tls)" $((before + 4))
}

@test "SSLv2, SSH, HTTP on the TLS port, with a non-TLS action" {
	with_default
	snictl route add other 198.51.100.11:443
	client <<-END
		$not_tls
		for opening in openings + [http]:
		    c = connect("192.0.2.1").send(opening)
		    c.expect_backend("one").close()
	END
	wait_for_flow 'outcome=routed route=other'
}

@test "silent client" {
	with_default
	snictl set hello-timeout 300ms
	before=$(counter outcomes.hello-timeout)
	client <<-'END'
		connect("192.0.2.1").expect_fin().fin().expect_closed()
	END
	wait_for_flow 'outcome=hello-timeout route=- target=-'
	assert_equal "$(counter outcomes.hello-timeout)" $((before + 1))
}

@test "half a hello, then stall" {
	with_default
	snictl set hello-timeout 300ms
	before=$(counter outcomes.hello-timeout)
	client <<-'END'
		start = hello("a.test")[:-1]
		c = connect("192.0.2.1").send(start)
		c.expect_fin().fin().expect_closed()
		for length in 1, 5, 9, 100:
		    connect("192.0.2.1").send(start[:length]).expect_fin().close()
	END
	wait_for_flow 'name=- outcome=hello-timeout route=- target=-'
	assert_equal "$(counter outcomes.hello-timeout)" $((before + 5))
}

@test "half a hello, then stall: the deadline is total, not idle" {
	with_default
	snictl set hello-timeout 300ms
	client <<-'END'
		bytes = hello("a.test", 1)
		c = connect("192.0.2.1")
		for i in range(len(bytes) // 2):
		    c.send(bytes[i:i + 1])
		    # A byte every 10 ms, until the end comes.
		    if select.select([c.sock], [], [], 0.01)[0]:
		        break
		else:
		    fail("a slow client is waited for longer than it may take")
		c.expect_fin()
	END
	wait_for_flow 'outcome=hello-timeout'
}

@test "reply after the client's FIN (half-close)" {
	snictl route replace a.test 198.51.100.11:444
	client <<-'END'
		for address in "192.0.2.1", "2001:db8:1::1":
		    c = connect(address).send(hello("a.test") + bytes(100000)).fin()
		    c.expect_backend("one").expect_fin().expect_closed()
	END
	wait_for_flow 'name=a.test outcome=routed end=closed'
}

@test "backend refuses: the next backend" {
	snictl route replace a.test 198.51.100.11:1,198.51.100.12:443
	client <<-'END'
		connect("192.0.2.1").send(hello("a.test")).expect_backend("two")
	END
	wait_for_flow 'outcome=routed target=198.51.100.12:443'
}

@test "backend refuses: alert internal_error" {
	before=$(counter connect_failures)
	snictl route replace a.test '198.51.100.11:1,[2001:db8:2::12]:1'
	client <<-'END'
		c = connect("192.0.2.1").send(hello("a.test"))
		c.expect_alert(80).expect_fin().fin().expect_closed()
	END
	wait_for_flow 'outcome=connect-failed route=a.test error="Connection refused"'
	assert_equal "$(counter connect_failures)" $((before + 2))
}

@test "backend refuses: a client that is not TLS gets no alert" {
	snictl route add other 198.51.100.11:1
	client <<-'END'
		c = connect("192.0.2.1").send(b"GET / HTTP/1.1\r\n\r\n")
		c.expect_fin().fin().expect_closed()
	END
	wait_for_flow 'outcome=connect-failed route=other'
}

@test "9 KB after the hello (0-RTT data)" {
	client <<-'END'
		early = hello("a.test") + os.urandom(9216)
		c = connect("192.0.2.1").send(early).expect_backend("one").close()
		c = connect("192.0.2.1").send(early, cut=500).expect_backend("one")
		c.close()
		early = recorded("openssl-3.0.19-early-data")
		connect("192.0.2.1").send(early).expect_backend("one")
	END
}

@test "IPv4 client on a [::] listener, PROXY v1" {
	snictl route replace a.test 198.51.100.11:443 --proxy v1
	client <<-'END'
		for address, family in ("192.0.2.1", 4), ("2001:db8:1::1", 6):
		    c = connect(address).send(hello("a.test"))
		    c.expect(b"one\n")
		    source, port = c.name()
		    equal(Header(c).line.decode(),
		          f"PROXY TCP{family} {source} {address} {port} 443\r\n")
		    c.expect(c.sent).close()
	END
}

# ---- what goes beyond the table --------------------------------------------

@test "a record that is TLS but no handshake is malformed" {
	with_default
	client <<-'END'
		for kind in 20, 21, 23:
		    c = connect("192.0.2.1").send(records(bytes(64), kind=kind))
		    c.expect_alert(50).expect_fin().close()
	END
	wait_for_flow 'outcome=malformed route=- target=-'
}

@test "two names, duplicate extensions and impossible lengths are malformed" {
	with_default
	client <<-'END'
		two = message("a.test").replace(server_name(b"a.test"),
		    extension(0, block(2, 2 * (b"\0" + block(2, b"a.t")))))
		twice = message("a.test").replace(server_name(b"a.test"),
		    2 * server_name(b""))
		beyond = message("a.test").replace(b"\6a.test", b"\7a.test")
		for bad in two, twice, beyond:
		    bad = bad[:1] + block(3, bad[4:])
		    c = connect("192.0.2.1").send(records(bad))
		    c.expect_alert(50).expect_fin().close()
	END
	wait_for_flow 'outcome=malformed route=- target=-'
}

@test "reject answers with unrecognized_name" {
	snictl route add bad.test reject
	client <<-'END'
		c = connect("192.0.2.1").send(hello("bad.test"))
		c.expect_alert(112).expect_fin()
	END
	wait_for_flow 'name=bad.test outcome=rejected route=bad.test'
}

@test "drop is silent, then a RST" {
	snictl route add bad.test drop
	snictl set hello-timeout 300ms
	client <<-'END'
		c = connect("192.0.2.1").send(hello("bad.test"))
		c.expect_reset()
	END
	wait_for_flow 'name=bad.test outcome=dropped route=bad.test'
}

@test "a client that leaves before a whole hello is client-gone" {
	before=$(counter outcomes.client-gone)
	client <<-'END'
		connect("192.0.2.1").close()
		connect("192.0.2.1").send(hello("a.test")[:50]).fin().expect_fin()
		connect("192.0.2.1").send(hello("a.test")[:50]).wait_acked().reset()
	END
	wait_for_flow 'outcome=client-gone end=reset-by-client'
	wait_until counter_is outcomes.client-gone $((before + 3))
}
