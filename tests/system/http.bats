#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Port 80: which request gets what, and that no request is ever sent where
# another was routed.

# shellcheck disable=SC2154 # set by what is loaded
load common
load router

setup_file() {
	file_lab --backends 2
	start_agent
	start_backend backend1 one
	start_backend backend2 two
}

start_backend() {
	lab_start --log "http-$1.log" "$1" env \
		HTTP_PEER_LOG="$lab_path/log/requests-$1" \
		"$BATS_TEST_DIRNAME/http_peer.py" serve "$2"
	wait_until grep -qx ready "$lab_path/log/http-$1.log"
}

setup() {
	: >"$lab_path/log/requests-backend1"
	: >"$lab_path/log/requests-backend2"
	routes <<-'END'
		listen add 443
		listen add 80 --http
		route add acme.test 198.51.100.11:443
		route add one.test 198.51.100.11:443 --http proxy
		route add two.test 198.51.100.12:443 --http proxy
		route add v6.test [2001:db8:2::11]:443 --http proxy
		route add .redirect.test 198.51.100.11:443 --http redirect
		route add off.test 198.51.100.11:443 --http off
		route add reject.test reject
	END
}

# get NAME PATH [OPTION...] - by curl, from the client.
get() {
	lab_exec client curl --silent --show-error --max-time 10 \
		--resolve "*:80:192.0.2.1" "http://$1$2" "${@:3}"
}

# requests BACKEND - what it was asked for.
requests() {
	cat "$lab_path/log/requests-$1"
}

# ---- which request gets what ------------------------------------------------

@test "acme, the default: challenges go to the backend's port 80, all else is redirected" {
	run -0 get acme.test /.well-known/acme-challenge/aZ_-09
	assert_output 'one token'
	wait_for_flow 'name=acme.test outcome=routed http=200 route=acme.test target=198.51.100.11:80 end=closed'
	run -0 get acme.test '/a/b?c=d' --include
	assert_line --regexp '^HTTP/1.1 301 Moved Permanently'
	assert_line --regexp '^Location: https://acme.test/a/b\?c=d.$'
	assert_line --regexp '^Date: ...,'
	wait_for_flow 'name=acme.test outcome=redirected http=301 route=acme.test target=- end=closed'
	assert_equal "$(requests backend1 | grep GET)" \
		'GET /.well-known/acme-challenge/aZ_-09 HTTP/1.1 host=acme.test'
}

@test "acme: what only begins like a challenge never reaches the backend" {
	local path
	for path in /.well-known/acme-challenge/ \
		/.well-known/acme-challenge/../../secret \
		/.well-known/acme-challenge/a/b \
		/.well-known/acme-challenge/a?b; do
		run -0 get acme.test "$path" --path-as-is --include
		assert_line --regexp '^HTTP/1.1 301'
	done
	assert_equal "$(requests backend1)" ''
}

@test "redirect: 301 for GET and HEAD, 308 for others, the port left out" {
	run -0 get redirect.test /x --head
	assert_line --regexp '^HTTP/1.1 301'
	run -0 get www.redirect.test /x --include --data body
	assert_line --regexp '^HTTP/1.1 308'
	assert_line --regexp '^Location: https://www.redirect.test/x.$'
	client <<-'END'
		c = connect("192.0.2.1", port=80)
		c.send(b"GET /y HTTP/1.1\r\nHost: WWW.redirect.test:80\r\n\r\n")
		c.expect_line(b"Location: https://WWW.redirect.test/y\r\n").read_all()
	END
	wait_for_flow 'name=www.redirect.test outcome=redirected http=308 route=.redirect.test'
}

@test "proxy: all goes to the backend, over IPv4 and IPv6" {
	run -0 get one.test /echo --request PUT --data 'the body'
	assert_line --partial 'PUT /echo HTTP/1.1'
	assert_output --partial 'the body'
	run -0 lab_exec client curl -sS --max-time 10 --resolve \
		'v6.test:80:[2001:db8:1::1]' http://v6.test/echo
	assert_line --partial 'X-Forwarded-For: 2001:db8:1::10'
	wait_for_flow 'client=\[2001:db8:1::10\]:[0-9]+ local=\[2001:db8:1::1\]:80 name=v6.test outcome=routed http=200 target=\[2001:db8:2::11\]:80'
}

@test "--http-target: another port, and another server" {
	snictl route replace one.test 198.51.100.11 --http proxy \
		--http-target 198.51.100.12
	run -0 get one.test /.well-known/acme-challenge/x
	assert_output 'two token'
	snictl route replace acme.test 198.51.100.11 \
		--http-target '[2001:db8:2::12]:80'
	run -0 get acme.test /.well-known/acme-challenge/x
	assert_output 'two token'
}

@test "off, reject, a name without route, no name: 404, each with its outcome" {
	local name
	for name in off.test reject.test nobody.test 192.0.2.1; do
		run -0 get "$name" / --include
		assert_line --regexp '^HTTP/1.1 404 Not Found'
		assert_line 'Nothing is served here by this name.'
	done
	wait_for_flow 'name=off.test outcome=rejected http=404'
	wait_for_flow 'name=reject.test outcome=rejected http=404'
	wait_for_flow 'name=nobody.test outcome=unknown-name http=404 route=-'
	wait_for_flow 'name=- outcome=no-sni http=404 route=-'
}

@test "a name without a route takes the rule of default, an address too" {
	snictl route add default 198.51.100.12 --http proxy
	run -0 get nobody.test /.well-known/acme-challenge/x
	assert_output 'two token'
	run -0 get 192.0.2.1 /.well-known/acme-challenge/x
	assert_output 'two token'
}

@test "the listener's own table goes before the common one" {
	snictl route add acme.test 198.51.100.12 --http proxy --on 80
	run -0 get acme.test /.well-known/acme-challenge/x
	assert_output 'two token'
}

@test "an absolute target is the host; another Host beside it is refused" {
	client <<-'END'
		c = connect("192.0.2.1", port=80)
		c.send(b"GET http://one.test/echo HTTP/1.1\r\nHost: one.test\r\n\r\n")
		c.expect_line(b"GET /echo HTTP/1.1\r\n").read_all()
		c = connect("192.0.2.1", port=80)
		c.send(b"GET http://one.test/echo HTTP/1.0\r\n\r\n")
		c.expect_line(b"GET /echo HTTP/1.0\r\n").expect_line(b"Host: one.test\r\n")
		c.close()
		c = connect("192.0.2.1", port=80)
		c.send(b"GET http://one.test/ HTTP/1.1\r\nHost: two.test\r\n\r\n")
		c.expect(b"HTTP/1.1 400 ")
	END
}

# ---- what the backend is told -----------------------------------------------

@test "the client's address is told, and nobody can forge it" {
	run -0 get one.test /echo --header 'X-Forwarded-For: 10.9.9.9' \
		--header 'X_Real_IP: 10.9.9.9' --header 'Forwarded: for=10.9.9.9' \
		--header 'X-Forwarded-Proto: https'
	assert_line --regexp '^X-Forwarded-For: 192.0.2.10.$'
	assert_line --regexp '^X-Real-IP: 192.0.2.10.$'
	assert_line --regexp '^X-Forwarded-Proto: http.$'
	assert_line --regexp '^X-Forwarded-Host: one.test.$'
	refute_output --partial 10.9.9.9
	refute_output --partial Forwarded:
}

@test "--trust-forwarded: what a trusted client says is appended to" {
	routes <<-'END'
		listen add 80 --http --trust-forwarded 192.0.2.0/24
		route add one.test 198.51.100.11:443 --http proxy --forwarded
	END
	run -0 get one.test /echo --header 'X-Forwarded-For: 10.9.9.9' \
		--header 'Forwarded: for=10.9.9.9'
	assert_line --regexp '^X-Forwarded-For: 10.9.9.9, 192.0.2.10.$'
	assert_line --regexp '^Forwarded: for=10.9.9.9, for=192.0.2.10;host="one.test";proto=http.$'
}

@test "--proxy v1: a PROXY header instead of fields" {
	snictl route replace one.test 198.51.100.11 --proxy v1 --http proxy \
		--http-target 198.51.100.11:81
	run -0 get one.test /echo
	refute_output --partial X-Forwarded
	run -0 requests backend1
	assert_line --index 0 --regexp '^PROXY TCP4 192.0.2.10 192.0.2.1 [0-9]+ 80$'
	assert_line --index 1 'GET /echo HTTP/1.1 host=one.test'
}

@test "--accept-proxy on an HTTP listener: the header's client counts" {
	routes <<-'END'
		listen add 80 --http --accept-proxy 192.0.2.10
		route add one.test 198.51.100.11:443 --http proxy
	END
	client <<-'END'
		c = connect("192.0.2.1", port=80)
		c.send(proxy_v1("203.0.113.9", 1234, "203.0.113.1", 80) +
		       b"GET /echo HTTP/1.1\r\nHost: one.test\r\n\r\n", cut=7)
		c.expect_line(b"X-Forwarded-For: 203.0.113.9\r\n").read_all()
	END
	wait_for_flow 'client=203.0.113.9:1234 local=203.0.113.1:80 name=one.test outcome=routed'
}

# ---- one request, one backend -----------------------------------------------

@test "a second request on the connection never reaches the first one's backend" {
	client <<-'END'
		first = b"POST /echo HTTP/1.1\r\nHost: one.test\r\nContent-Length: 5\r\n\r\nhello"
		second = b"GET /secret HTTP/1.1\r\nHost: two.test\r\n\r\n"
		for cut in 0, 1, [len(first)], [len(first) + 3]:
		    c = connect("192.0.2.1", port=80)
		    c.send(first + second, cut=cut)
		    got = c.read_all()
		    equal(got.count(b"HTTP/1.1 200"), 1)
		    equal(b"secret" in got, False)
		    equal(b"Connection: close\r\n" in got, True)
		    c.close()
		# Chunked, and a request that is hidden behind its end.
		for body in (b"5\r\nhello\r\n0\r\n\r\n", b"0\r\nX: y\r\n\r\n"):
		    c = connect("192.0.2.1", port=80)
		    c.send(b"POST /echo HTTP/1.1\r\nHost: one.test\r\n"
		           b"Transfer-Encoding: chunked\r\n\r\n" + body + second)
		    equal(b"secret" in c.read_all(), False)
	END
	wait_until eval '(($(grep -c "^over" "$lab_path/log/requests-backend1") == 6))'
	run -0 requests backend1
	refute_output --partial secret
	refute_output --partial extra
	run -0 requests backend2
	assert_output ''
}

@test "pipelined requests: one answer, and the connection ends" {
	client <<-'END'
		one = b"GET / HTTP/1.1\r\nHost: www.redirect.test\r\n\r\n"
		c = connect("192.0.2.1", port=80)
		c.send(one * 100)
		equal(c.read_all().count(b"HTTP/1.1 301"), 1)
	END
}

@test "smuggling: 400, close, and no byte to any backend" {
	before=$(counter outcomes.malformed)
	client <<-'END'
		start = b"POST /echo HTTP/1.1\r\nHost: one.test\r\n"
		for fields in (
		    b"Content-Length: 1\r\nContent-Length: 2\r\n",
		    b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
		    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
		    b"Content-Length: +5\r\n",
		    b"Content-Length : 5\r\n",
		    b"X: a\r\n folded: b\r\n",
		    b"X: a\rContent-Length: 5\r\n",
		    b"X: a\nContent-Length: 5\r\n",
		    b"X: a\0\r\n",
		    b"Host: two.test\r\n",
		    b"Connection: Content-Length\r\nContent-Length: 5\r\n"):
		    c = connect("192.0.2.1", port=80)
		    c.send(start + fields + b"\r\nhello")
		    equal(c.read_all().split(b"\r\n")[0], b"HTTP/1.1 400 Bad Request")
		    c.close()
	END
	wait_until counter_is outcomes.malformed $((before + 11))
	assert_equal "$(requests backend1)$(requests backend2)" ''
}

@test "odd chunk sizes: 400, and the backend never sees an end" {
	client <<-'END'
		for body in (b"0x5\r\nhello", b"5 \r\nhello", b"5\nhello",
		             b"5\r\nhello0\r\n\r\n", b"-1\r\n",
		             b"fffffffffffffffff\r\n", b"0\r\n X\r\n\r\n"):
		    c = connect("192.0.2.1", port=80)
		    c.send(b"POST /echo HTTP/1.1\r\nHost: one.test\r\n"
		           b"Transfer-Encoding: chunked\r\n\r\n" + body)
		    equal(c.read_all().split(b"\r\n")[0], b"HTTP/1.1 400 Bad Request")
		    c.close()
	END
	wait_for_flow 'name=one.test outcome=malformed http=400'
	wait_until eval '(($(grep -c broken "$lab_path/log/requests-backend1") == 7))'
}

@test "other transfer codings: 501; HTTP/2 by prior knowledge: 505; https targets: 421" {
	client <<-'END'
		for request, status in (
		    (b"GET / HTTP/1.1\r\nHost: one.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", b"501"),
		    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"505"),
		    (b"GET https://one.test/ HTTP/1.1\r\nHost: one.test\r\n\r\n", b"421")):
		    c = connect("192.0.2.1", port=80)
		    c.send(request).expect(b"HTTP/1.1 " + status)
		    c.close()
	END
}

# ---- bodies and responses ---------------------------------------------------

@test "responses by length, chunks and close end where they end" {
	run -0 get one.test /keep-open
	assert_output 'still open'
	run -0 get one.test /chunked
	assert_output 'hello world'
	run -0 get one.test /until-close
	assert_output 'all until the close'
	run -0 get one.test /empty --include
	assert_line --regexp '^HTTP/1.1 204'
	run -0 get one.test /head --head
	assert_line --regexp '^Content-Length: 1000'
	run -0 get one.test /hints --include
	assert_line --regexp '^HTTP/1.1 103'
	assert_line hinted
	run -0 get one.test /hints --include --http1.0
	refute_output --partial 103
	assert_line hinted
}

@test "Expect: 100-continue is the backend's to answer" {
	run -0 get one.test /expect --header 'Expect: 100-continue' \
		--expect100-timeout 8 --data 'hello'
	assert_output 'body=hello'
}

@test "a large upload, and a large download to a slow reader, both with backpressure" {
	head -c 67108864 /dev/urandom >"$BATS_TEST_TMPDIR/up"
	run -0 get one.test /count --upload-file "$BATS_TEST_TMPDIR/up" \
		--header 'Expect:'
	assert_output "67108864 $(sha256sum <"$BATS_TEST_TMPDIR/up" | cut -d' ' -f1)"
	client <<-'END'
		c = connect("192.0.2.1", port=80, receive_buffer=65536)
		c.send(b"GET /large HTTP/1.1\r\nHost: one.test\r\n\r\n")
		got = c.read_all()
		head, body = got.split(b"\r\n\r\n", 1)
		equal(body == bytes(range(256)) * (1 << 15), True)
	END
	wait_for_flow 'name=one.test outcome=routed bytes_in=6710[0-9]+ bytes_out=[0-9]+ end=closed'
}

@test "a response head that a client does not take at once" {
	client <<-'END'
		c = connect("192.0.2.1", port=80, receive_buffer=2048)
		c.send(b"GET /large-head HTTP/1.1\r\nHost: one.test\r\n\r\n")
		got = c.read_all()
		equal(got.count(b"x") >= 50000, True)
		equal(got.endswith(b"\r\n\r\nend"), True)
	END
}

@test "a backend that answers before the upload is through, and closes" {
	client <<-'END'
		c = connect("192.0.2.1", port=80)
		c.send(b"POST /early HTTP/1.1\r\nHost: one.test\r\nContent-Length: 100000\r\n\r\n" + b"x" * 1000)
		c.expect(b"HTTP/1.1 413 ")
	END
}

@test "a response that is cut: the client sees a reset, not an end" {
	client <<-'END'
		c = connect("192.0.2.1", port=80)
		c.send(b"GET /cut HTTP/1.1\r\nHost: one.test\r\n\r\n")
		c.expect_line(b"half").expect_reset()
	END
	wait_for_flow 'name=one.test outcome=routed http=200 end=reset-by-backend'
}

@test "backends that refuse, end, or speak something else: 502" {
	local path
	snictl route add down.test 198.51.100.11 --http proxy \
		--http-target 198.51.100.11:9
	run -0 get down.test / --include
	assert_line --regexp '^HTTP/1.1 502 Bad Gateway'
	wait_for_flow 'name=down.test outcome=connect-failed http=502 error="Connection refused"'
	for path in /nothing /garbage /cut-head /unasked; do
		run -0 get one.test "$path" --include
		assert_line --regexp '^HTTP/1.1 502 Bad Gateway'
	done
	run -0 get one.test /nothing --head
	assert_line --regexp '^HTTP/1.1 502'
}

@test "a backend that says nothing: 504; an exchange that stalls is ended" {
	snictl set http-idle-timeout 1s
	run -0 get one.test /silent --include
	assert_line --regexp '^HTTP/1.1 504 Gateway Timeout'
	wait_for_flow 'name=one.test outcome=connect-failed http=504'
	client <<-'END'
		c = connect("192.0.2.1", port=80)
		c.send(b"POST /echo HTTP/1.1\r\nHost: one.test\r\nContent-Length: 5\r\n\r\nhal")
		c.expect(b"HTTP/1.1 504")
	END
}

@test "WebSocket: after the 101 bytes go both ways, also those sent too early" {
	client <<-'END'
		request = (b"GET /websocket HTTP/1.1\r\nHost: one.test\r\n"
		           b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
		           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		           b"Sec-WebSocket-Version: 13\r\n\r\n")
		c = connect("192.0.2.1", port=80)
		c.send(request + b"early").expect(b"HTTP/1.1 101")
		c.expect_line(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")
		c.expect_line(b"firstearly")
		c.exchange(b"x" * 1000000)
		c.send(b"GET / HTTP/1.1\r\n").expect(b"GET / HTTP/1.1\r\n")
		c.fin().expect_fin()
	END
	wait_for_flow 'name=one.test outcome=routed http=101 datapath=(relay|sockmap|splice) end=closed'
}

@test "an upgrade to HTTP/2 is not passed on" {
	run -0 get one.test /websocket --header 'Connection: Upgrade, HTTP2-Settings' \
		--header 'Upgrade: h2c' --header 'HTTP2-Settings: AAMAAABk'
	assert_output 'upgrade=none'
}

# ---- limits -----------------------------------------------------------------

@test "slow requests: 408; a spare connection just ends" {
	snictl set http-request-timeout 500ms
	client <<-'END'
		c = connect("192.0.2.1", port=80)
		c.send(b"GET / HTTP/1.1\r\nHost: one.")
		c.expect(b"HTTP/1.1 408 Request Timeout\r\n")
		c = connect("192.0.2.1", port=80)
		c.expect_fin()
	END
	wait_for_flow 'name=- outcome=hello-timeout http=408'
}

@test "long request lines 414, large headers and many fields 431" {
	client <<-'END'
		def status(request):
		    c = connect("192.0.2.1", port=80)
		    c.send(request)
		    line = c.read(12)
		    c.close()
		    return line
		host = b"Host: www.redirect.test\r\n"
		equal(status(b"GET /" + b"x" * 9000), b"HTTP/1.1 414")
		equal(status(b"GET / HTTP/1.1\r\n" + host + b"X: " + b"x" * 65536),
		      b"HTTP/1.1 431")
		equal(status(b"GET / HTTP/1.1\r\n" + host + b"X: y\r\n" * 200),
		      b"HTTP/1.1 431")
		equal(status(b"GET / HTTP/1.1\r\n" + host + b"X: " + b"x" * 30000 + b"\r\n\r\n"),
		      b"HTTP/1.1 301")
	END
	wait_for_flow 'outcome=too-large http=414'
	wait_for_flow 'outcome=too-large http=431'
	snictl set http-header-max 1024
	run -0 get redirect.test / --header "X: $(printf '%01024d' 0)" --include
	assert_line --regexp '^HTTP/1.1 431'
}

@test "a request 1 byte at a time, and behind an empty line" {
	client <<-'END'
		request = b"GET /echo HTTP/1.1\r\nHost: one.test\r\n\r\n"
		c = connect("192.0.2.1", port=80)
		c.send(b"\r\n" + request, cut=1).expect(b"HTTP/1.1 200 OK\r\n")
	END
}

@test "a client that leaves before its request is whole, and one that half-closes behind it" {
	client <<-'END'
		connect("192.0.2.1", port=80).fin().expect_fin()
		connect("192.0.2.1", port=80).send(b"GET / HT").fin().expect_fin()
		c = connect("192.0.2.1", port=80)
		c.send(b"GET /echo HTTP/1.1\r\nHost: one.test\r\n\r\n").fin()
		c.expect(b"HTTP/1.1 200 OK\r\n")
	END
	wait_for_flow 'name=- outcome=client-gone'
}

# ---- the wrong port ---------------------------------------------------------

@test "TLS on the HTTP port: an alert" {
	client <<-'END'
		c = connect("192.0.2.1", port=80)
		c.send(hello("one.test")).expect_alert(40).expect_fin()
	END
	wait_for_flow 'listener=80 outcome=tls-on-http'
	run ! lab_exec client curl -sS --max-time 10 --resolve \
		one.test:80:192.0.2.1 https://one.test:80/
	assert_output --partial 'handshake failure'
}

@test "HTTP on the TLS port: 400 and a sentence, unless a route takes it" {
	run -0 lab_exec client curl -sS --max-time 10 --include \
		--resolve one.test:443:192.0.2.1 http://one.test:443/
	assert_line --regexp '^HTTP/1.1 400 Bad Request'
	assert_line 'This port speaks TLS, and this was plain HTTP: use https://'
	wait_for_flow 'listener=443 outcome=http-on-tls http=400'
	snictl route add other 198.51.100.12:80
	run -0 lab_exec client curl -sS --max-time 10 \
		--resolve one.test:443:192.0.2.1 \
		http://one.test:443/.well-known/acme-challenge/x
	assert_output 'two token'
}

# ---- loops ------------------------------------------------------------------

@test "a target that is our own port 80: refused where it is said, redirected where it follows" {
	run -1 snictl route add loop.test 198.51.100.11 --http-target 127.0.0.1
	assert_output --partial 'our own listener 80'
	run -1 snictl route add loop.test 127.0.0.1:8443 --http proxy
	assert_output --partial 'our own listener 80'
	snictl route add loop.test 127.0.0.1:8443
	run -0 get loop.test /.well-known/acme-challenge/x --include
	assert_line --regexp '^HTTP/1.1 301'
}

# ---- ALPN -------------------------------------------------------------------

@test "--alpn: before the name's own route, for those who offer it" {
	start_peer backend1 one
	start_peer backend2 two
	routes <<-'END'
		route add a.test 198.51.100.11:443
		route add a.test 198.51.100.12:443 --alpn acme-tls/1
		route add default 198.51.100.12:443 --alpn h2
	END
	client <<-'END'
		def tag(name, alpn):
		    c = connect("192.0.2.1").send(hello(name, alpn=alpn))
		    c.expect_backend("two" if "acme-tls/1" in alpn or name != "a.test" else "one")
		    c.close()
		tag("a.test", [])
		tag("a.test", ["h2", "http/1.1"])
		tag("a.test", ["acme-tls/1"])
		tag("a.test", ["h2", "acme-tls/1"])
		tag("b.test", ["h2"])
		c = connect("192.0.2.1").send(hello("b.test", alpn=["x"]))
		c.expect_alert(112)
	END
	run -0 snictl explain a.test --alpn acme-tls/1
	assert_line --partial 'a.test with ALPN acme-tls/1: 198.51.100.12:443, taken'
	run -0 snictl explain a.test
	assert_line --partial 'a.test: 198.51.100.11:443, taken'
	snictl route del a.test --alpn acme-tls/1
	client <<-'END'
		c = connect("192.0.2.1").send(hello("a.test", alpn=["acme-tls/1"]))
		c.expect_backend("one")
	END
}
