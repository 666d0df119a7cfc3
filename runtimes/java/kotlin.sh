# Compiles what is in Kotlin, and then, in `build.sh`, what is in Java: each may name the other. The jars that both need
# at run time lie with the code, so that nothing of the compiler is needed then.
set -eu
export OPEN_RUNTIMES_ENTRYPOINT="${OPEN_RUNTIMES_ENTRYPOINT:-Main.kt}"
test -f "$OPEN_RUNTIMES_ENTRYPOINT" || { echo "There is no $OPEN_RUNTIMES_ENTRYPOINT." >&2; exit 1; }
kotlinc=$(readlink -f "$(command -v kotlinc)")
mkdir -p .everfold/kotlin
cp "${kotlinc%/bin/*}/lib/kotlin-stdlib.jar" "${kotlinc%/bin/*}/lib/kotlinx-coroutines-core-jvm.jar" .everfold/kotlin
# It knows no `*` for the jars of a folder.
jars=$(find .everfold/kotlin lib -name '*.jar' -printf '%p:' 2>/dev/null || true)
sources="${TMPDIR:-/tmp}/kotlin.$$"
trap 'rm -f "$sources"' EXIT
find . "$EVERFOLD_RUNTIME/src" '(' -name '*.kt' -o -name '*.java' ')' -not -path './.everfold/*' \
    -exec printf '"%s"\n' {} + >"$sources"
# The compiler lives too short for the second compiler of its own machine.
JAVA_OPTS="-Xmx512M -XX:+UseSerialGC -XX:TieredStopAtLevel=1" \
    kotlinc -nowarn -no-reflect -jvm-target 17 -d .everfold/classes -cp "$jars/usr/share/java/gson.jar" "@$sources"
sh "$EVERFOLD_RUNTIME/build.sh"
