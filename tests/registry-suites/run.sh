#!/bin/bash
# Runs the integration suites that the crates `spiffe`, `spiffe-rustls` and
# `spire-api` publish, against a running deployment. README.md says what has to be
# registered there first.
#
#   WORKLOAD_SOCKET=unix:///…            agent of example.org, Workload API      (suites 1 and 2)
#   FEDERATED_SOCKET=unix:///…           agent of example-federated.org          (suite 3)
#   ADMIN_SOCKET=unix:///…               agent of example.org, admin socket      (suite 4)
#   OUT=dir                              where to build (default: a directory under the temporary one)
#   BUILD_ONLY=1                         stop before running anything
#
# The test programs are left in $OUT/bin. A suite without its socket is skipped and
# said so; the fourth is not even built. Arguments go to the test programs, e.g. a
# name to filter by.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${OUT:-${TMPDIR:-/tmp}/finial-registry-suites}
mkdir -p "$out/fetch/src" "$out/bin"
crates=(spiffe-0.19.0 spiffe-rustls-0.11.0)
programs=(workload_api_client x509_source jwt_source integration_mtls federation_mtls)
if [ -n "${ADMIN_SOCKET:-}" ]; then
    crates+=(spire-api-0.11.0)
    programs+=(delegated_identity_api_client_test)
fi

# Cargo's own registry client brings the sources; nothing of them is kept in the project.
{
    printf '[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n[dependencies]\n'
    for crate in "${crates[@]}"; do echo "${crate%-*} = \"=${crate##*-}\""; done
} >"$out/fetch/Cargo.toml"
: >"$out/fetch/src/lib.rs"
registry=${CARGO_HOME:-$HOME/.cargo}/registry/src
in_cache() { compgen -G "$registry/*/$1" | head -n 1; }
for crate in "${crates[@]}"; do
    [ ! -d "$out/$crate" ] || continue
    [ -n "$(in_cache "$crate")" ] || cargo fetch -q --manifest-path "$out/fetch/Cargo.toml"
    rm -rf "$out/$crate.part"
    cp -r "$(in_cache "$crate")" "$out/$crate.part"
    # Two tests of `spiffe` name SPIRE's default socket in their source; they get ours like all others.
    for test in "$out/$crate.part"/tests/{x509,jwt}_source.rs; do
        [ ! -f "$test" ] || sed -i \
            's|"unix:/tmp/spire-agent/public/api.sock"|std::env::var("SPIFFE_ENDPOINT_SOCKET").unwrap()|' "$test"
    done
    # Only unit tests, which are not ours to run, need OpenSSL; building that takes minutes.
    sed -i '/^\[dev-dependencies\.openssl\]$/,/^$/d' "$out/$crate.part/Cargo.toml"
    mv "$out/$crate.part" "$out/$crate"
done

# One workspace, so that everything is built once; the patch makes the other
# crates use the same copy of `spiffe`.
members=$(printf '"%s", ' "${crates[@]}")
cat >"$out/Cargo.toml" <<TOML
[workspace]
resolver = "2"
members = [${members%, }]
exclude = ["fetch"]
[patch.crates-io]
spiffe = { path = "spiffe-0.19.0" }
[profile.dev]
debug = false
TOML
# The same dependencies everywhere; cargo adds those of suite 4 when it is asked for.
cp "$here/Cargo.lock" "$out/Cargo.lock"

# `x509-source,jwt-source` turn `workload-api` and `jwt` on; without features most
# of the suite silently compiles to nothing.
features=spiffe/workload-api,spiffe/x509-source,spiffe/jwt-source,spiffe/jwt-verify-rust-crypto
build=(cargo test --no-run --manifest-path "$out/Cargo.toml" --target-dir "$out/target" --features "$features")
for crate in "${crates[@]}"; do build+=(-p "${crate%-*}"); done
for program in "${programs[@]}"; do build+=(--test "$program"); done
"${build[@]}" 2>&1 | tee "$out/build.log"
for program in "${programs[@]}"; do
    path=$(sed -n "s|^ *Executable tests/$program.rs (\(.*\))\$|\1|p" "$out/build.log")
    case $path in /*) ;; *) path=$out/$path ;; esac
    ln -sfn "$path" "$out/bin/$program"
done
[ -z "${BUILD_ONLY:-}" ] || exit 0

failed=0
suite() { # NAME PROGRAM…
    echo "== $1"
    shift
    for program in "$@"; do "$out/bin/$program" --ignored "${filter[@]}" || failed=1; done
}
filter=("$@")

export SPIFFE_ENDPOINT_SOCKET=${WORKLOAD_SOCKET:-} SPIFFE_ENDPOINT_SOCKET_FEDERATED=${FEDERATED_SOCKET:-} \
    SPIRE_ADMIN_ENDPOINT_SOCKET=${ADMIN_SOCKET:-}
if [ -n "${WORKLOAD_SOCKET:-}" ]; then
    suite "1 spiffe: Workload API, X509Source, JwtSource" workload_api_client x509_source jwt_source
    suite "2 spiffe-rustls: mTLS" integration_mtls
else
    echo "== 1, 2 skipped: no WORKLOAD_SOCKET"
fi
if [ -n "${WORKLOAD_SOCKET:-}" ] && [ -n "${FEDERATED_SOCKET:-}" ]; then
    suite "3 spiffe-rustls: mTLS across two trust domains" federation_mtls
else
    echo "== 3 skipped: no WORKLOAD_SOCKET or no FEDERATED_SOCKET"
fi
if [ -n "${ADMIN_SOCKET:-}" ]; then
    suite "4 spire-api: delegated identity" delegated_identity_api_client_test
else
    echo "== 4 skipped: no ADMIN_SOCKET"
fi
exit $failed
