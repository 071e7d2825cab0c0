#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# PROXY headers: those we send, as real servers read them, and those we are
# sent. HAProxy is the oracle: it refuses what the specification forbids, also
# a wrong CRC32C, and says what it understood.

# shellcheck disable=SC2154 # set by what is loaded
load common
load router
load servers

setup_file() {
	file_lab --backends 4
	start_agent
	servers_begin
	start_haproxy backend1 haproxy.test
	start_nginx backend2 'ssl proxy_protocol' nginx.test
	start_apache backend3 On apache.test
	start_peer backend4 peer
	start_haproxy_sender client 192.0.2.1:443
}

setup() {
	routes <<-'END'
		route add haproxy.test 198.51.100.11:443 --proxy v2
		route add peer.test 198.51.100.14:443 --proxy v2
	END
}

# ---- what we send -----------------------------------------------------------

@test "v1 over IPv4 and IPv6: HAProxy" {
	snictl route replace haproxy.test 198.51.100.11:443 --proxy v1
	run -0 fetch client 192.0.2.1:443 haproxy.test
	assert_line "src=192.0.2.10 port=${lines[1]} dst=192.0.2.1 dport=443 authority= id= sni=haproxy.test peer=::ffff:198.51.100.1"
	run -0 fetch client '[2001:db8:1::1]:443' haproxy.test
	assert_line "src=2001:db8:1::10 port=${lines[1]} dst=2001:db8:1::1 dport=443 authority= id= sni=haproxy.test peer=::ffff:198.51.100.1"
}

@test "v2 over IPv4 and IPv6, AUTHORITY, UNIQUE_ID, CRC32C: HAProxy" {
	run -0 fetch client 192.0.2.1:443 haproxy.test
	assert_line --regexp "^src=192.0.2.10 port=${lines[1]} dst=192.0.2.1 dport=443 authority=haproxy.test id=[0-9a-f]{16}-[0-9a-f]+ sni=haproxy.test peer="
	run -0 fetch client '[2001:db8:1::1]:443' haproxy.test
	assert_line --regexp "^src=2001:db8:1::10 port=${lines[1]} dst=2001:db8:1::1 dport=443 authority=haproxy.test id=[0-9a-f]{16}-[0-9a-f]+ sni=haproxy.test peer="
}

@test "v1 and v2 to an IPv6 backend for an IPv4 client, and the reverse" {
	local version
	for version in v1 v2; do
		snictl route replace haproxy.test '[2001:db8:2::11]:443' \
			--proxy "$version"
		run -0 fetch client 192.0.2.1:443 haproxy.test
		assert_output --partial 'src=192.0.2.10 '
		assert_output --partial 'dst=192.0.2.1 '
		snictl route replace haproxy.test 198.51.100.11:443 \
			--proxy "$version"
		run -0 fetch client '[2001:db8:1::1]:443' haproxy.test
		assert_output --partial 'src=2001:db8:1::10 '
		assert_output --partial 'dst=2001:db8:1::1 '
	done
}

@test "UNIQUE_ID differs between connections, and is in no header twice" {
	client <<-'END'
		ids = set()
		for i in range(20):
		    c = connect("192.0.2.1").send(hello("peer.test"))
		    c.expect(b"peer\n")
		    ids.add(Header(c).tlvs[UNIQUE_ID])
		    c.expect(c.sent).close()
		equal(len(ids), 20)
	END
}

@test "v2, every field and TLV, byte by byte" {
	client <<-'END'
		for address, kind in ("192.0.2.1", 0x11), ("2001:db8:1::1", 0x21):
		    c = connect(address).send(hello("Peer.test.", alpn=["h2"]))
		    c.expect(b"peer\n")
		    header = Header(c)
		    equal((header.version, header.command), (2, 0x21))
		    equal(header.kind, kind)
		    equal((header.source, header.source_port), c.name())
		    equal((header.to, header.to_port), (address, 443))
		    equal(header.tlvs[ALPN], b"h2")
		    equal(header.tlvs[AUTHORITY], b"peer.test")
		    equal(set(header.tlvs), {ALPN, AUTHORITY, UNIQUE_ID, CRC32C})
		    c.expect(c.sent).close()
	END
}

@test "ALPN is sent when the client offers exactly one protocol" {
	client <<-'END'
		for offer, sent in ([], None), (["http/1.1"], b"http/1.1"), \
		        (["h2", "http/1.1"], None), (["x" * 255], b"x" * 255):
		    c = connect("192.0.2.1").send(hello("peer.test", alpn=offer))
		    c.expect(b"peer\n")
		    equal(Header(c).tlvs.get(ALPN), sent)
		    c.expect(c.sent).close()
	END
}

@test "the longest name is sent whole; no name, no AUTHORITY" {
	snictl route add default 198.51.100.14:443 --proxy v2
	client <<-'END'
		name = ".".join(["x" * 63] * 3 + ["y" * 61])
		equal(len(name), 253)
		for one, authority in (name, name.encode()), (None, None):
		    c = connect("192.0.2.1").send(hello(one))
		    c.expect(b"peer\n")
		    equal(Header(c).tlvs.get(AUTHORITY), authority)
		    c.expect(c.sent).close()
	END
}

@test "v1 and v2 before what is not TLS" {
	local version
	for version in v1 v2; do
		routes <<<"route add other 198.51.100.14:443 --proxy $version"
		client <<-'END'
			c = connect("192.0.2.1").send(b"SSH-2.0-x\r\n")
			c.expect(b"peer\n")
			header = Header(c)
			if header.version == 2:
			    equal(set(header.tlvs), {UNIQUE_ID, CRC32C})
			c.expect(c.sent)
		END
	done
}

@test "nginx with proxy_protocol logs the client, v1 and v2, IPv4 and IPv6" {
	local version
	for version in v1 v2; do
		routes <<<"route add nginx.test 198.51.100.12:443 --proxy $version"
		run -0 fetch client 192.0.2.1:443 nginx.test
		assert_output --partial 'server=nginx.test client=192.0.2.10'
		wait_for_log backend2-nginx \
			"client=192.0.2.10 port=${lines[1]} to=192.0.2.1 sni=nginx.test"
		run -0 fetch client '[2001:db8:1::1]:443' nginx.test
		assert_output --partial 'server=nginx.test client=2001:db8:1::10'
		wait_for_log backend2-nginx \
			"client=2001:db8:1::10 port=${lines[1]} to=2001:db8:1::1"
	done
}

@test "Apache with RemoteIPProxyProtocol logs the client, v1 and v2, IPv4 and IPv6" {
	local version
	for version in v1 v2; do
		routes <<<"route add apache.test 198.51.100.13:443 --proxy $version"
		run -0 fetch client 192.0.2.1:443 apache.test
		assert_line 'server=apache.test'
		wait_for_log backend3-apache \
			"client=192.0.2.10 port=${lines[1]} peer=198.51.100.1"
		run -0 fetch client '[2001:db8:1::1]:443' apache.test
		assert_line 'server=apache.test'
		wait_for_log backend3-apache \
			"client=2001:db8:1::10 port=${lines[1]} peer=198.51.100.1"
	done
}

@test "a server that does not expect PROXY is not sent one" {
	snictl route replace peer.test 198.51.100.14:443
	client <<-'END'
		connect("192.0.2.1").send(hello("peer.test")).expect_backend("peer")
	END
}

# ---- what we are sent -------------------------------------------------------

# Trusts the client's IPv4 network and one IPv6 address.
trusting() {
	routes <<-'END'
		listen add 443 --accept-proxy 192.0.2.0/24,2001:db8:1::10/128
		route add peer.test 198.51.100.14:443 --proxy v2
		route add default 198.51.100.12:443
	END
}

# What a header must make of the addresses that the backend is told.
claims='def claim(header, source, port, to, to_port, via="192.0.2.1", cut=0):
    c = connect(via).send(header, cut).send(hello("peer.test"))
    c.expect(b"peer\n")
    got = Header(c)
    equal((got.source, got.source_port), (address(source), port))
    equal((got.to, got.to_port), (address(to), to_port))
    c.expect(c.sent[len(header):]).close()'

@test "accepted from a trusted prefix: v1 and v2, IPv4 and IPv6" {
	trusting
	client <<-END
		$claims
		for make in proxy_v1, proxy_v2:
		    for via in "192.0.2.1", "2001:db8:1::1":
		        for cut in 0, 1:
		            four = "203.0.113.7", 1234, "203.0.113.8", 443
		            claim(make(*four), *four, via, cut)
		            six = "2001:db8:9::7", 65535, "2001:db8:9::8", 1
		            claim(make(*six), *six, via, cut)
	END
	wait_for_flow 'client=203.0.113.7:1234 local=203.0.113.8:443 name=peer.test outcome=routed'
	wait_for_flow 'client=\[2001:db8:9::7\]:65535 local=\[2001:db8:9::8\]:1'
}

@test "accepted: header and hello in one segment" {
	trusting
	client <<-'END'
		for make in proxy_v1, proxy_v2:
		    header = make("203.0.113.7", 1, "203.0.113.8", 2)
		    first = hello("peer.test") + bytes(9216)
		    c = connect("192.0.2.1").send(header + first)
		    c.expect(b"peer\n")
		    equal(Header(c).source, "203.0.113.7")
		    c.expect(first).close()
	END
}

@test "accepted: IPv4-mapped addresses become IPv4" {
	trusting
	client <<-END
		$claims
		mapped = "::ffff:203.0.113.7", 1, "::ffff:203.0.113.8", 2
		for make in proxy_v1, proxy_v2:
		    claim(make(*mapped), "203.0.113.7", 1, "203.0.113.8", 2)
		# The family stays IPv6 where only one of them is mapped.
		mixed = "::ffff:203.0.113.7", 1, "2001:db8:9::8", 2
		for make in proxy_v1, proxy_v2:
		    claim(make(*mixed), *mixed)
	END
	wait_for_flow 'client=203.0.113.7:1 local=203.0.113.8:2'
}

@test "accepted: v1 UNKNOWN, v2 LOCAL and AF_UNSPEC leave the connection's own addresses" {
	trusting
	client <<-'END'
		for header in b"PROXY UNKNOWN\r\n", \
		        b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", \
		        proxy_v2(command=0), proxy_v2(command=1), \
		        proxy_v2("203.0.113.7", 1, "203.0.113.8", 2, command=0):
		    c = connect("192.0.2.1").send(header).send(hello("peer.test"))
		    c.expect(b"peer\n")
		    got = Header(c)
		    equal((got.source, got.source_port), c.name())
		    equal((got.to, got.to_port), ("192.0.2.1", 443))
		    c.expect(c.sent[len(header):]).close()
	END
}

@test "accepted: TLVs ALPN, AUTHORITY, UNIQUE_ID, CRC32C and unknown ones" {
	trusting
	client <<-END
		$claims
		four = "203.0.113.7", 1234, "203.0.113.8", 443
		tlvs = [(ALPN, b"h2"), (AUTHORITY, b"other.test"),
		        (UNIQUE_ID, bytes(128)), (0xE0, bytes(2000)), (4, bytes(3))]
		for checksum in None, "good":
		    for cut in 0, 1:
		        header = proxy_v2(*four, tlvs, checksum=checksum)
		        claim(header, *four, cut=cut)
	END
	# The name is the hello's, not the header's.
	wait_for_flow 'name=peer.test outcome=routed'
}

@test "accepted: malformed headers are never routed" {
	trusting
	before=$(counter outcomes.malformed)
	client <<-'END'
		four = "203.0.113.7", 1, "203.0.113.8", 2
		bad = [
		    proxy_v2(*four, checksum="bad"),
		    proxy_v2(*four, [(ALPN, b"h2"), (ALPN, b"h2")]),
		    proxy_v2(*four, command=2),
		    proxy_v2(*four).replace(b"\x00\x0c", b"\x00\x0b", 1),
		    SIGNATURE + b"\x11\x11\0\x0c" + bytes(12),
		    b"PROXY TCP4 203.0.113.7 203.0.113.8 1\r\n",
		    b"PROXY TCP4 203.0.113.7 203.0.113.8 1 65536\r\n",
		    b"PROXY TCP4 203.0.113.7 203.0.113.8 1 2 \r\n",
		    b"PROXY TCP4 203.0.113.007 203.0.113.8 1 2\r\n",
		    b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
		    b"PROXY TCP6 203.0.113.7 203.0.113.8 1 2\r\n",
		    b"PROXY TCP4 203.0.113.7 203.0.113.8 1 2\n",
		    b"PROXY UDP4 203.0.113.7 203.0.113.8 1 2\r\n",
		    b"PROXY TCP4 " + b"1" * 107,
		]
		for header in bad:
		    c = connect("192.0.2.1").send(header + hello("peer.test"))
		    c.expect_fin().fin().expect_closed()
	END
	wait_for_flow 'name=- outcome=malformed route=- target=-'
	assert_equal "$(counter outcomes.malformed)" $((before + 14))
}

@test "a trusted peer without a header is malformed, never routed" {
	trusting
	client <<-'END'
		c = connect("192.0.2.1").send(hello("peer.test"))
		c.expect_fin()
	END
	wait_for_flow 'name=- outcome=malformed route=- target=-'
}

@test "a trusted peer's silence is bounded by the hello deadline" {
	trusting
	snictl set hello-timeout 300ms
	client <<-'END'
		connect("192.0.2.1").expect_fin().close()
		header = proxy_v2("203.0.113.7", 1, "203.0.113.8", 2)
		connect("192.0.2.1").send(header[:20]).expect_fin().close()
		connect("192.0.2.1").send(header).expect_fin().close()
	END
	wait_for_flow 'client=203.0.113.7:1 outcome=hello-timeout'
}

@test "refused from others, where some are trusted and where none are" {
	local rows
	for rows in 'listen add 443 --accept-proxy 192.0.2.11,2001:db8:1::11/128' \
		'listen add 443'; do
		routes <<-END
			$rows
			route add peer.test 198.51.100.14:443 --proxy v2
			route add default 198.51.100.14:443
		END
		client <<-'END'
			four = "203.0.113.7", 1, "203.0.113.8", 2
			for address in "192.0.2.1", "2001:db8:1::1":
			    for header in proxy_v1(*four), proxy_v2(*four):
			        c = connect(address).send(header + hello("peer.test"))
			        c.expect_fin().fin().expect_closed()
			    # Who is not trusted needs no header, and counts himself.
			    c = connect(address).send(hello("peer.test"))
			    c.expect(b"peer\n")
			    equal(Header(c).source, c.name()[0])
			    c.expect(c.sent).close()
		END
		wait_for_flow 'client=192.0.2.10:.* outcome=not-tls route=-'
	done
}

@test "HAProxy sends v1 and v2 with and without TLVs" {
	trusting
	snictl route add haproxy.test 198.51.100.11:443 --proxy v2
	local port
	for port in 9001 9002 9003; do
		run -0 fetch client "127.0.0.1:$port" haproxy.test
		assert_line --regexp "^src=127.0.0.1 port=${lines[1]} dst=127.0.0.1 dport=$port authority=haproxy.test id=[^-]"
		run -0 fetch client "[::1]:$port" haproxy.test
		assert_line --regexp "^src=::1 port=${lines[1]} dst=::1 dport=$port "
	done
	wait_for_flow "client=127.0.0.1:.* local=127.0.0.1:9003 outcome=routed"
}
