#!/usr/bin/env bash
. "$(dirname "$0")/../lib.sh"
# eaves, recording every exchange with its body to SQLite below WORK, with one console connected to the stream throughout
# (CONSOLES: so many). EAVES_BIN names another binary than the one that setup.sh built; EAVES_OPTS adds flags.
EAVES_BIN=${EAVES_BIN:-$BIN/eaves}
CONSOLES=${CONSOLES:-1}
info() { echo "$("$EAVES_BIN" version 2>/dev/null | paste -sd ' '); records every exchange to SQLite, $CONSOLES console(s) on the stream"; }
start() {
	echo "$(spawn "$1" "$EAVES_BIN" run --listen "127.0.0.1:$2" --console 127.0.0.1:0 --data "$1/data" --upstream-proxy none --insecure --ready-file "$1/ready.json" ${EAVES_OPTS:-}) $2"
	# It ends when eaves does. Nothing of it may keep our output open: run.sh waits for that.
	if [ "$CONSOLES" != 0 ]; then
		nohup "$BIN/console" "$1/ready.json" "$CONSOLES" >"$1/console.log" 2>&1 </dev/null &
	fi
}
peer_main "$@"
