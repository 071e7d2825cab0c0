#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What people do with port 80 today, with the servers and clients that they
# use. Each has a lab of its own.

# shellcheck disable=SC2154 # set by what is loaded
load common
load router
load servers

begin() {
	lab_up "$@"
	servers_begin
	start_agent
}

# plain ADDRESS NAME PATH [OPTION...] - by curl, from the client.
plain() {
	lab_exec client curl --silent --show-error --max-time 10 \
		--connect-to "::$1:80" "http://$2$3" "${@:4}"
}

# challenge HOST-KIND TEXT - what an ACME client leaves in the web root.
challenge() {
	mkdir -p "$servers/$1/www/.well-known/acme-challenge"
	echo "$2" >"$servers/$1/www/.well-known/acme-challenge/token-1"
}

acme=/.well-known/acme-challenge/token-1

@test ".well-known of one name to its PBX, all else to the local web server" {
	begin --backends 1
	start_plain apache backend1 80 pbx.example.com
	challenge backend1-apache-http of-the-pbx
	plain_router4=127.0.0.1 plain_router6=::1 \
		start_plain nginx router 8080 local.example.com
	challenge router-nginx-http of-the-router
	routes <<-'END'
		listen add 443
		listen add 80 --http
		route add pbx.example.com 198.51.100.11:443
		route add default 127.0.0.1:8443 --http proxy --http-target 127.0.0.1:8080
	END
	local router client
	for router in 192.0.2.1 '[2001:db8:1::1]'; do
		client=192.0.2.10
		[[ $router != \[* ]] || client=2001:db8:1::10
		run -0 plain "$router" pbx.example.com $acme
		assert_output of-the-pbx
		wait_for_log backend1-apache-http \
			"client=$client host=pbx.example.com uri=$acme"
		run -0 plain "$router" pbx.example.com '/admin?x=1' --include
		assert_line --regexp '^Location: https://pbx.example.com/admin\?x=1.$'
		run -0 plain "$router" cloud.example.com /
		assert_output "server=local.example.com client=$client"
		run -0 plain "$router" cloud.example.com $acme
		assert_output of-the-router
		plain "$router" cloud.example.com /big | cmp - "$servers/big"
		wait_for_log router-nginx-http \
			"client=$client host=cloud.example.com uri=/big"
	done
	run ! grep -v acme-challenge "$servers/backend1-apache-http/access.log"
}

@test "two names proxied whole with X-Real-IP and X-Forwarded-For, the others redirected" {
	begin --backends 2
	start_plain nginx backend1 80 one.example.com
	start_plain apache backend2 80 two.example.com
	routes <<-'END'
		listen add 443
		listen add 80 --http
		route add one.example.com 198.51.100.11:443 --http proxy
		route add two.example.com [2001:db8:2::12]:443 --http proxy
		route add default 198.51.100.11:443 --http redirect
	END
	local router client
	for router in 192.0.2.1 '[2001:db8:1::1]'; do
		client=192.0.2.10
		[[ $router != \[* ]] || client=2001:db8:1::10
		run -0 plain "$router" one.example.com /
		assert_output "server=one.example.com client=$client"
		plain "$router" one.example.com /big | cmp - "$servers/big"
		wait_for_log backend1-nginx-http \
			"client=$client host=one.example.com uri=/big xff=$client"
		plain "$router" two.example.com /big | cmp - "$servers/big"
		wait_for_log backend2-apache-http \
			"client=$client host=two.example.com uri=/big"
		run -0 plain "$router" three.example.com /x --include
		assert_line --regexp '^HTTP/1.1 301'
		assert_line --regexp '^Location: https://three.example.com/x.$'
	done
	# A second request of the same connection, for the other name.
	run -0 lab_exec client curl -sS --max-time 10 \
		--connect-to ::192.0.2.1:80 \
		http://one.example.com/ http://two.example.com/
	assert_line 'server=one.example.com client=192.0.2.10'
	assert_line 'server=two.example.com'
}

@test "a plain nginx that takes the PROXY header" {
	begin --backends 1
	plain_listen=proxy_protocol plain_real=proxy_protocol \
		start_plain nginx backend1 80 one.example.com
	routes <<-'END'
		listen add 80 --http
		route add one.example.com 198.51.100.11:443 --proxy v2 --http proxy
	END
	run -0 plain 192.0.2.1 one.example.com /
	assert_output 'server=one.example.com client=192.0.2.10'
}

@test "curl follows the redirection, with its certificate verified" {
	begin --backends 1
	start_nginx backend1 ssl cloud.example.com
	routes <<-'END'
		listen add 443
		listen add 80 --http
		route add cloud.example.com 198.51.100.11:443
	END
	run -0 lab_exec client curl -sS --fail --max-time 10 --location \
		--cacert "$ca" --connect-to ::192.0.2.1: \
		--write-out '%{num_redirects} %{url_effective}\n' \
		http://cloud.example.com/index.txt
	assert_line server=cloud.example.com
	assert_line '1 https://cloud.example.com/index.txt'
	# A POST stays one.
	run lab_exec client curl -sS --max-time 10 --location --cacert "$ca" \
		--connect-to ::192.0.2.1: --data x --output /dev/null \
		--write-out '%{http_code} %{method}\n' \
		http://cloud.example.com/index.txt
	assert_output --regexp 'POST$'
}

@test "a browser follows the redirection" {
	local browser
	browser=$(command -v chromium || command -v chromium-browser) ||
		skip "there is no Chromium"
	begin --backends 1
	start_nginx backend1 ssl cloud.example.com
	routes <<-'END'
		listen add 443
		listen add 80 --http
		route add cloud.example.com 198.51.100.11:443
	END
	run lab_exec client timeout 60 "$browser" --headless --no-sandbox \
		--disable-gpu --user-data-dir="$BATS_TEST_TMPDIR/profile" \
		--disable-features=HttpsUpgrades --ignore-certificate-errors \
		--host-resolver-rules='MAP cloud.example.com 192.0.2.1' \
		--dump-dom http://cloud.example.com/
	assert_output --partial 'server=cloud.example.com client='
	wait_for_flow 'listener=80 name=cloud.example.com outcome=redirected http=301'
	wait_for_flow 'listener=443 name=cloud.example.com outcome=routed'
}

@test "wrk: every request is answered, and nothing stays" {
	command -v wrk >/dev/null || skip "there is no wrk"
	begin --backends 1
	start_plain nginx backend1 80 one.example.com
	routes <<-'END'
		listen add 80 --http
		route add one.example.com 198.51.100.11:443 --http proxy
		route add two.example.com 198.51.100.11:443 --http redirect
	END
	local name
	for name in one two; do
		run -0 lab_exec client wrk --connections 32 --threads 2 \
			--duration 2s --header "Host: $name.example.com" \
			http://192.0.2.1/
		assert_line --regexp '^ *[0-9]+ requests in'
		refute_line --regexp '(Socket errors|Non-2xx or 3xx)'
	done
	wait_until eval '[[ $(snictl flow list --json | jq length) == 0 ]]'
}
