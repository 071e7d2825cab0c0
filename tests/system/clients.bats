#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Real TLS clients reach the server whose name they ask for, over IPv4 and
# IPv6, verify its certificate, and get every byte of a file.

# shellcheck disable=SC2154 # set by what is loaded
load common
load router
load servers

setup_file() {
	file_lab --backends 2
	start_agent
	servers_begin
	start_nginx backend1 ssl one.example.com
	start_nginx backend2 ssl two.example.com
	# Names for the clients that look them up: this file's own hosts.
	in_mounts_file
}

setup() {
	routes <<-'END'
		route add one.example.com 198.51.100.11:443
		route add two.example.com [2001:db8:2::12]:443
	END
	got=$BATS_TEST_TMPDIR/got
}

# in_mounts_file - /etc/hosts as the clients see it.
in_mounts_file() {
	cat >"$BATS_FILE_TMPDIR/hosts" <<-'END'
		127.0.0.1 localhost
		192.0.2.1 one.example.com two.example.com
		2001:db8:1::1 one.example.com two.example.com
	END
}

# with_names COMMAND... - in the client, with that /etc/hosts.
with_names() {
	# shellcheck disable=SC2016 # the inner shell's
	lab_exec client unshare --mount sh -c \
		'mount --bind "$0" /etc/hosts && exec "$@"' \
		"$BATS_FILE_TMPDIR/hosts" timeout 20 "$@"
}

# arrived NAME - the file is whole, and the flow was that name's.
arrived() {
	cmp "$got" "$servers/big"
	wait_for_flow "name=$1 outcome=routed route=$1"
}

request() {
	printf 'GET /big HTTP/1.0\r\n\r\n'
}

# body - of an HTTP response: what follows the first empty line.
body() {
	sed '1,/^\r$/d'
}

@test "curl" {
	local name family
	for name in one.example.com two.example.com; do
		for family in -4 -6; do
			with_names curl "$family" --silent --show-error --fail \
				--cacert "$ca" --output "$got" \
				"https://$name/big"
			arrived "$name"
		done
	done
}

@test "curl with TLS 1.2" {
	with_names curl --silent --show-error --fail --tls-max 1.2 \
		--cacert "$ca" --output "$got" https://one.example.com/big
	arrived one.example.com
}

@test "wget" {
	local name family
	for name in one.example.com two.example.com; do
		for family in -4 -6; do
			with_names wget "$family" --quiet --tries=1 \
				--ca-certificate="$ca" --output-document="$got" \
				"https://$name/big"
			arrived "$name"
		done
	done
}

@test "openssl s_client" {
	local address version
	for address in 192.0.2.1:443 '[2001:db8:1::1]:443'; do
		for version in -tls1_2 -tls1_3; do
			request | with_names openssl s_client -quiet \
				"$version" \
				-connect "$address" \
				-servername one.example.com \
				-verify_hostname one.example.com \
				-verify_return_error -CAfile "$ca" \
				2>/dev/null | body >"$got"
			arrived one.example.com
		done
	done
}

@test "openssl s_client without a server name gets unrecognized_name" {
	run ! with_names openssl s_client -connect 192.0.2.1:443 -noservername
	assert_output --partial 'unrecognized name'
	wait_for_flow 'name=- outcome=no-sni'
	run ! with_names openssl s_client -connect 192.0.2.1:443 \
		-servername other.example.com
	assert_output --partial 'unrecognized name'
	wait_for_flow 'name=other.example.com outcome=unknown-name'
}

@test "openssl s_client with early data, which a server accepts" {
	local session=$BATS_TEST_TMPDIR/session early=$BATS_TEST_TMPDIR/early
	local -a ask=(openssl s_client -connect 192.0.2.1:443 -tls1_3
		-servername one.example.com -CAfile "$ca")
	request | with_names "${ask[@]}" -sess_out "$session" -ign_eof \
		>/dev/null 2>&1
	request >"$early"
	with_names "${ask[@]}" -sess_in "$session" -early_data "$early" \
		-ign_eof </dev/null >"$got" 2>&1
	grep --text 'Early data was accepted' "$got"
	# The request went in the early data, so the file came for it.
	[[ $(stat -c %s "$got") -gt $(stat -c %s "$servers/big") ]]
}

@test "gnutls-cli" {
	local name
	for name in one.example.com two.example.com; do
		# It ends when its input does: that stays open for the answer.
		request | with_names gnutls-cli --x509cafile="$ca" \
			--logfile="$BATS_TEST_TMPDIR/log" "$name" |
			body >"$got"
		arrived "$name"
	done
}

@test "gnutls-cli is told the alert" {
	run ! with_names gnutls-cli --x509cafile="$ca" \
		--sni-hostname=other.example.com 192.0.2.1 </dev/null
	assert_output --partial 'server name sent was not recognized'
}

@test "python" {
	with_names python3 - "$ca" "$got" <<-'END'
		import ssl, sys, urllib.request
		context = ssl.create_default_context(cafile=sys.argv[1])
		for name in "one.example.com", "two.example.com":
		    url = f"https://{name}/big"
		    with urllib.request.urlopen(url, context=context) as answer:
		        data = answer.read()
		open(sys.argv[2], "wb").write(data)
	END
	arrived two.example.com
}

@test "node 26, with a post-quantum hello" {
	local node
	node=$("$BATS_TEST_DIRNAME/node-26") ||
		skip "node 26 cannot be had from npm: $node"
	local family
	for family in 4 6; do
		with_names "$node" - "$family" "$got" "$ca" <<-'END'
			const https = require("https"), fs = require("fs");
			const [, , family, file, ca] = process.argv;
			https.get("https://one.example.com/big",
				{ family: Number(family), ca: fs.readFileSync(ca) },
				(answer) => answer.pipe(fs.createWriteStream(file)));
		END
		arrived one.example.com
	done
}
