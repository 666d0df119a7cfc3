# Compiles the function's sources together with the server. Jars that it needs lie in its folder `lib`, and where
# `kotlin.sh` was before, in `.everfold`.
set -eu
test -f "${OPEN_RUNTIMES_ENTRYPOINT:-Main.java}" || { echo "There is no ${OPEN_RUNTIMES_ENTRYPOINT:-Main.java}." >&2; exit 1; }
gson=/usr/share/java/gson.jar
test -f "$gson" || { echo "There is no $gson: apt-get install libgoogle-gson-java" >&2; exit 1; }
find . "$EVERFOLD_RUNTIME/src" -name '*.java' -not -path './.everfold/*' -exec printf '"%s"\n' {} + >"${TMPDIR:-/tmp}/sources.$$"
trap 'rm -f "${TMPDIR:-/tmp}/sources.$$"' EXIT
javac -nowarn -encoding UTF-8 -d .everfold/classes -cp ".everfold/classes:.everfold/kotlin/*:lib/*:$gson" "@${TMPDIR:-/tmp}/sources.$$"
