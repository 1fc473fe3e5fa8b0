# Builds what script/server runs, if it is not up to date. A stamp is a checksum of all inputs. It is kept beside the
# output and written last.

# sum_of PATH...: prints a checksum of all files that are no products of a build.
sum_of() {
  (cd "$root" && find "$@" -type f -not -path '*/node_modules/*' -not -path '*/dist/*' -not -name graphql-env.d.ts -print0 |
    sort -z | xargs -0 cksum | cksum)
}

# install_packages DIRECTORY: runs npm ci, unless node_modules was installed from this very lock file.
install_packages() {
  local directory=$root/$1
  if cmp -s "$directory/package-lock.json" "$directory/node_modules/.installed-from"; then return; fi
  say "installing the packages of $1"
  quietly "packages-${1//\//-}" npm --prefix "$directory" ci --no-audit --no-fund
  cp "$directory/package-lock.json" "$directory/node_modules/.installed-from"
}

build_dashboard() {
  local sum stamp=$root/dashboard/node_modules/.built-from
  install_packages dashboard
  sum=$(sum_of dashboard schema.graphql)
  if [[ -f $root/dashboard/dist/index.html && $(cat "$stamp" 2>/dev/null) == "$sum" ]]; then return; fi
  say "building the dashboard"
  quietly build-dashboard npm --prefix "$root/dashboard" run build
  printf '%s\n' "$sum" >"$stamp"
}

# Copies the runner to where the unprivileged user can read it.
build_runner() {
  local sum runner=$state/runner
  install_packages runner
  sum=$(sum_of runner)
  if [[ $(cat "$runner/.copied-from" 2>/dev/null) == "$sum" ]]; then return; fi
  rm -rf "$runner" "$runner.new"
  mkdir "$runner.new"
  cp -R "$root/runner/src" "$root/runner/package.json" "$root/runner/node_modules" "$runner.new/"
  chmod -R go+rX "$runner.new"
  printf '%s\n' "$sum" >"$runner.new/.copied-from"
  mv "$runner.new" "$runner"
}

# Prints every ten seconds how many crates cargo has built, and everything else that cargo says as soon as it is said.
show_progress() {
  local chunk line next=$((SECONDS + 5)) begin=$SECONDS
  while IFS= read -r -d $'\r' chunk || [[ -n $chunk ]]; do
    while IFS= read -r line; do
      if [[ $line =~ ^\ +Building\ .*\ ([0-9]+)/([0-9]+) ]]; then
        if ((SECONDS >= next)); then
          say "  ${BASH_REMATCH[1]} of ${BASH_REMATCH[2]} crates built after $((SECONDS - begin)) s"
          next=$((SECONDS + 10))
        fi
      elif [[ -n $line && ! $line =~ ^\ +(Compiling|Download|Updating|Locking|Blocking|Finished|Fresh) ]]; then
        say "$line"
      fi
    done <<<"$chunk"
  done
}

build_crates() {
  (
    cd "$root"
    export SQLX_OFFLINE=true CARGO_TERM_PROGRESS_WHEN=always CARGO_TERM_PROGRESS_WIDTH=80 CARGO_TERM_COLOR=never
    cargo build --locked --package callboard-api --package callboard-worker "$@" 2>&1 | show_progress
  )
}

# build_binaries PROFILE: sets $binaries. script/test has already built them and sets CALLBOARD_BINARIES.
build_binaries() {
  local profile=$1 directory=debug
  if [[ -n ${CALLBOARD_BINARIES:-} ]]; then
    binaries=$CALLBOARD_BINARIES
    return
  fi
  [[ $profile == dev ]] || directory=$profile
  build_crates --profile "$profile"
  binaries=${CARGO_TARGET_DIR:-$root/target}/$directory
  # The path is relative to where cargo ran.
  [[ $binaries == /* ]] || binaries=$root/$binaries
}

# The worker starts itself again as the unprivileged user of its jobs. Makes a copy if that user cannot run the
# original. Sets $worker.
place_worker() {
  worker=$binaries/callboard-worker
  if job_user_can -x "$worker"; then return; fi
  mkdir -p "$state/bin"
  if ! cmp -s "$worker" "$state/bin/callboard-worker"; then
    cp "$worker" "$state/bin/callboard-worker.new"
    mv "$state/bin/callboard-worker.new" "$state/bin/callboard-worker"
  fi
  worker=$state/bin/callboard-worker
}
