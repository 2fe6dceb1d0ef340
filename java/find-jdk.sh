# Sourced by the launcher and the scripts: find_jdk prints the home of an installed JDK 25, or nothing. One with the Vector API comes
# before one without, unless that is named in GROUPREDUCE_JAVA_HOME.

# The major version a JDK's release file names, without starting it.
major() {
  sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release" 2>/dev/null
}

# Whether a JDK has the Vector API; one that does not list its modules is taken to have all.
has_vector() {
  ! grep -q '^MODULES=' "$1/release" || grep -q '^MODULES=.*[" ]jdk\.incubator\.vector[" ]' "$1/release"
}

find_jdk() {
  local home javac second=
  javac=$(command -v javac || true)
  # An older macOS has no readlink -f; the path as it stands is then the best there is.
  javac=$(readlink -f "$javac" 2>/dev/null || printf '%s' "$javac")
  for home in "${GROUPREDUCE_JAVA_HOME:-}" "${JAVA_HOME:-}" "${JAVA25_HOME:-}" "${javac%/bin/javac}" \
    /usr/lib/jvm/* /opt/java/* /opt/jdk* "${HOME:-}"/.sdkman/candidates/java/* "${HOME:-}"/.jdks/* \
    /Library/Java/JavaVirtualMachines/*/Contents/Home \
    {/opt/homebrew,/usr/local}/opt/openjdk{@25,}/libexec/openjdk.jdk/Contents/Home; do
    if [ -n "$home" ] && [ -x "$home/bin/javac" ] && [ "$(major "$home")" = 25 ]; then
      if has_vector "$home" || [ "$home" = "${GROUPREDUCE_JAVA_HOME:-}" ]; then
        echo "$home"
        return
      fi
      second=${second:-$home}
    fi
  done
  [ -z "$second" ] || echo "$second"
}
