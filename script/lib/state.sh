# Where everything lives that is not source: the state directory and its secrets.
#
#   $root             the checkout
#   $CALLBOARD_STATE  by default .callboard in the checkout; holds server.json, demo/ and the link or directory `state`
#   $state            the real directory. Under root, unprivileged users must be able to pass through it, because
#                     Postgres and the jobs run as such users. If they cannot pass the checkout (/root is 0700), it is a
#                     directory in /var/lib/callboard, and .callboard/state is a link to it.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
readonly elsewhere=/var/lib/callboard
# When this is root, the jobs run as this user, and so do Postgres and Redis if they have no user of their own.
readonly job_user=${CALLBOARD_RUN_AS:-nobody}
umask 022

say() { printf '%s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }
is_root() { [[ $EUID == 0 ]]; }
random_hex() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }

# quietly NAME COMMAND...: shows the command's output only if it fails.
quietly() {
  local log=$state/logs/$1.log
  shift
  "$@" >"$log" 2>&1 || fail "$* failed: $(cat "$log")"
}

# as_user USER COMMAND...: runs it as that user if this is root, else as the current user. Never forks, so that the
# process id stays the same.
as_user() {
  local user=$1
  shift
  if is_root; then
    exec setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups -- "$@"
  fi
  exec "$@"
}

# Whether the unprivileged user may do this with that file. For a directory, -x means to pass through it.
job_user_can() { is_root || return 0; (as_user "$job_user" test "$1" "$2") 2>/dev/null; }

# Removes directories in /var/lib/callboard whose checkout is gone or now uses another one, and ends their processes.
remove_strays() {
  local directory owner
  for directory in "$elsewhere"/*/; do
    directory=${directory%/}
    [[ -f $directory/owner ]] || continue
    owner=$(<"$directory/owner")
    [[ $(readlink "$owner" 2>/dev/null) != "$directory" ]] || continue
    (state=$directory && end_everything)
    rm -rf "$directory"
  done
}

# Sets $state and creates what is missing in it.
open_state() {
  CALLBOARD_STATE=${CALLBOARD_STATE:-$root/.callboard}
  mkdir -p "$CALLBOARD_STATE"
  CALLBOARD_STATE=$(cd "$CALLBOARD_STATE" && pwd -P)
  export CALLBOARD_STATE
  local link=$CALLBOARD_STATE/state
  if is_root && [[ -d $elsewhere ]]; then remove_strays; fi
  if [[ -L $link && $(cat "$link/owner" 2>/dev/null) != "$link" ]]; then rm -f "$link"; fi
  if [[ ! -L $link ]]; then
    if job_user_can -x "$CALLBOARD_STATE"; then
      mkdir -p "$link"
    else
      move_elsewhere "$link"
    fi
  fi
  state=$(cd "$link" && pwd -P)
  chmod 755 "$state"
  mkdir -p "$state"/{run,logs,secrets}
  chmod 700 "$state"/{run,logs,secrets}
}

# Creates the directory in /var/lib/callboard and the link to it, and moves existing state there.
move_elsewhere() {
  local link=$1 directory
  directory=$elsewhere/$(random_hex 4)
  mkdir -p "$elsewhere"
  if [[ -d $link ]]; then mv "$link" "$directory"; else mkdir "$directory"; fi
  printf '%s\n' "$link" >"$directory/owner"
  ln -s "$directory" "$link"
}

# secret NAME COMMAND...: prints the path of the secret's file, which the command makes the first time.
secret() {
  local file=$state/secrets/$1
  shift
  if [[ ! -s $file ]]; then
    (umask 077 && "$@" >"$file.new")
    mv "$file.new" "$file"
  fi
  printf '%s' "$file"
}

new_master_key() { head -c 32 /dev/urandom | base64; }
new_api_key() { printf 'cb_%s\n' "$(random_hex 24)"; }

# Creates the directory for temporary files of jobs and sets $temporary. Chromium puts a socket in it, whose path may
# have 107 characters, of which job, attempt and Chromium take 79. If the state directory's path is longer, it is in
# /tmp.
open_temporary() {
  local link=$state/tmp directory
  if ((${#link} <= 28)); then
    mkdir -p "$link"
    temporary=$link
  else
    directory=$(readlink "$link" 2>/dev/null || true)
    if [[ -z $directory || ! -O $directory || ! -d $directory ]]; then
      directory=$(mktemp -d /tmp/callboard-XXXXXX)
      ln -sfn "$directory" "$link"
    fi
    temporary=$directory
  fi
  chmod 711 "$temporary"
}
