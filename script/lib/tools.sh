# Finds programs from elsewhere: Node with npm, and Chromium.

# Prints where script/bootstrap puts its own Node. This directory holds a link and a script, and goes on the PATH.
own_node() { printf '%s' "$state/node/path"; }

# at_least WANTED GIVEN: compares the first two numbers of versions.
at_least() {
  local major minor
  IFS=. read -r major minor _ <<<"${2#v}"
  [[ $major =~ ^[0-9]+$ ]] && ((major > ${1%%.*} || (major == ${1%%.*} && ${minor:-0} >= ${1#*.})))
}

# Prints the version of npm without starting it, which would take a third of a second.
npm_version() {
  local file
  file=$(readlink -f "$1")
  file=${file%/bin/*}/package.json
  if [[ -f $file ]]; then sed -n 's/^ *"version": *"\([^"]*\)".*/\1/p' "$file" | head -n 1; else "$1" --version; fi
}

# Whether the PATH has npm 11 or newer, and Node 20.19 or newer that the unprivileged user of the jobs can run.
is_node_on_path() {
  local node npm
  node=$(command -v node) && npm=$(command -v npm) || return 1
  at_least 20.19 "$(cd / && (as_user "$job_user" "$node" --version) 2>/dev/null)" && at_least 11.0 "$(npm_version "$npm")"
}

# Puts a suitable Node on the PATH if there is one. Sets $node.
use_node() {
  if ! is_node_on_path; then
    PATH=$(own_node):$PATH
    export PATH
    hash -r
    is_node_on_path || return 1
  fi
  node=$(readlink -f "$(command -v node)")
}

find_chromium() {
  local candidate
  if [[ -n ${CALLBOARD_CHROMIUM:-} ]]; then printf '%s' "$CALLBOARD_CHROMIUM" && return; fi
  for candidate in chromium chromium-browser google-chrome google-chrome-stable \
    "/Applications/Chromium.app/Contents/MacOS/Chromium" \
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
    if command -v "$candidate"; then return; fi
  done
  return 1
}
