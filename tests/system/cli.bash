# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
# What the tests of the command line share.

bats_require_minimum_version 1.5.0

# refuses STATUS TEXT ARGUMENT... - the command exits with STATUS, prints
# nothing but one line that begins with "snictl: " and has TEXT in it, and
# changes nothing.
refuses() {
	local status_wanted=$1 text=$2 before after
	shift 2
	before=$(configuration)
	run --separate-stderr "-$status_wanted" snictl "$@"
	assert_output ''
	# shellcheck disable=SC2154 # bats sets it
	[[ $stderr == "snictl: "* && $stderr != *$'\n'* ]] ||
		fail "not one line of ours: $stderr"
	[[ $stderr == *"$text"* ]] || fail "no \"$text\" in: $stderr"
	after=$(configuration)
	assert_equal "$after" "$before"
}

# Maps and state file; empty where there are none.
configuration() {
	snictl save 2>&1 || true
	cat "$SNICTL_STATE" 2>&1 || true
}

# silent ARGUMENT... - the command succeeds and says nothing.
silent() {
	run --separate-stderr -0 snictl "$@"
	assert_output ''
	assert_equal "$stderr" ''
}

# golden NAME - standard input is what golden/NAME.json holds. After a
# deliberate change: GOLDEN_UPDATE=1 bats cli.bats
golden() {
	local file=$BATS_TEST_DIRNAME/golden/$1.json
	if [[ ${GOLDEN_UPDATE:-} ]]; then
		cat >"$file"
	else
		diff -u "$file" -
	fi
}
