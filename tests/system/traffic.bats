#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The traffic tool against itself, and against a relay that cheats: a checker
# is worth what it catches.

load common

# In a network of its own with nothing but loopback: the server on port 443.
setup() {
	lab_up
	traffic_serve client ${SERVE_OPTIONS:-}
}

connect() {
	traffic_connect --to 127.0.0.1:443 "$@"
}

# through FAULT... - connect by way of tamper.py.
through() {
	lab_start --log tamper.log client \
		"$BATS_TEST_DIRNAME/tamper.py" 444 443 "$1" "$2" "$3"
	wait_until grep -qx ready "$lab_path/log/tamper.log"
	run --separate-stderr traffic_connect --to 127.0.0.1:444 \
		--timeout 5 "${@:4}"
}

# caught CLIENT|SERVER KIND - exactly that failure was counted there, and the
# exit status says so.
caught() {
	local summary=$output
	if [[ $1 == server ]]; then
		run traffic_check client
		assert_failure
		summary=$(traffic_summary client)
	else
		assert_failure 1
	fi
	jq -e --arg kind "$2" '.failures[$kind] >= 1' <<<"$summary" ||
		fail "no failure \"$2\": $summary"
}

# ---- what is right ----------------------------------------------------------

@test "every shape is right against itself, over IPv4 and IPv6" {
	run -0 --separate-stderr connect --to '[::1]:443' --shape all \
		--connections 300 --size 0-200000 --stall 20 --seed 3
	assert_equal "$(jq -c '[.connections, .completed, .failed]' \
		<<<"$output")" '[300,300,0]'
	traffic_check client
	assert_equal "$(traffic_summary client | jq .completed)" 300
}

@test "each shape alone is right" {
	local shape
	for shape in echo down up both immediate client-fin server-fin \
		client-reset server-reset client-stall server-stall bytes \
		eager burst; do
		connect --shape "$shape" --connections 5 --size 0-20000 \
			--stall 10
	done
	traffic_check client
}

@test "idle: all are held at once, and answer when they are released" {
	lab_start --log idle.log client "$build/tests/tools/traffic" connect \
		--to 127.0.0.1:443 --shape idle --connections 200 \
		--concurrency 200
	wait_until grep -qx parked "$lab_path/log/idle.log"
	run -0 lab_exec client ss -Htn state established dport = :443
	assert_equal "${#lines[@]}" 200
	kill -USR1 "$started"
	wait_until grep -q '"completed": 200' "$lab_path/log/idle.log"
	traffic_check client
}

@test "a stalled reader holds the sender up until it is released" {
	lab_start --log stall.log client "$build/tests/tools/traffic" connect \
		--to 127.0.0.1:443 --shape client-stall --stall signal \
		--size 50000000
	wait_until grep -qx parked "$lab_path/log/stall.log"
	kill -USR1 "$started"
	wait_until grep -q '"bytes_received": 50000000' \
		"$lab_path/log/stall.log"
	traffic_check client
}

@test "the hello in any number of records and segments, up to 64 KiB" {
	connect --name pbx.example.com --records 7
	connect --name pbx.example.com --records 1000 --segment 1 \
		--hello-bytes 1000
	connect --name pbx.example.com --hello-bytes 65536 --name-last
	connect --hello-bytes 20000 --records 20000 --alpn h2,http/1.1
	traffic_check client
}

@test "OpenSSL reads the hello as one" {
	local folder=$BATS_TEST_TMPDIR
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-subj /CN=test -keyout "$folder/key" -out "$folder/certificate"
	# It would end at the end of its input.
	lab_start --log openssl.log client bash -c 'sleep 1000 | "$@"' bash \
		openssl s_server -accept 445 -cert "$folder/certificate" \
		-key "$folder/key" -servername pbx.example.com \
		-cert2 "$folder/certificate" -key2 "$folder/key" \
		-tlsextdebug -alpn h2
	wait_for_port client 445
	run --separate-stderr traffic_connect --to 127.0.0.1:445 \
		--name pbx.example.com --alpn h2,http/1.1 --hello-bytes 1800
	# What comes back begins with a handshake record, and with no alert.
	assert_regex "$stderr" 'byte 0x16 at offset 0 '
	wait_until grep -A1 -F 'TLS client extension "server name"' \
		"$lab_path/log/openssl.log"
	wait_until grep -F '.....pbx.example' "$lab_path/log/openssl.log"
}

@test "the same seed gives the same bytes" {
	local first second
	first=$(connect --shape both --size 0-100000 --connections 20 --seed 9)
	second=$(connect --shape both --size 0-100000 --connections 20 --seed 9)
	assert_equal "$(jq .bytes_sent <<<"$first")" \
		"$(jq .bytes_sent <<<"$second")"
}

# ---- what is wrong ----------------------------------------------------------

@test "a faithful relay passes" {
	through up none 0 --shape both --size 20000
	assert_success
	traffic_check client
}

@test "a byte that the server does not get" {
	through up drop 5000 --shape both --size 20000
	caught server corrupt
	assert_output --partial '1 lost'
}

@test "a byte that the server gets twice" {
	through up double 5000 --shape both --size 20000
	caught server corrupt
	assert_output --partial '1 doubled'
}

@test "a bit that is another one for the server" {
	through up flip 5000 --shape both --size 20000
	caught server corrupt
}

@test "bytes that reach the server in another order" {
	through up swap 5000 --shape both --size 20000
	caught server corrupt
}

@test "a byte that the client does not get" {
	through down drop 5000 --shape both --size 20000
	caught client corrupt
	assert_regex "$stderr" '1 lost'
}

@test "a byte that the client gets twice" {
	through down double 5000 --shape both --size 20000
	caught client corrupt
	assert_regex "$stderr" '1 doubled'
}

@test "the last byte of a stream is another one" {
	through down flip -1 --shape down --size 20000
	caught client corrupt
}

@test "a byte too many" {
	through down append 0 --shape down --size 20000
	caught client long
}

@test "a stream that ends early" {
	through down cut 5000 --shape down --size 20000
	caught client short
}

@test "a stream that ends early, for the server" {
	through up cut 5000 --shape up --size 20000
	caught server short
}

@test "a client's reset that arrives as a clean end" {
	through up end-for-reset 0 --shape client-reset --size 20000
	caught server clean_end
}

@test "a server's reset that arrives as a clean end" {
	through down end-for-reset 0 --shape server-reset --size 20000
	caught client clean_end
}

@test "a clean end that arrives as a reset" {
	through down reset-for-end 0 --shape down --size 20000
	caught client reset
}

@test "two connections whose bytes reach each other's server" {
	through up cross 2000 --shape both --size 20000 --connections 2
	assert_failure 1
	caught server corrupt
}

@test "two clients that get each other's bytes" {
	# 1,995 bytes and a record header.
	through up cross 2000 --shape down --size 20000 --connections 2 \
		--hello-bytes 1995
	caught client corrupt
}

@test "a hello that is another one" {
	through up flip 60 --shape up --size 100
	caught server hello
}

@test "somebody who never answers" {
	lab_start client python3 -c '
import socket, time
listener = socket.create_server(("127.0.0.1", 444))
time.sleep(1000)'
	wait_for_port client 444
	run --separate-stderr traffic_connect --to 127.0.0.1:444 --timeout 1
	caught client timeout
}

@test "nobody there" {
	run --separate-stderr traffic_connect --to 127.0.0.1:9
	caught client connect
}

@test "a connection for somebody else" {
	lab_stop "$started"
	traffic_serve client --expect-name cloud.example.com
	connect --name cloud.example.com
	run --separate-stderr connect --name pbx.example.com
	assert_failure 1
	caught server name
}

# ---- PROXY ------------------------------------------------------------------

# proxied VERSION SOURCE DESTINATION - a connection with a header that says so.
proxied() {
	connect --send-proxy "$1" --proxy-source "$2" \
		--proxy-destination "$3" --size 1000
}

@test "PROXY v1 and v2, with IPv4 and IPv6" {
	local version
	for version in v1 v2; do
		lab_stop "$started"
		traffic_serve client --expect-proxy "$version"
		proxied "$version" 192.0.2.7:1234 192.0.2.1:443
		proxied "$version" '[2001:db8::7]:1234' '[2001:db8::1]:443'
		traffic_check client
	done
}

@test "PROXY that is missing, or of the other version, or not expected" {
	run --separate-stderr proxied v1 192.0.2.7:1234 192.0.2.1:443
	assert_failure 1
	caught server hello
	lab_stop "$started"
	traffic_serve client --expect-proxy v1
	run --separate-stderr connect
	assert_failure 1
	caught server proxy
	traffic_serve client --expect-proxy v2
	run --separate-stderr proxied v1 192.0.2.7:1234 192.0.2.1:443
	assert_failure 1
	caught server proxy
}

@test "PROXY with another client's port" {
	lab_stop "$started"
	traffic_serve client --expect-proxy v1
	# PROXY TCP4 192.0.2.7 192.0.2.1 1234 443: 1234 becomes 1235.
	through up flip 34 --shape up --send-proxy v1 --proxy-source 192.0.2.7:1234 \
		--proxy-destination 192.0.2.1:443
	caught server proxy
}

@test "bad usage: exit status 2, and nothing was tried" {
	run -2 connect --shape nonsense
	assert_output --partial 'unknown shape'
	run -2 connect --size 5-1
	run -2 connect --size unlimited
	run -2 connect --send-proxy v3
	run -2 "$build/tests/tools/traffic" serve
	assert_output --partial '--listen is missing'
}

@test "no connection at all is no success" {
	run traffic_check client
	assert_failure
	assert_equal "$(traffic_summary client | jq .connections)" 0
}

@test "clients wait for an answer, where there is to be one" {
	run -0 --separate-stderr connect --shape echo,up,both --connections 30
	lab_start --log answering.log client "$build/tests/tools/traffic" \
		serve --listen 127.0.0.1:444 --answer 9
	wait_until grep -qx ready "$lab_path/log/answering.log"
	run -0 --separate-stderr traffic_connect --to 127.0.0.1:444 \
		--shape all --connections 60 --stall 10 --answer 9
	# No answer comes: nothing is sent, also not by halves.
	run -1 --separate-stderr connect --shape up --answer 9 --timeout 1
	jq -e '.failures.timeout == 1 and .bytes_sent == 0' <<<"$output"
	run -1 --separate-stderr connect --shape both --answer 9 --size 5
	jq -e '.failures.corrupt == 1' <<<"$output"
}

# serving COUNT - so many processes of the server share the work.
serving() {
	(($(pgrep -c -P "$started") == $1))
}

@test "several processes: all that they do is in the reports" {
	lab_start --log several.log client "$build/tests/tools/traffic" \
		serve --listen 127.0.0.1:444 --processes 3
	wait_until grep -qx ready "$lab_path/log/several.log"
	wait_until serving 3
	run -0 --separate-stderr traffic_connect --to 127.0.0.1:444 \
		--shape echo --seconds 0.3 --processes 2 --concurrency 6
	lab_stop "$started"
	# The server's comes behind its "ready".
	sed 1d "$lab_path/log/several.log" |
		jq -e --argjson client "$output" '.failed == 0 and
			.completed == $client.completed and
			.bytes_received == $client.bytes_sent'
}

@test "several processes: what one fails at is a failure of all" {
	lab_start --log several.log client "$build/tests/tools/traffic" \
		serve --listen 127.0.0.1:444 --processes 3
	wait_until grep -qx ready "$lab_path/log/several.log"
	wait_until serving 3
	kill -KILL "$(pgrep -n -P "$started")"
	wait_until serving 2
	run -0 --separate-stderr traffic_connect --to 127.0.0.1:444 \
		--seconds 0.1 --processes 2
	lab_stop "$started"
	sed 1d "$lab_path/log/several.log" |
		jq -e '.failures == {system: 1} and .completed > 0 and
			.seconds < 60'
	run -2 traffic_connect --to 127.0.0.1:444 --processes 2
	assert_output --partial 'needs "--seconds"'
}
