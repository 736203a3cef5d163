#!/bin/bash
# Runs the integration suites that the crates `spiffe`, `spire-api` and
# `spiffe-rustls` publish, against a running deployment. README.md says what has
# to be registered there first.
#
#   WORKLOAD_SOCKET=unix:///…            agent of example.org, Workload API      (suites 1 and 2)
#   FEDERATED_SOCKET=unix:///…           agent of example-federated.org          (suite 3)
#   ADMIN_SOCKET=unix:///…               agent of example.org, admin socket      (suite 4)
#   OUT=dir                              where to build (default: a directory under the temporary one)
#   BUILD_ONLY=1                         stop before running anything
#
# A suite without its socket is skipped and said so. Arguments go to the test
# programs, e.g. a name to filter by.
set -euo pipefail
spiffe=0.19.0 spiffe_rustls=0.11.0 spire_api=0.11.0
out=${OUT:-${TMPDIR:-/tmp}/finial-registry-suites}
mkdir -p "$out/fetch/src"

# Cargo's own registry client brings the sources; nothing of them is kept in the project.
cat >"$out/fetch/Cargo.toml" <<EOF
[package]
name = "fetch"
version = "0.0.0"
edition = "2024"
[workspace]
[dependencies]
spiffe = "=$spiffe"
spiffe-rustls = "=$spiffe_rustls"
spire-api = "=$spire_api"
EOF
: >"$out/fetch/src/lib.rs"
registry=${CARGO_HOME:-$HOME/.cargo}/registry/src
for crate in "spiffe-$spiffe" "spiffe-rustls-$spiffe_rustls" "spire-api-$spire_api"; do
    [ -d "$out/$crate" ] && continue
    compgen -G "$registry/*/$crate" >/dev/null || cargo fetch --manifest-path "$out/fetch/Cargo.toml"
    cp -r "$registry"/*/"$crate" "$out/$crate"
    # Two tests of `spiffe` name SPIRE's default socket in their source; they get ours like all others.
    for test in "$out/$crate"/tests/{x509,jwt}_source.rs; do
        [ ! -f "$test" ] || sed -i \
            's|"unix:/tmp/spire-agent/public/api.sock"|std::env::var("SPIFFE_ENDPOINT_SOCKET").unwrap()|' "$test"
    done
done

# One workspace, so that everything is built once; the patch makes the other two
# crates use the same copy of `spiffe`.
cat >"$out/Cargo.toml" <<EOF
[workspace]
resolver = "2"
members = ["spiffe-$spiffe", "spiffe-rustls-$spiffe_rustls", "spire-api-$spire_api"]
exclude = ["fetch"]
[patch.crates-io]
spiffe = { path = "spiffe-$spiffe" }
[profile.dev]
debug = false
EOF
cd "$out"
# The tests of `spiffe` have OpenSSL as a dev-dependency: take the system's where it is.
if pkg-config --exists openssl 2>/dev/null; then export OPENSSL_NO_VENDOR=1; fi

# `x509-source,jwt-source` turn `workload-api` and `jwt` on; without features most
# of the suite silently compiles to nothing.
features=spiffe/workload-api,spiffe/x509-source,spiffe/jwt-source,spiffe/jwt-verify-rust-crypto
packages=(-p spiffe -p spiffe-rustls -p spire-api --features "$features")
tests=(--test workload_api_client --test x509_source --test jwt_source
    --test integration_mtls --test federation_mtls --test delegated_identity_api_client_test)
cargo test --no-run "${packages[@]}" "${tests[@]}"
[ -z "${BUILD_ONLY:-}" ] || exit 0

failed=0
suite() { # NAME TEST… [-- ARG…]: runs named test programs of the build above
    local name=$1; shift
    echo "== $name"
    cargo test -q "${packages[@]}" "$@" || failed=1
}

if [ -n "${WORKLOAD_SOCKET:-}" ]; then
    export SPIFFE_ENDPOINT_SOCKET=$WORKLOAD_SOCKET
    suite "1 spiffe: Workload API, X509Source, JwtSource" \
        --test workload_api_client --test x509_source --test jwt_source -- --ignored "$@"
    suite "2 spiffe-rustls: mTLS" --test integration_mtls -- --ignored "$@"
else
    echo "== 1, 2 skipped: no WORKLOAD_SOCKET"
fi
if [ -n "${WORKLOAD_SOCKET:-}" ] && [ -n "${FEDERATED_SOCKET:-}" ]; then
    export SPIFFE_ENDPOINT_SOCKET_FEDERATED=$FEDERATED_SOCKET
    suite "3 spiffe-rustls: mTLS across two trust domains" --test federation_mtls -- --ignored "$@"
else
    echo "== 3 skipped: no FEDERATED_SOCKET"
fi
if [ -n "${ADMIN_SOCKET:-}" ]; then
    export SPIRE_ADMIN_ENDPOINT_SOCKET=$ADMIN_SOCKET
    suite "4 spire-api: delegated identity" --test delegated_identity_api_client_test -- --ignored "$@"
else
    echo "== 4 skipped: no ADMIN_SOCKET"
fi
exit $failed
