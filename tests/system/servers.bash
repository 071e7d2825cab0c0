# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
# Real servers in a lab's hosts, each a child of the lab with a folder of its
# own, $servers/HOST-KIND. Certificates are made here, by a CA of the test file.

# servers_begin - once a lab: in setup_file, or in a test that has its own.
servers_begin() {
	export servers=${BATS_TEST_TMPDIR:-$BATS_FILE_TMPDIR}/servers
	local folder=$servers
	mkdir -p "$servers"
	# The servers' workers are not root.
	until [[ $folder == "$BATS_RUN_TMPDIR" ]]; do
		folder=$(dirname "$folder")
		chmod a+x "$folder"
	done
	export ca=$servers/ca.pem
	openssl req -batch -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
		-nodes -subj "/CN=test" -days 2 -keyout "$servers/ca.key" \
		-out "$ca"
	# Every file that is fetched: 1 MiB that nobody could make up.
	head -c 1048576 /dev/urandom >"$servers/big"
}

# make_certificate FOLDER NAME... - server.pem and server.key for the names.
make_certificate() {
	local folder=$1 name names=
	shift
	for name; do
		names+=,DNS:$name
	done
	openssl req -batch -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
		-nodes -subj "/CN=$1" -addext "subjectAltName=${names#,}" \
		-addext basicConstraints=CA:FALSE -days 2 \
		-CA "$ca" -CAkey "$servers/ca.key" \
		-keyout "$folder/server.key" -out "$folder/server.pem"
	cat "$folder/server.pem" "$folder/server.key" >"$folder/both.pem"
}

# server_folder HOST KIND NAME... - make and fill a server's folder; its path
# is $folder.
server_folder() {
	folder=$servers/$1-$2
	mkdir -p "$folder/www"
	ln "$servers/big" "$folder/www/big"
	printf 'server=%s\n' "$3" >"$folder/www/index.txt"
	make_certificate "$folder" "${@:3}"
}

# fill FOLDER TEMPLATE KEY=VALUE... - a configuration from its template.
fill() {
	local folder=$1 template=$2 pair
	local -a edits=(-e "s|@DIR@|$folder|g")
	shift 2
	for pair; do
		edits+=(-e "s|@${pair%%=*}@|${pair#*=}|g")
	done
	sed "${edits[@]}" "$BATS_TEST_DIRNAME/servers/$template" \
		>"$folder/$template"
	! grep -n '@[A-Z]*@' "$folder/$template"
}

# start_nginx HOST LISTEN NAME... - TLS on port 443; LISTEN: "ssl", or
# "ssl proxy_protocol". $nginx_ipv4 and $nginx_ipv6: the addresses, instead of
# all.
start_nginx() {
	local folder
	server_folder "$1" nginx "${@:3}"
	fill "$folder" nginx.conf NAME="$3" LISTEN="$2" \
		IPV4="${nginx_ipv4:-0.0.0.0}" IPV6="${nginx_ipv6:-[::]}"
	lab_start --log "$1-nginx.log" "$1" nginx -p "$folder" \
		-c "$folder/nginx.conf"
	wait_for_port "$1" 443
}

# start_offload HOST APPLICATION NAME... - TLS with PROXY on port 8443.
start_offload() {
	local folder
	server_folder "$1" offload "${@:3}"
	fill "$folder" nginx-offload.conf APPLICATION="$2"
	lab_start --log "$1-nginx.log" "$1" nginx -p "$folder" -c "$folder/nginx-offload.conf"
	wait_for_port "$1" 8443
}

# start_application HOST NAME - plain HTTP on port 8080.
start_application() {
	local folder
	server_folder "$1" application "$2"
	fill "$folder" nginx-application.conf NAME="$2"
	lab_start --log "$1-nginx.log" "$1" nginx -p "$folder" -c "$folder/nginx-application.conf"
	wait_for_port "$1" 8080
}

# start_plain nginx|apache HOST PORT NAME - plain HTTP; the client's address is
# what the router says. nginx: $plain_listen (proxy_protocol) and $plain_real
# (its real_ip_header) may say otherwise than X-Real-IP.
start_plain() {
	local folder program
	server_folder "$2" "$1-http" "$4"
	fill "$folder" "$1-http.conf" NAME="$4" PORT="$3" \
		LISTEN="${plain_listen:-}" REAL="${plain_real:-X-Real-IP}" \
		ROUTER4="${plain_router4:-198.51.100.1}" \
		ROUTER6="${plain_router6:-2001:db8:2::1}"
	program=(nginx -p "$folder" -c "$folder/nginx-http.conf")
	[[ $1 == nginx ]] ||
		program=(apache2 -DFOREGROUND -f "$folder/apache-http.conf")
	lab_start --log "$2-$1.log" "$2" "${program[@]}"
	wait_for_port "$2" "$3"
}

# start_apache HOST On|Off NAME... - TLS on port 443, with PROXY or without.
start_apache() {
	local folder
	server_folder "$1" apache "${@:3}"
	fill "$folder" apache.conf NAME="$3" LISTEN="$2"
	lab_start --log "$1-apache.log" "$1" apache2 -DFOREGROUND -f "$folder/apache.conf"
	wait_for_port "$1" 443
}

# start_haproxy HOST NAME... - TLS with PROXY on port 443, the oracle.
start_haproxy() {
	local folder
	server_folder "$1" haproxy "${@:2}"
	fill "$folder" haproxy.cfg
	lab_start --log "$1-haproxy.log" "$1" haproxy -db -f "$folder/haproxy.cfg"
	wait_for_port "$1" 443
}

# start_haproxy_sender HOST ROUTER - PROXY v1, v2, v2 with TLVs to ROUTER from
# ports 9001, 9002, 9003.
start_haproxy_sender() {
	local folder=$servers/$1-haproxy-sender
	mkdir -p "$folder"
	fill "$folder" haproxy-sender.cfg ROUTER="$2"
	lab_start --log "$1-haproxy.log" "$1" haproxy -db -f "$folder/haproxy-sender.cfg"
	wait_for_port "$1" 9003
}

# wait_for_log HOST-KIND WORDS - until the server's access log has such a line
# (see in_order); prints it.
wait_for_log() {
	wait_until grep -E -- "$(in_order "$2")" "$servers/$1/access.log"
}

# fetch HOST ADDRESS:PORT NAME [PATH] - by curl, from HOST, over TLS, with
# NAME's certificate verified. Prints the body, and in a line of its own the
# port that curl had.
fetch() {
	lab_exec "$1" curl --silent --show-error --fail --max-time 10 \
		--cacert "$ca" --connect-to "::$2" \
		--write-out '%{local_port}\n' "https://$3/${4:-}"
}

# fetch_big HOST ADDRESS:PORT NAME - a file of 1 MiB; every byte must be right.
fetch_big() {
	fetch "$@" big | head -c 1048576 | cmp - "$servers/big"
}
