#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The command line where no agent runs. cli_agent.bats has what needs one.
# shellcheck disable=SC2030,SC2031,SC2154 # what bats and common.bash set

load common
load cli

setup() {
	lab_up
}

# ---- routes -----------------------------------------------------------------

@test "routes are added, replaced, listed, shown and deleted" {
	silent route add .example.com 198.51.100.11 --proxy v2
	silent route add pbx.example.com '198.51.100.11:8443,[2001:db8::1]' \
		--proxy=v1 --datapath relay
	run -0 snictl save
	assert_line 'route add .example.com 198.51.100.11:443 --proxy v2'
	assert_line 'route add pbx.example.com 198.51.100.11:8443,[2001:db8::1]:443 --proxy v1 --datapath relay'

	silent route replace pbx.example.com 198.51.100.12 --proxy v2
	run -0 snictl route list --json
	jq -e 'map(.name) == [".example.com", "pbx.example.com"]' <<<"$output"
	jq -e '.[1].targets == ["198.51.100.12:443"]' <<<"$output"
	run -0 snictl route show pbx.example.com
	assert_line --regexp '^Target: +198\.51\.100\.12:443$'
	assert_line --regexp '^PROXY: +v2$'

	silent route del .example.com
	run -0 snictl route list --json
	jq -e 'map(.name) == ["pbx.example.com"]' <<<"$output"
}

@test "route add fails where there is one, replace and del where there is none" {
	snictl route add pbx.example.com 198.51.100.11 --proxy v2
	refuses 1 'pbx.example.com' route add pbx.example.com 198.51.100.12
	refuses 1 '"pbx.example.com"' route add PBX.Example.com. reject
	refuses 1 'other.example' route replace other.example 198.51.100.12
	refuses 1 'other.example' route del other.example
	refuses 1 'did you mean pbx.example.com?' route show pbc.example.com
}

@test "without --proxy one line says that the backend sees the router" {
	run --separate-stderr -0 snictl route add a.example 198.51.100.11
	assert_output ''
	assert_equal "$stderr" "snictl: note: a.example: without --proxy the backend sees this router's address, not the client's"
	silent route add b.example 198.51.100.11 --proxy off
	silent route add c.example reject
	silent route add d.example drop
}

@test "names are normalised: case, trailing dot, IDN" {
	silent route add PBX.Example.COM. 198.51.100.11 --proxy v2
	silent route add bücher.example 198.51.100.11 --proxy v2
	run -0 snictl route list --json
	jq -e 'map(.name) == ["pbx.example.com", "xn--bcher-kva.example"]' \
		<<<"$output"
	silent route del pbx.example.com
}

@test "bad names, targets and options are named, and change nothing" {
	snictl route add a.example 198.51.100.11 --proxy v2
	refuses 2 '"a..b"' route add a..b 198.51.100.11
	refuses 2 '"a b"' route add 'a b' 198.51.100.11
	refuses 2 '"x.*.example"' route add 'x.*.example' 198.51.100.11
	refuses 2 '"https://b.example/"' route add https://b.example/ 198.51.100.11
	refuses 2 '"192.0.2.1"' route add 192.0.2.1 198.51.100.11
	refuses 2 '"backend.example"' route add b.example backend.example
	refuses 2 'addresses only' route add b.example backend.example
	refuses 2 '"198.51.100.256"' route add b.example 198.51.100.256
	refuses 2 '"198.51.100.11:0"' route add b.example 198.51.100.11:0
	refuses 2 '"198.51.100.11:65536"' route add b.example 198.51.100.11:65536
	refuses 2 'reject' route add b.example 198.51.100.11,reject
	refuses 2 '"v3"' route add b.example 198.51.100.11 --proxy v3
	refuses 2 '"fast"' route add b.example 198.51.100.11 --datapath fast
	refuses 2 '"nine"' route add b.example 198.51.100.11 --on nine
	refuses 2 '--proxy' route add b.example 198.51.100.11 --proxy
	refuses 2 'twice' route add b.example reject --proxy v1 --proxy v2
	refuses 1 '8443' route add b.example 198.51.100.11 --on 8443
	refuses 2 '"a..b"' route del a..b
	refuses 2 '"a..b"' route show a..b
}

@test "a domain and its wildcard do not stand beside each other" {
	silent route add .example.com 198.51.100.11 --proxy v2
	refuses 1 '*.example.com' route add '*.example.com' 198.51.100.11
	silent route del .example.com
	silent route add '*.example.com' 198.51.100.11 --proxy v2
	refuses 1 '.example.com' route add .example.com 198.51.100.11
}

@test "a target that is our own listener is refused" {
	snictl set hello-timeout 5s
	refuses 1 'our own listener' route add a.example 127.0.0.1:443
	refuses 1 'our own listener' route add a.example "$router4"
	refuses 1 'our own listener' route add a.example "[$router6]:443"
	silent route add a.example 127.0.0.1:8443 --proxy v2
	refuses 1 'a.example' listen add 8443
}

@test "a listener's own table" {
	snictl listen add 8443
	silent route add a.example 198.51.100.11 --on 8443 --proxy v2
	silent route add a.example 198.51.100.12 --proxy v2
	run -0 snictl route show a.example --on 8443
	assert_line --regexp '^Target: +198\.51\.100\.11:443$'
	run -0 snictl route list --on 8443 --json
	jq -e 'length == 1 and .[0].on == "8443"' <<<"$output"
	refuses 1 '444' route list --on 444
	refuses 1 '8443' listen del 8443
	silent route del a.example --on 8443
	refuses 1 'a.example' route del a.example --on 8443
	refuses 1 'leave out --on' route show a.example --on 8443
}

# ---- listeners and settings -------------------------------------------------

@test "listen without an agent changes what the next one opens" {
	run --separate-stderr -0 snictl listen add '[2001:db8:1::1]:8443' \
		--accept-proxy 10.0.0.0/8,2001:db8::/32
	assert_output ''
	assert_equal "$stderr" 'snictl: note: no agent runs: the next one will listen on [2001:db8:1::1]:8443'
	run -0 snictl save
	assert_line 'listen add [2001:db8:1::1]:8443 --accept-proxy 10.0.0.0/8,2001:db8::/32'
	run --separate-stderr -0 snictl listen del '[2001:db8:1::1]:8443'
	assert_equal "$stderr" 'snictl: note: no agent runs: the next one will not listen on [2001:db8:1::1]:8443'
	run -0 snictl save
	assert_output 'listen add 443'
}

@test "bad listeners are named, and change nothing" {
	snictl listen add 8443
	refuses 1 '8443' listen add 8443
	refuses 1 '8444' listen del 8444
	refuses 2 '"https"' listen add https
	refuses 2 '"65536"' listen add 65536
	refuses 2 '"192.0.2.1"' listen add 192.0.2.1
	refuses 2 '"192.0.2.300:443"' listen add 192.0.2.300:443
	refuses 2 '"10.0.0.1/8"' listen add 444 --accept-proxy 10.0.0.1/8
	refuses 2 '"10.0.0.0/33"' listen add 444 --accept-proxy 10.0.0.0/33
}

@test "settings: units, ranges, unknown ones" {
	silent set hello-timeout 1500ms
	silent set datapath relay
	silent set max-flows 1000
	run -0 snictl set list --json
	jq -e 'map(select(.value != .default) | {(.name): .number}) | add ==
		{"hello-timeout": 1500, "datapath": 3, "max-flows": 1000}' \
		<<<"$output"
	refuses 2 '"5y"' set hello-timeout 5y
	refuses 2 '100ms to 1h' set hello-timeout 2h
	refuses 2 '"-1"' set max-flows -- -1
	refuses 2 '"fast"' set datapath fast
	refuses 2 '"hello-timeou"' set hello-timeou 5s
	refuses 2 'VALUE' set hello-timeout
	silent set max-flows default
	[[ $(snictl save) != *max-flows* ]]
}

@test "settings: edge-hook of single interfaces" {
	silent set edge-hook xdp --interface eth7
	silent set edge-hook tc --interface ppp0
	run -0 snictl set list
	assert_line --regexp '^edge-hook --interface eth7 +xdp +auto +auto\|xdp\|tc'
	run -0 snictl set list --json
	jq -e 'map(select(.interface) | [.interface, .value, .default]) ==
		[["eth7", "xdp", "auto"], ["ppp0", "tc", "auto"]]' <<<"$output"
	# They are in the state file, and come back from there.
	snictl unload --force
	silent set edge-hook default --interface ppp0
	run -0 snictl save
	assert_output "$(printf '%s\n' 'listen add 443' \
		'set edge-hook xdp --interface eth7')"
	run -0 --separate-stderr snictl apply - <<<'listen add 443'
	assert_output '- set edge-hook xdp --interface eth7'
	[[ $(snictl save) == 'listen add 443' ]]
	refuses 1 'no edge-hook of its own' set edge-hook default --interface eth7
	refuses 2 'means nothing with log' set log off --interface eth7
}

# ---- the whole configuration ------------------------------------------------

# A configuration with something of everything.
sample() {
	cat <<-'END'
		listen add 443
		listen add 8443 --accept-proxy 10.0.0.0/8
		set hello-timeout 5s
		route add .example.com 198.51.100.11:443 --proxy v2
		route add pbx.example.com 198.51.100.11:8443,198.51.100.12:443
		route add none reject
		route add default 127.0.0.1:8444 --proxy v1
		route add other drop
		route add pbx.example.com reject --on 8443
	END
}

@test "save prints what apply reads" {
	run --separate-stderr -0 snictl apply - < <(sample)
	run -0 snictl save
	assert_output "$(sample)"
	run --separate-stderr -0 snictl apply - < <(snictl save)
	assert_output ''
	assert_equal "$stderr" ''
}

@test "apply prints what it changes, and --dry-run only prints it" {
	local change
	sample | snictl apply - 2>/dev/null
	change=$(sample | sed -e '/timeout/d' -e '/none/d' \
		-e 's/198.51.100.11:443/198.51.100.13:443/' \
		-e '$a route add new.example drop')
	run -0 snictl apply --dry-run - <<<"$change"
	assert_output "$(
		cat <<-'END'
			~ set hello-timeout 10s
			~ route add .example.com 198.51.100.13:443 --proxy v2
			+ route add new.example drop
			- route add none reject
		END
	)"
	run -0 snictl save
	assert_output "$(sample)"
	run -0 snictl apply - <<<"$change"
	assert_line '- route add none reject'
	run -0 snictl apply - <<<"$change"
	assert_output ''
}

@test "apply closes all listeners only when told to" {
	local file=$BATS_TEST_TMPDIR/routes before option
	snictl route add keep.example drop
	before=$(snictl save)
	echo 'route add a.example drop' >"$file"
	for option in '' --dry-run; do
		refuses 1 "$file has no row \"listen add\"" apply "$file" $option
		refuses 1 'standard input has no row' apply - $option </dev/null
	done
	assert_equal "$(snictl save)" "$before"
	run -0 snictl apply --force --dry-run "$file"
	assert_line -- '- listen add 443'
	assert_equal "$(snictl save)" "$before"
	run -0 snictl apply --force "$file"
	assert_equal "$(snictl save)" 'route add a.example drop'
	# Where there are none it closes none.
	run -0 snictl apply "$file"
	assert_output ''
}

@test "errors in files name file, line and column, and nothing is applied" {
	local file=$BATS_TEST_TMPDIR/routes row text
	snictl route add keep.example drop
	while IFS='|' read -r row text; do
		printf 'listen add 443\n# comment\n%s\n' "$row" >"$file"
		refuses 1 "$file:3:$text" apply "$file"
		refuses 1 "$file:3:$text" check "$file"
		refuses 1 "$file:3:$text" apply --dry-run "$file"
	done <<-'END'
		route add a.example 198.51.100.256|21: "198.51.100.256"
		route add a.example 198.51.100.1,x|34: "x"
		route add a..b drop|11: "a..b"
		route add a.example drop --proxi v1|26: "--proxi"
		set hello-timeout 5y|19: "5y"
		rout add a.example drop|1: "rout"
		listen add 443|12: "443"
		route add a.example 127.0.0.1:443|21: "127.0.0.1:443"
		route add a.example drop --on 9|31: "9"
	END
	refuses 1 "$file.not" apply "$file.not"
	refuses 1 "$file.not" check "$file.not"
}

@test "check counts, and changes nothing" {
	sample >"$BATS_TEST_TMPDIR/routes"
	run -0 snictl check "$BATS_TEST_TMPDIR/routes"
	assert_output "$BATS_TEST_TMPDIR/routes: listeners 2, routes 6, settings 1"
	run -0 snictl check - --json < <(sample)
	golden check <<<"$output"
	run -3 snictl save
}

@test "changes survive: the state file restores them" {
	sample | snictl apply - 2>/dev/null
	silent unload
	refuses 3 'nothing is loaded' save
	snictl route add new.example drop
	snictl route del new.example
	run -0 snictl save
	assert_output "$(sample)"
}

@test "a state file that cannot be written: the maps are not changed either" {
	snictl route add a.example drop
	# Nobody can make a file there, root neither.
	SNICTL_STATE=/proc/snictl/state refuses 1 /proc/snictl/state \
		route add b.example drop
	SNICTL_STATE=/proc/snictl/state refuses 1 /proc/snictl/state \
		set hello-timeout 5s
	run -0 snictl route list --json
	jq -e 'map(.name) == ["a.example"]' <<<"$output"
}

@test "a state file that is damaged is not overwritten" {
	local size
	snictl route add a.example drop
	size=$(stat -c %s "$SNICTL_STATE")
	truncate -s $((size - 5)) "$SNICTL_STATE"
	cp "$SNICTL_STATE" "$BATS_TEST_TMPDIR/damaged"

	# The maps hold the truth: the change goes on, the file is kept aside.
	silent route add b.example drop
	cmp "$BATS_TEST_TMPDIR/damaged" "$SNICTL_STATE".damaged*
	run -1 snictl status
	assert_output --regexp 'kept aside: 1, the latest is .*\.damaged'

	# Without maps there is no truth: nothing is made up.
	snictl unload
	cp "$BATS_TEST_TMPDIR/damaged" "$SNICTL_STATE"
	refuses 1 "$SNICTL_STATE" route add c.example drop
	cmp "$BATS_TEST_TMPDIR/damaged" "$SNICTL_STATE"
	printf 'user:x:1000\n' >"$SNICTL_STATE"
	refuses 1 "$SNICTL_STATE" route add c.example drop
	assert_equal "$(<"$SNICTL_STATE")" 'user:x:1000'
}

# at_once NUMBER - one of each command that changes something, in the
# background; their pids go to pids.
at_once() {
	local line
	while read -r line; do
		# shellcheck disable=SC2086 # words
		snictl $line <<<"198.18.$1.0/24" >/dev/null &
		pids+=($!)
	done <<-END
		route add n$1.example drop
		route replace a.example 10.0.0.$1
		route del old$1.example
		set max-flows $1
		listen add 8$1
		listen del 9$1
		ban add 203.0.113.$1
		ban del 203.0.113.10$1
		ban allow add 192.0.2.10$1
		ban import - --set s$1
	END
}

# all_saved - as the maps have it.
all_saved() {
	local i
	snictl save
	snictl ban list --json | jq -c 'map(.prefix)'
	snictl ban allow list
	for i in {1..4}; do
		snictl ban list --set "s$i"
	done
}

@test "command lines at the same time wait for each other" {
	local i maps pids=()
	snictl route add a.example drop
	snictl listen add 80
	for i in {1..4}; do
		snictl route add "old$i.example" drop
		snictl listen add "9$i"
		snictl ban add "203.0.113.10$i"
	done
	for i in {1..4}; do
		at_once "$i"
	done
	for i in "${pids[@]}"; do
		wait "$i"
	done
	run -0 snictl route list --json
	jq -e 'map(.name) == ["a.example"] + [range(1; 5) | "n\(.).example"]' \
		<<<"$output"
	assert_equal "$(snictl listen list --json | jq -c 'map(.listen | tonumber) | sort')" \
		'[80,81,82,83,84,443]'
	assert_equal "$(snictl ban list --json 2>/dev/null |
		jq -c 'map(.prefix)')" \
		'["203.0.113.1/32","203.0.113.2/32","203.0.113.3/32","203.0.113.4/32"]'
	assert_equal "$(snictl ban allow list | grep -c '192.0.2.10[1-4]')" 4
	# The files agree with the maps: what they restore is the same.
	maps=$(all_saved)
	[[ $maps == *'set max-flows '[1-4]* && $maps == *'198.18.4.0/24'* ]]
	snictl unload
	snictl set hello-timeout 10s
	assert_equal "$(all_saved)" "$maps"
}

@test "of two configurations applied at the same time one is there, whole" {
	local i first second pids saved
	printf '%s\n' 'listen add 443' "$(printf 'route add %s.example drop\n' \
		{1..300})" >"$BATS_TEST_TMPDIR/a"
	sed 's/drop/reject/; s/443/8443/' "$BATS_TEST_TMPDIR/a" \
		>"$BATS_TEST_TMPDIR/b"
	snictl apply "$BATS_TEST_TMPDIR/a" >/dev/null
	first=$(snictl save)
	snictl apply "$BATS_TEST_TMPDIR/b" >/dev/null
	second=$(snictl save)
	for i in {1..10}; do
		pids=()
		snictl apply "$BATS_TEST_TMPDIR/a" >/dev/null &
		pids+=($!)
		snictl apply "$BATS_TEST_TMPDIR/b" >/dev/null &
		pids+=($!)
		saved=$(snictl save)
		[[ $saved == "$first" || $saved == "$second" ]]
		wait "${pids[0]}"
		wait "${pids[1]}"
		saved=$(snictl save)
		[[ $saved == "$first" || $saved == "$second" ]]
	done
}

# ---- JSON -------------------------------------------------------------------

@test "JSON: routes" {
	sample | snictl apply - 2>/dev/null
	snictl route list --json | golden route-list
	snictl route show pbx.example.com --json | golden route-show
}

@test "JSON: listeners" {
	sample | snictl apply - 2>/dev/null
	snictl listen list --json | golden listen-list
}

@test "JSON: settings" {
	snictl set hello-timeout 5s
	snictl set list --json | sed "s/\(\"help\":\"\)[^\"]*/\1.../" |
		golden set-list
}

@test "JSON: counters" {
	snictl set hello-timeout 5s
	snictl stats --json | golden stats
}

@test "JSON: bans" {
	snictl ban add 203.0.113.0/24 --reason 'an example' --all-ports
	snictl ban add 2001:db8:99::1
	snictl ban allow add 203.0.113.9
	echo 203.0.113.0/28 | snictl ban import --set night -
	snictl ban list --json 2>/dev/null | golden ban-list
	snictl ban list --set night --json | golden ban-list-set
	snictl ban show 203.0.113.9 --json | golden ban-show
	snictl ban allow list --json | golden ban-allow-list
}

@test "JSON: version" {
	snictl version --json |
		sed -E 's/("version": ")[0-9.]+/\1X/; s/("layout": ")[0-9a-f]{16}/\1X/' |
		golden version
}

@test "JSON: status, without an agent" {
	local status=0
	sample | snictl apply - 2>/dev/null
	snictl status --json >"$BATS_TEST_TMPDIR/status" || status=$?
	assert_equal "$status" 1
	jq -e '.maps.memory_bytes > 1000000' "$BATS_TEST_TMPDIR/status"
	sed -E "s|$lab_path|LAB|; s/(\"memory_bytes\": )[0-9]+/\1 1/" \
		"$BATS_TEST_TMPDIR/status" | golden status-down
}

@test "JSON: explain" {
	sample | snictl apply - 2>/dev/null
	snictl explain pbx.example.com --json | golden explain
	snictl explain pbx.example.com --on 8443 --json | golden explain-on
}

# ---- explain ----------------------------------------------------------------

# takes ROUTE WORDS... - `explain WORDS` takes ROUTE.
takes() {
	local route=$1
	shift
	run -0 snictl explain "$@" --json
	jq -e --arg route "$route" '(.route.name // "no") == $route' \
		<<<"$output"
	# The same is marked among the candidates, and only that.
	jq -e '[.candidates[] | select(.taken)] == [.route // empty]' \
		<<<"$output"
}

@test "explain: precedence" {
	snictl apply - 2>/dev/null <<-'END'
		listen add 443
		listen add 8443
		route add .example.com drop
		route add *.sub.example.com drop
		route add www.sub.example.com drop
		route add default drop
		route add other drop
		route add none drop
		route add www.sub.example.com reject --on 8443
	END
	takes .example.com example.com
	takes .example.com a.example.com
	takes .example.com sub.example.com
	takes '*.sub.example.com' a.sub.example.com
	takes '*.sub.example.com' b.a.sub.example.com
	takes www.sub.example.com www.sub.example.com
	takes www.sub.example.com WWW.sub.example.com.
	takes default example.org
	takes none none
	takes other other
	takes www.sub.example.com www.sub.example.com --on 8443
	jq -e '.route.target == "reject"' <<<"$output"
	takes '*.sub.example.com' a.sub.example.com --on 8443
}

@test "explain: what nearly matched" {
	snictl apply - 2>/dev/null <<-'END'
		listen add 443
		listen add 8443
		route add *.wild.example drop
		route add exact.example drop
		route add own.example drop --on 8443
		route add default drop
	END
	takes default wild.example
	jq -e '.near[0] | .name == "*.wild.example" and
		(.why | contains("\".wild.example\" covers"))' <<<"$output"
	takes default www.exact.example
	jq -e '.near[0].name == "exact.example"' <<<"$output"
	takes default exect.example
	jq -e '.near == [{"name": "exact.example", "on": null,
		"why": "differs in one letter"}]' <<<"$output"
	takes default own.example
	jq -e '.near[0].on == "8443"' <<<"$output"
	takes no other
	jq -e '.near[0].name == "default"' <<<"$output"
}

@test "explain: for people" {
	sample | snictl apply - 2>/dev/null
	run -0 snictl explain www.example.com
	assert_output "$(
		cat <<-'END'
			Asked:       www.example.com
			Route:       .example.com to 198.51.100.11:443, PROXY v2, data path auto
			HTTP:        acme: ACME challenges to 198.51.100.11:80, all else redirected to https
			Why:         the longest wildcard that covers the name
			Tried:       www.example.com: no route
			             .example.com: 198.51.100.11:443, taken
			             default: 127.0.0.1:8444, not needed
		END
	)"
	refuses 2 '"*.example.com"' explain '*.example.com'
	refuses 2 '"192.0.2.1"' explain 192.0.2.1
	refuses 1 '9' explain www.example.com --on 9
}

# ---- readers, terminals -----------------------------------------------------

@test "readers where nothing is loaded exit 3" {
	local reader
	for reader in 'route list' 'route show a.example' 'listen list' \
		'set list' 'flow list' 'flow show 1' save stats 'explain a.example' \
		'apply --dry-run /dev/null'; do
		# shellcheck disable=SC2086 # words
		refuses 3 'nothing is loaded' $reader
	done
	run -1 snictl status
	assert_line --partial 'nothing is loaded'
}

@test "a folder that is on no bpffs exits 3" {
	refuses 3 'bpffs' --bpffs "$BATS_TEST_TMPDIR" route list
	refuses 3 'bpffs' --bpffs "$BATS_TEST_TMPDIR/not" route add a.example drop
	[[ ! -e $BATS_TEST_TMPDIR/not ]]
}

@test "maps of another layout exit 3 and are left alone" {
	snictl route add a.example drop
	lab_exec router python3 - "$SNICTL_BPFFS/v3/meta" <<-'END'
		# BPF_OBJ_GET the meta map; flip a bit of its layout hash.
		import ctypes, mmap, platform, sys
		number = {"x86_64": 321, "aarch64": 280}[platform.machine()]
		path = ctypes.create_string_buffer(sys.argv[1].encode())
		attributes = (ctypes.c_uint64 * 2)(ctypes.addressof(path), 0)
		fd = ctypes.CDLL(None).syscall(number, 7, attributes, 16)
		mmap.mmap(fd, 4096)[8] ^= 1
	END
	run -3 --separate-stderr snictl route list
	[[ $stderr == 'snictl: '*another* ]]
	run -3 --separate-stderr snictl route add b.example drop
	run -3 --separate-stderr snictl save
	run -1 snictl status
	assert_line --partial 'another'
}

@test "without privileges the right that is missing is named" {
	local command
	snictl route add a.example drop
	chmod 755 "$lab_path" "$lab_path/run" || true
	for command in 'route add b.example drop' 'route list' unload; do
		# shellcheck disable=SC2086 # words
		run --separate-stderr -1 lab_exec router setpriv --reuid 65534 \
			--regid 65534 --clear-groups --inh-caps=-all \
			--bounding-set=-all "$build/snictl" $command
		[[ $stderr == 'snictl: '* && $stderr == *root* ]] ||
			fail "$command: $stderr"
	done
	run -0 snictl route list --json
	jq -e 'length == 1' <<<"$output"
}

# on_terminal COLUMNS ARGUMENT... - what snictl prints on such a terminal.
on_terminal() {
	local columns=$1
	shift
	lab_exec router python3 - "$columns" "$build/snictl" "$@" <<-'END'
		import fcntl, os, pty, struct, sys, termios
		pid, fd = pty.fork()
		if not pid:
		    size = struct.pack("HHHH", 24, int(sys.argv[1]), 0, 0)
		    fcntl.ioctl(1, termios.TIOCSWINSZ, size)
		    os.execv(sys.argv[2], sys.argv[2:])
		data = b""
		try:
		    while more := os.read(fd, 65536):
		        data += more
		except OSError:
		    pass
		sys.stdout.write(data.decode().replace("\r\n", "\n"))
	END
}

@test "tables adapt to the terminal" {
	local line
	snictl route add pbx.example.com 198.51.100.11,198.51.100.12,198.51.100.13,198.51.100.14 2>/dev/null
	TERM=xterm NO_COLOR=1 run -0 on_terminal 70 route list
	for line in "${lines[@]}"; do
		((${#line} <= 70)) || fail "too long: $line"
	done
	refute_output --partial 198.51.100.14
	TERM=xterm NO_COLOR=1 run -0 on_terminal 80 set list
	assert_line --regexp '^datapath .*auto\|splice\|sockmap\|relay$'
	TERM=xterm NO_COLOR=1 run -0 on_terminal 120 set list
	assert_line --partial MEANING
	for line in "${lines[@]}"; do
		((${#line} <= 120)) || fail "too long: $line"
	done
	# Elsewhere nothing is cut.
	run -0 snictl route list
	assert_output --partial 198.51.100.14:443
}

@test "colours only on a terminal, and never with NO_COLOR" {
	local escape=$'\033'
	snictl set hello-timeout 5s
	TERM=xterm run -0 on_terminal 80 status
	assert_output --partial "${escape}["
	TERM=xterm NO_COLOR=1 run -0 on_terminal 80 status
	refute_output --partial "$escape"
	TERM=xterm run -1 snictl status
	refute_output --partial "$escape"
}

@test "output that cannot be written is a failure" {
	snictl set hello-timeout 5s
	run -1 --separate-stderr lab_exec router \
		sh -c "exec '$build/snictl' set list >/dev/full"
	[[ $stderr == 'snictl: cannot write the output: '* ]]
}

# ---- usage ------------------------------------------------------------------

@test "unknown words are named, with the nearest that is known" {
	refuses 2 'unknown command "rout": did you mean "route"?' rout list
	refuses 2 'did you mean "route list"?' route lsit
	refuses 2 '"route" needs a verb: add, replace, del, list, show' route
	refuses 2 'unknown option "--prxy": did you mean "--proxy"?' \
		route add a.example drop --prxy v2
	refuses 2 'unknown option "-x"' -x
	refuses 2 'no command' 
	refuses 2 '"route list" has no option --proxy' route list --proxy v1
	refuses 2 '"route add" needs NAME' route add
	refuses 2 'does not take "surplus"' route add a.example drop surplus
	refuses 2 'does not take "3"' route add a.example drop 3 4 5
	refuses 2 'exactly one' flow kill
	refuses 2 'exactly one' flow kill 1 --name a.example
	refuses 2 'needs a value' status --bpffs
	refuses 2 'takes no value' status --json=yes
	refuses 2 '"xyzzyxyz"' xyzzyxyz
}

@test "options and their environment twins, anywhere" {
	local folder=$SNICTL_BPFFS-two
	snictl route add one.example drop
	silent --bpffs "$folder" --state "$BATS_TEST_TMPDIR/two" \
		route add two.example drop
	silent route --bpffs="$folder" add three.example drop \
		--state "$BATS_TEST_TMPDIR/two"
	SNICTL_BPFFS=$folder run -0 snictl save
	assert_line 'route add two.example drop'
	assert_line 'route add three.example drop'
	refute_line 'route add one.example drop'
	run -0 snictl --bpffs "$SNICTL_BPFFS" save
	assert_line 'route add one.example drop'
	SNICTL_RUN_DIR=/nowhere run -1 snictl status
	assert_line --partial '/nowhere/control'
	SNICTL_RUN_DIR=/nowhere run -1 snictl --run-dir /elsewhere status
	assert_line --partial '/elsewhere/control'
}

@test "flow kill says so where no agent runs" {
	refuses 1 'no agent answers' flow kill 1
	refuses 2 '"one"' flow kill one
	refuses 2 '"192.0.2.1:5"' flow kill --client 192.0.2.1:5
	refuses 2 '"192.0.2.0/24"' flow kill --client 192.0.2.0/24
	refuses 2 '"*.example"' flow kill --name '*.example'
}

@test "unload removes the pins" {
	snictl route add a.example drop
	silent unload
	[[ ! $(lab_exec router ls "$SNICTL_BPFFS" 2>/dev/null) ]]
	silent unload
}

# ---- help, manual, completion -----------------------------------------------

# The commands as the table has them: "noun verb" or "noun" a line.
commands() {
	local noun verb
	for noun in $(snictl complete -- ''); do
		verb=$(snictl complete -- "$noun" '')
		if [[ $noun == set ]]; then
			printf 'set\nset list\n'
		elif snictl help "$noun" "${verb%%$'\n'*}" &>/dev/null; then
			echo "$noun ${verb//$'\n'/$'\n'$noun }"
		else
			echo "$noun"
		fi
	done
}

@test "help, manual and completion know the same commands" {
	local command help manual
	help=$(snictl help)
	manual=$(mandoc -Tascii "$build/snictl.8" | col -b)
	run -0 commands
	assert_equal "${#lines[@]}" 30
	for command in "${lines[@]}"; do
		grep -qE "^  $command( |\$)" <<<"$help" || fail "help: $command"
		grep -qE "^ {5}$command( |\$)" <<<"$manual" ||
			fail "manual: $command"
		# shellcheck disable=SC2086 # words
		snictl help $command | grep -qE "^snictl $command( |\$)"
		# shellcheck disable=SC2086 # words
		assert_equal "$(snictl $command --help)" \
			"$(snictl help $command)"
	done
}

@test "the manual is clean, and has every setting and every JSON key" {
	local key manual
	run -0 mandoc -Tlint -Wwarning "$build/snictl.8"
	assert_output ''
	manual=$(mandoc -Tascii "$build/snictl.8" | col -b)
	for key in $(snictl complete -- set ''); do
		grep -qw -- "$key" <<<"$manual" || fail "no setting $key"
	done
	# Outcomes, data paths and phases are values there, not keys.
	for key in $(jq -r '.. | objects | keys[]' \
		"$BATS_TEST_DIRNAME"/golden/*.json | sort -u |
		grep -vxE 'routed|no-sni|.*-.*|malformed|rejected|dropped|limited|banned|splice|sockmap|relay|hello|connect|preface|kernel|return|refuse'); do
		grep -qw -- "$key" <<<"$manual" || fail "no JSON key $key"
	done
}

# completes WANTED WORD... - the last word may be cut.
completes() {
	local wanted=$1
	shift
	assert_equal "$(snictl complete -- "$@" | tr '\n' ' ')" "$wanted"
}

@test "completion offers live names" {
	sample | snictl apply - 2>/dev/null
	completes 'route ' ro
	completes 'add replace del list show ' route ''
	completes 'pbx.example.com ' route del p
	completes '.example.com pbx.example.com none default other ' route show ''
	completes 'pbx.example.com ' route del --on 8443 ''
	completes '443 8443 ' listen del ''
	completes '443 8443 ' route list --on ''
	completes 'pbx.example.com pbx.example.com none other ' explain ''
	completes 'off v1 v2 ' route add a.example drop --proxy ''
	completes '--proxy=v1 --proxy=v2 ' route add a.example drop --proxy=v
	completes '--dry-run ' apply f --d
	completes 'off text json default ' set log ''
	completes 'client ' set edge-hook xdp --interface cl
	completes 'hello-timeout hello-max hello-pending-per-source ' set hello
	completes "$BATS_TEST_DIRNAME/cli.bats " apply "$BATS_TEST_DIRNAME/cli.bats"
	completes 'add replace del list show ' help route ''
	completes '' nothing ''
	SNICTL_BPFFS=/nowhere completes '' route del ''
	completes 'pbx.example.com ' --bpffs "$SNICTL_BPFFS" route del p
}

# shellcheck disable=SC2016 # for the other shell
@test "completion in bash" {
	sample | snictl apply - 2>/dev/null
	run -0 lab_exec router env "PATH=$build:$PATH" bash -c '
		compopt() { echo "compopt $*"; }
		source "$1"
		try() {
			COMP_LINE=$1 COMP_POINT=${#1} COMPREPLY=()
			_snictl
			echo "${COMPREPLY[*]}"
		}
		try "snictl ro"
		try "snictl route del p"
		try "snictl route add x drop --proxy=v"
		try "snictl check $2/gol"
		complete -p snictl
	' bash "$BATS_TEST_DIRNAME/../../cli/snictl.bash" "$BATS_TEST_DIRNAME"
	assert_output "$(
		cat <<-END
			route
			pbx.example.com
			v1 v2
			compopt -o nospace
			$BATS_TEST_DIRNAME/golden/
			complete -F _snictl snictl
		END
	)"
}
