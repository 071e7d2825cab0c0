# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
# Completion for snictl(8): the program itself knows what can come next.

_snictl()
{
	local line=${COMP_LINE:0:COMP_POINT} words last

	# Words end at blanks only: ':' and '=' are parts of ours.
	read -ra words <<<"$line"
	[[ $line == *[[:space:]] ]] && words+=("")
	mapfile -t COMPREPLY < <(
		"${words[0]}" complete -- "${words[@]:1}" 2>/dev/null)
	# Readline puts in only what follows the last of its own word breaks.
	last=${words[-1]}
	last=${last%"${last##*[:=]}"}
	COMPREPLY=("${COMPREPLY[@]#"$last"}")
	[[ ${COMPREPLY[0]-} == */ ]] && compopt -o nospace
	return 0
}

complete -F _snictl snictl
