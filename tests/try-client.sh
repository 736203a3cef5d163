#!/bin/bash
# Drives one client program through the whole contract of README.md against a
# running agent, with two identities taken from two uids. Needs root (setpriv).
#
#   SOCKET=unix:///path/agent.sock UID_A=61001 ID_A=spiffe://… UID_B=61002 ID_B=spiffe://… \
#     ./try-client.sh NAME CLIENT-COMMAND…
#
# The SVIDs of A and B should live 20 to 30 s, so that hold and rotate meet a rotation.
set -u
name=$1; shift
: "${SOCKET:?}" "${UID_A:?}" "${ID_A:?}" "${UID_B:?}" "${ID_B:?}"
seconds=${SECONDS_HELD:-30}
work=$(mktemp -d); chmod 755 "$work"
failed=0
server=

a() { setpriv --reuid "$UID_A" --regid "$UID_A" --clear-groups env HOME=/tmp "${client[@]}" "$@"; }
b() { setpriv --reuid "$UID_B" --regid "$UID_B" --clear-groups env HOME=/tmp "${client[@]}" "$@"; }
client=("$@")

# expect CODE PATTERN LABEL COMMAND… : runs it, compares the exit code and the output.
expect() {
    local code=$1 pattern=$2 label=$3 got; shift 3
    local begin=$EPOCHREALTIME
    "$@" >"$work/out" 2>"$work/err"; got=$?
    local took; took=$(awk "BEGIN{printf \"%.1f\", $EPOCHREALTIME-$begin}")
    if [ $got = "$code" ] && { [ -z "$pattern" ] || grep -qE "$pattern" "$work/out"; }; then
        echo "ok   $name $label (${took}s)"
    else
        echo "FAIL $name $label: exit $got, wanted $code and /$pattern/"; cat "$work/out" "$work/err"; failed=1
    fi
    [ -z "${VERBOSE:-}" ] || uniq -c "$work/out"
}

serve_as_b() { # PEER-ID: starts the server as B, sets $server and $address
    b serve --socket "$SOCKET" --listen 127.0.0.1:0 --peer-id "$1" >"$work/serve" 2>"$work/serve.err" & server=$!
    for _ in $(seq 300); do
        address=$(sed -n 's/^LISTENING //p' "$work/serve"); [ -z "$address" ] || return 0
        sleep 0.1
    done
    echo "FAIL $name serve never listened"; cat "$work/serve" "$work/serve.err"; exit 1
}
stop_server() { kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; server=; }
trap '[ -z "$server" ] || kill "$server"; rm -rf "$work"' EXIT

serve_as_b "$ID_A"
expect 0 "^OK $ID_B\$" "dial" a dial --socket "$SOCKET" --connect "$address" --peer-id "$ID_B"
expect 3 "^REFUSED " "dial, client wants another server" a dial --socket "$SOCKET" --connect "$address" --peer-id "$ID_A"
expect 3 "^REFUSED " "dial, server wants another client" b dial --socket "$SOCKET" --connect "$address" --peer-id "$ID_B"
expect 0 "^HELD [0-9]+\$" "hold ${seconds}s" a hold --socket "$SOCKET" --connect "$address" --peer-id "$ID_B" --seconds "$seconds"
expect 0 "^PEER $ID_A\$" "serve names its peers" cat "$work/serve"
expect 0 "^REFUSED " "serve names refusals" cat "$work/serve"
stop_server

serve_as_b "$ID_B" # a server that A may not use
expect 5 "^BROKEN " "hold notices a failure" a hold --socket "$SOCKET" --connect "$address" --peer-id "$ID_B" --seconds 5
stop_server

expect 0 "^SVID $ID_A [0-9a-f]+ 20[-0-9T:]+Z\$" "rotate" a rotate --socket "$SOCKET" --updates 3 --timeout 120
expect 4 "^SVID " "rotate, time out" a rotate --socket "$SOCKET" --updates 99 --timeout 4
expect 0 "^JWT $ID_A aud-1 VALID\$" "jwt" a jwt --socket "$SOCKET" --audience aud-1
expect 0 "^WRONG-AUDIENCE REFUSED\$" "jwt, named identity" a jwt --socket "$SOCKET" --audience aud-1 --spiffe-id "$ID_A"
expect 1 "" "jwt, identity of another" a jwt --socket "$SOCKET" --audience aud-1 --spiffe-id "$ID_B"
expect 0 "^JWT-BUNDLE [^ ]+ [0-9]+\$" "bundles" a bundles --socket "$SOCKET"
expect 4 "^X509-BUNDLE " "bundles, time out" a bundles --socket "$SOCKET" --updates 99 --timeout 4
exit $failed
