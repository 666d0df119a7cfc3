# Links the function's crate with the server. The crate that it takes its types from is the one beside this file.
set -eu
entrypoint=${OPEN_RUNTIMES_ENTRYPOINT:-src/main.rs}
test -f "$entrypoint" || { echo "There is no $entrypoint." >&2; exit 1; }
test -f Cargo.toml || { echo "There is no Cargo.toml: the function is a crate named \`handler\`." >&2; exit 1; }
# rustup looks beside the home of whoever builds, which is not where it is.
rustup=$(dirname "$(command -v cargo)")/../../.rustup
if test -d "$rustup"; then export RUSTUP_HOME="$rustup"; fi

workspace=$(mktemp -d)
trap 'rm -rf "$workspace"' EXIT
mkdir -p "$workspace/src"
cp -r . "$workspace/handler"
rm -rf "$workspace/handler/.everfold" "$workspace/handler/target"
# The entrypoint is the crate's library, whatever its name.
grep -q '^\[lib\]' Cargo.toml || printf '\n[lib]\npath = "%s"\n' "$entrypoint" >>"$workspace/handler/Cargo.toml"
cat >"$workspace/Cargo.toml" <<END
[package]
name = "everfold-function"
version = "0.0.0"
edition = "2021"

[workspace]
exclude = ["$EVERFOLD_RUNTIME"]

[dependencies]
handler = { path = "handler" }
everfold-server = { path = "$EVERFOLD_RUNTIME/server" }

[patch.crates-io]
openruntimes-types-for-rust = { path = "$EVERFOLD_RUNTIME/types" }

[profile.release]
strip = true
END
echo 'fn main() { everfold_server::serve(handler::main) }' >"$workspace/src/main.rs"
mkdir -p .everfold
cargo build --quiet --release --manifest-path "$workspace/Cargo.toml" --target-dir "$workspace/target"
mv "$workspace/target/release/everfold-function" .everfold/server
