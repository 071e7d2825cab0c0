#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Certificates renew through the router: Pebble, the ACME server of Let's
# Encrypt's tests, validates from outside.

# shellcheck disable=SC2154 # set by what is loaded
load common
load router
load servers

# Pebble in "client", whose names all lead to the router.
setup() {
	command -v pebble pebble-challtestsrv >/dev/null ||
		skip "there is no Pebble"
	lab_up --backends 1
	servers_begin
	start_agent
	server_folder client pebble pebble.test
	fill "$folder" pebble.json ADDRESS=192.0.2.10
	lab_start --log challtestsrv.log client pebble-challtestsrv \
		-defaultIPv4 192.0.2.1 -defaultIPv6 2001:db8:1::1 \
		-dns01 127.0.0.1:8053 -http01 '' -https01 '' -tlsalpn01 '' \
		-management 127.0.0.1:8055
	wait_for_port client 8053
	lab_start --log pebble.log client env PEBBLE_VA_NOSLEEP=1 \
		PEBBLE_WFE_NONCEREJECT=0 pebble -config "$folder/pebble.json" \
		-dnsserver 127.0.0.1:8053
	wait_for_port client 14000
	# The backends reach it through the router, which forwards nothing else.
	directory=https://198.51.100.1:14000/dir
}

# names FILE - those that a certificate is for.
names() {
	openssl x509 -in "$1" -noout -ext subjectAltName -issuer
}

# certbot_on_backend COMMAND... - on port 80 itself.
certbot_on_backend() {
	lab_exec backend1 certbot "$1" --standalone --server "$directory" \
		--no-verify-ssl --non-interactive --config-dir "$folder" \
		--work-dir "$folder" --logs-dir "$folder" "${@:2}"
}

@test "certbot on a backend renews its own certificate by HTTP-01" {
	command -v certbot >/dev/null || skip "there is no certbot"
	routes <<-'END'
		listen add 443
		listen add 14000
		route add default 192.0.2.10:14000 --on 14000
		listen add 80 --http
		route add pbx.example.com 198.51.100.11:443
	END
	local folder=$BATS_TEST_TMPDIR/certbot
	run -0 certbot_on_backend certonly --agree-tos \
		--register-unsafely-without-email --domain pbx.example.com
	run -0 certbot_on_backend renew --force-renewal \
		--no-random-sleep-on-renew
	run -0 names "$folder/live/pbx.example.com/cert.pem"
	assert_output --partial DNS:pbx.example.com
	assert_output --partial Pebble
	[[ -e $folder/archive/pbx.example.com/cert2.pem ]]
	wait_for_flow 'name=pbx.example.com outcome=routed http=200 target=198.51.100.11:80'
}

# dehydrated_config FOLDER LINE...
dehydrated_config() {
	mkdir -p "$1/www" "$1/alpn"
	cat >"$1/config" <<-END
		CA=$directory
		CURL_OPTS=--insecure
		BASEDIR=$1
		IP_VERSION=4
	END
	printf '%s\n' "${@:2}" >>"$1/config"
}

@test "dehydrated on a backend renews its own certificate by HTTP-01" {
	command -v dehydrated >/dev/null || skip "there is no dehydrated"
	start_plain apache backend1 80 pbx.example.com
	routes <<-'END'
		listen add 443
		listen add 14000
		route add default 192.0.2.10:14000 --on 14000
		listen add 80 --http
		route add pbx.example.com 198.51.100.11:443
	END
	local folder=$BATS_TEST_TMPDIR/dehydrated
	local webroot=$servers/backend1-apache-http/www/.well-known/acme-challenge
	mkdir -p "$webroot"
	dehydrated_config "$folder" "WELLKNOWN=$webroot"
	run -0 lab_exec backend1 dehydrated --config "$folder/config" \
		--register --accept-terms
	run -0 lab_exec backend1 dehydrated --config "$folder/config" \
		--cron --domain pbx.example.com
	run -0 lab_exec backend1 dehydrated --config "$folder/config" \
		--cron --domain pbx.example.com --force
	run -0 names "$folder/certs/pbx.example.com/cert.pem"
	assert_output --partial DNS:pbx.example.com
}

@test "dehydrated on a backend renews its own certificate by TLS-ALPN-01" {
	command -v dehydrated >/dev/null || skip "there is no dehydrated"
	routes <<-'END'
		listen add 443
		listen add 14000
		route add default 192.0.2.10:14000 --on 14000
		route add pbx.example.com 198.51.100.11:443
	END
	local folder=$BATS_TEST_TMPDIR/dehydrated
	export ALPN=$folder/alpn ALPN_PORT=443
	dehydrated_config "$folder" CHALLENGETYPE=tls-alpn-01 \
		"ALPNCERTDIR=$ALPN" "HOOK=$BATS_TEST_DIRNAME/servers/dehydrated-hook"
	run -0 lab_exec backend1 dehydrated --config "$folder/config" \
		--register --accept-terms
	run -0 lab_exec backend1 dehydrated --config "$folder/config" \
		--cron --domain pbx.example.com
	run -0 lab_exec backend1 dehydrated --config "$folder/config" \
		--cron --domain pbx.example.com --force
	run -0 names "$folder/certs/pbx.example.com/cert.pem"
	assert_output --partial DNS:pbx.example.com
	wait_for_flow 'name=pbx.example.com alpn=acme-tls/1 outcome=routed target=198.51.100.11:443'
}

@test "dehydrated on the router answers TLS-ALPN-01 for a name whose TLS is a backend's" {
	command -v dehydrated >/dev/null || skip "there is no dehydrated"
	start_nginx backend1 ssl pbx.example.com
	routes <<-'END'
		listen add 443
		listen add 14000
		route add default 192.0.2.10:14000 --on 14000
		route add pbx.example.com 198.51.100.11:443
		route add pbx.example.com 127.0.0.1:4443 --alpn acme-tls/1
	END
	local folder=$BATS_TEST_TMPDIR/dehydrated
	export ALPN=$folder/alpn ALPN_PORT=4443
	dehydrated_config "$folder" CHALLENGETYPE=tls-alpn-01 \
		"ALPNCERTDIR=$ALPN" "HOOK=$BATS_TEST_DIRNAME/servers/dehydrated-hook"
	run -0 lab_exec router dehydrated --config "$folder/config" \
		--register --accept-terms
	run -0 lab_exec router dehydrated --config "$folder/config" \
		--cron --domain pbx.example.com
	run -0 names "$folder/certs/pbx.example.com/cert.pem"
	assert_output --partial DNS:pbx.example.com
	# All others go to the backend meanwhile.
	run -0 fetch client 192.0.2.1:443 pbx.example.com
	assert_output --partial server=pbx.example.com
	wait_for_flow 'name=pbx.example.com alpn=acme-tls/1 outcome=routed target=127.0.0.1:4443'
}
