# Links the function's package with the server. The package that it imports for its types is the one beside this file.
set -eu
# What Debian ships compiled is only taken with the settings that it was compiled with: a build of 2 s, not 20.
export GOWORK=off GOFLAGS=-buildvcs=false GOTOOLCHAIN=local
test -f "${OPEN_RUNTIMES_ENTRYPOINT:-main.go}" || { echo "There is no ${OPEN_RUNTIMES_ENTRYPOINT:-main.go}." >&2; exit 1; }
test -f go.mod || printf 'module openruntimes/handler\n\ngo 1.19\n' >go.mod
module=$(sed -n 's/^module[[:space:]]*//p' go.mod)
version=$(sed -n 's/^go[[:space:]]*//p' go.mod)

workspace=$(mktemp -d)
trap 'rm -rf "$workspace"' EXIT
mkdir "$workspace/main"
printf 'module everfold/main\n\ngo 1.19\n' >"$workspace/main/go.mod"
printf 'package main\n\nimport (\n\t"everfold/server"\n\thandler "%s"\n)\n\nfunc main() { server.Serve(handler.Main) }\n' \
    "$module" >"$workspace/main/main.go"
printf 'go %s\n\nuse (\n\t%s\n\t%s\n\t%s\n\t%s\n)\n' "${version:-1.19}" "$workspace/main" "$PWD" \
    "$EVERFOLD_RUNTIME/server" "$EVERFOLD_RUNTIME/types" >"$workspace/go.work"

mkdir -p .everfold
output=$PWD/.everfold/server
cd "$workspace/main"
GOWORK="$workspace/go.work" go build -ldflags '-s -w' -o "$output" .
