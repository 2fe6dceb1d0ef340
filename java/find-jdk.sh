# Sourced by the launcher and the scripts: find_jdk prints the home of an installed JDK 25, or nothing.

# The major version a JDK's release file names, without starting it.
major() {
  sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release" 2>/dev/null
}

find_jdk() {
  local home on_path
  on_path=$(readlink -f "$(command -v javac || true)" 2>/dev/null || true)
  for home in "${GROUPREDUCE_JAVA_HOME:-}" "${JAVA_HOME:-}" "${JAVA25_HOME:-}" "${on_path%/bin/javac}" \
    /usr/lib/jvm/* /opt/java/* /opt/jdk* "$HOME"/.sdkman/candidates/java/* "$HOME"/.jdks/* \
    /Library/Java/JavaVirtualMachines/*/Contents/Home; do
    if [ -n "$home" ] && [ -x "$home/bin/javac" ] && [ "$(major "$home")" = 25 ]; then
      echo "$home"
      return
    fi
  done
}
