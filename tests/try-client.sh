#!/bin/bash
# Drives one client program through the whole contract of README.md against a
# running deployment, as two identities: A dials and watches, B serves.
#
#   SOCKET=unix:///path/agent.sock ID_A=spiffe://… ID_B=spiffe://… ./try-client.sh NAME CLIENT-COMMAND…
#
# What makes the identities differ: UID_A and UID_B (needs root, for setpriv), or
# SOCKET_B, another agent's socket, or CLIENT_B, another program file for B.
# The SVIDs of A and B should live 20 to 30 s, so that hold and rotate meet a rotation.
# VERBOSE=1 shows what was printed; SECONDS_HELD is how long hold runs (30).
set -u
name=$1; shift
: "${SOCKET:?}" "${ID_A:?}" "${ID_B:?}"
socket_b=${SOCKET_B:-$SOCKET}
seconds=${SECONDS_HELD:-30}
client=("$@")
client_b=("$@")
[ -z "${CLIENT_B:-}" ] || client_b=("$CLIENT_B")
work=$(mktemp -d); chmod 755 "$work"
failed=0
server=

as() { # UID COMMAND…: as that uid, or as we are without one
    local uid=$1; shift
    if [ -z "$uid" ]; then exec "$@"; fi
    exec setpriv --reuid "$uid" --regid "$uid" --clear-groups env HOME=/tmp "$@"
}
a() { local sub=$1; shift; (as "${UID_A:-}" "${client[@]}" "$sub" --socket "$SOCKET" "$@"); }
b() { local sub=$1; shift; (as "${UID_B:-}" "${client_b[@]}" "$sub" --socket "$socket_b" "$@"); }

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
    : >"$work/serve"
    as "${UID_B:-}" "${client_b[@]}" serve --socket "$socket_b" --listen 127.0.0.1:0 --peer-id "$1" \
        >"$work/serve" 2>"$work/serve.err" & server=$!
    for _ in $(seq 300); do
        address=$(sed -n 's/^LISTENING //p' "$work/serve"); [ -z "$address" ] || return 0
        sleep 0.1
    done
    echo "FAIL $name serve never listened"; cat "$work/serve" "$work/serve.err"; exit 1
}
stop_server() { kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; server=; }
trap '[ -z "$server" ] || kill "$server"; rm -rf "$work"' EXIT

serve_as_b "$ID_A"
expect 0 "^OK $ID_B\$" "dial" a dial --connect "$address" --peer-id "$ID_B"
expect 3 "^REFUSED " "dial, client wants another server" a dial --connect "$address" --peer-id "$ID_A"
expect 3 "^REFUSED " "dial, server wants another client" b dial --connect "$address" --peer-id "$ID_B"
expect 0 "^HELD [0-9]+\$" "hold ${seconds}s" a hold --connect "$address" --peer-id "$ID_B" --seconds "$seconds"
expect 0 "^PEER $ID_A\$" "serve names its peers" cat "$work/serve"
expect 0 "^REFUSED " "serve names refusals" cat "$work/serve"
stop_server

serve_as_b "$ID_B" # a server that A may not use
expect 5 "^BROKEN " "hold notices a failure" a hold --connect "$address" --peer-id "$ID_B" --seconds 5
stop_server

expect 0 "^SVID $ID_A [0-9a-f]+ 20[-0-9T:]+Z\$" "rotate" a rotate --updates 3 --timeout 120
expect 4 "^SVID " "rotate, time out" a rotate --updates 99 --timeout 4
expect 0 "^JWT $ID_A aud-1 VALID\$" "jwt" a jwt --audience aud-1
expect 0 "^WRONG-AUDIENCE REFUSED\$" "jwt, named identity" a jwt --audience aud-1 --spiffe-id "$ID_A"
expect 1 "" "jwt, identity of another" a jwt --audience aud-1 --spiffe-id "$ID_B"
expect 0 "^JWT-BUNDLE [^ ]+ [0-9]+\$" "bundles" a bundles
expect 4 "^X509-BUNDLE " "bundles, time out" a bundles --updates 99 --timeout 4
exit $failed
