#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The commands that README.md shows are real.

# shellcheck disable=SC2154 # set by what is loaded
load common

# commands - all of README.md that begin with "snictl ", in text and blocks.
# shellcheck disable=SC2016 # a pattern
commands() {
	grep -oE '^    snictl [a-z].*|`snictl [^`]*`' "$top/README.md" |
		sed 's/^    //; s/`//g' | sort -u
}

# try NUMBER COMMAND - with maps of its own, as they are from the start. A name
# that a shell would expand is a fault: nothing here has such a name (failglob).
try() {
	export SNICTL_BPFFS=$lab_path/bpf/readme-$1
	export SNICTL_STATE=$lab_path/run/readme-$1
	case $2 in
	'snictl listen add 443') snictl listen del 443 ;;
	'snictl explain'*) snictl route add .example.com 192.0.2.9 ;;
	*'blocklist.txt') echo '203.0.113.0/24' >blocklist.txt ;;
	*'FILE'*) printf '%s\n' 'listen add 443' 'route add a.test drop' >FILE ;;
	esac
	lab_exec router env "PATH=$build:$PATH" bash -O failglob -c "$2"
}

@test "every snictl command of README.md does what it says" {
	local line tries=0
	lab_up
	cd "$BATS_TEST_TMPDIR"
	while read -r line; do
		# They are for a running agent, and exit with 1 without.
		[[ $line != 'snictl status' && $line != 'snictl upgrade' ]] ||
			continue
		tries=$((tries + 1))
		run try "$tries" "$line"
		[[ $status == 0 ]] || fail "$line"$'\n'"$output"
	done < <(commands)
	((tries >= 20))
}

@test "every link of README.md leads somewhere" {
	local link count=0
	while read -r link; do
		count=$((count + 1))
		[[ -e $top/$link ]] || fail "there is no $link"
	done < <(grep -oE '\]\([^)#:]+\)' "$top/README.md" | sed 's/](//; s/)//')
	((count >= 5))
}

@test "every file that the READMEs of bpf and userspace name is there" {
	local folder name count=0
	# shellcheck disable=SC2016 # a pattern
	for folder in bpf userspace; do
		while read -r name; do
			count=$((count + 1))
			compgen -G "$top/$folder/$name" >/dev/null ||
				compgen -G "$top/$name" >/dev/null ||
				fail "$folder/README.md: there is no $name"
		done < <(grep -oE '`[a-z_0-9/*]+(\.[ch0-9]|/)`' \
			"$top/$folder/README.md" | tr -d '`' | sort -u)
	done
	((count >= 20))
}
