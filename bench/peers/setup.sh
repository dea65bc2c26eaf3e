#!/usr/bin/env bash
# setup.sh [PEER...]    builds eaves and the Go programs, installs the peers named (default: all of peers/).
# Nothing lands in this folder: everything goes below $BENCH_HOME (default /tmp/bench-peers).
# A peer that cannot be had is reported and left out.
set -u
. "$(dirname "$0")/lib.sh"
mkdir -p "$BIN" "$BENCH_HOME/npm"
[ $# -gt 0 ] || set -- $(cd "$HERE/peers" && ls ./*.sh | sed 's|^\./||; s|\.sh$||')

(cd "$HERE" && go build -o "$BIN/" ./cmd/...) || exit 1
(cd "$HERE/../.." && go build -tags sqlite_fts5 -o "$BIN/eaves" ./cmd/eaves) || exit 1

deb() { # program, package
	command -v "$1" >/dev/null && return
	# RUNLEVEL=1: install without starting a daemon (squid is run by hand)
	RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$2" >"$BENCH_HOME/apt-$2.log" 2>&1 ||
		echo "setup: no $2" >&2
}
npm_peer() { # name version
	local d=$BENCH_HOME/npm/$1
	[ -d "$d/node_modules/$1" ] && return
	mkdir -p "$d"
	(cd "$d" && { [ -e package.json ] || npm init -y >/dev/null 2>&1; } &&
		npm install --no-audit --no-fund --ignore-scripts "$1@$2" >npm.log 2>&1) || echo "setup: no $1" >&2
}
apt-get update >/dev/null 2>&1
deb ip iproute2
for peer in "$@"; do
	case $peer in
	mitmdump*) deb mitmdump mitmproxy ;;
	squid) deb squid squid-openssl ;;
	mockttp) npm_peer mockttp 4.6.5 ;;
	whistle) npm_peer whistle 2.10.10 ;;
	anyproxy) npm_peer anyproxy 4.1.3 ;;
	esac
done

for peer in "$@"; do
	printf '%-14s %s\n' "$peer" "$("$HERE/peers/$peer.sh" info 2>/dev/null)"
done
