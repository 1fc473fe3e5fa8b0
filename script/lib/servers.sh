# A private Postgres and a private Redis in the state directory, on loopback ports, with passwords.

# Prints the directory of Postgres' programs: Debian's, the newest first, else Homebrew's, else the one on the PATH.
find_postgres() {
  local directory
  for directory in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t/ -k5 -rn) \
    /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin; do
    if [[ -x $directory/initdb ]]; then printf '%s' "$directory" && return; fi
  done
  directory=$(command -v initdb) && dirname "$directory"
}

# Prints the user that a server runs as when this is root: its package's own, else the user of the jobs.
server_user() { if id "$1" >/dev/null 2>&1; then printf '%s' "$1"; else printf '%s' "$job_user"; fi; }

# Runs one of Postgres' programs as its user, from a directory that this user may enter.
as_postgres() { (cd / && as_user "$(server_user postgres)" "$@"); }

make_cluster() {
  local programs=$1 password_file=$2 new=$state/postgres.new
  rm -rf "$new" && mkdir -m 700 "$new"
  (umask 077 && cp "$password_file" "$new.password")
  if is_root; then chown "$(server_user postgres)" "$new" "$new.password"; fi
  as_postgres "$programs/initdb" --pgdata="$new" --username=callboard --auth=scram-sha-256 \
    --pwfile="$new.password" --encoding=UTF8 --locale=C.UTF-8 --no-instructions >"$state/logs/initdb.log" 2>&1 ||
    fail "initdb failed: $(cat "$state/logs/initdb.log")"
  rm -f "$new.password"
  mv "$new" "$state/postgres"
}

# start_postgres OPTION...: sets $postgres_url.
start_postgres() {
  local programs password_file password port tries
  programs=$(find_postgres) || fail "Postgres is not installed. Run script/bootstrap."
  password_file=$(secret postgres.password random_hex 16)
  password=$(<"$password_file")
  [[ -f $state/postgres/PG_VERSION ]] || make_cluster "$programs" "$password_file"
  # Tries again, because the port may be taken meanwhile, or children of a killed server may still be ending.
  for tries in 1 2 3 4; do
    port=$(free_port)
    start_process postgres "$BASH" -c 'source "$1/state.sh" && shift && as_user "$@"' - "$root/script/lib" \
      "$(server_user postgres)" "$programs/postgres" -D "$state/postgres" -p "$port" \
      -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300 -c log_min_messages=warning "$@"
    if until_true 30 postgres_answers_or_ended "$programs" "$port" && is_running postgres; then
      postgres_url=postgres://callboard:$password@127.0.0.1:$port/callboard
      make_database "$programs" "$password" "$port"
      return
    fi
    signal_process postgres INT
    await_end postgres 5
    sleep 1
  done
  fail "Postgres did not start: $(tail -n 5 "$state/logs/postgres.log")"
}

postgres_answers_or_ended() { ! is_running postgres || "$1/pg_isready" -q -h 127.0.0.1 -p "$2"; }

# Runs once. The marker file saves starting psql every time.
make_database() {
  [[ ! -f $state/postgres.made ]] || return 0
  PGPASSWORD=$2 PGCONNECT_TIMEOUT=10 "$1/psql" -q -h 127.0.0.1 -p "$3" -U callboard -d postgres -v ON_ERROR_STOP=1 \
    -c 'CREATE DATABASE callboard' 2>"$state/logs/createdb.log" || grep -q 'already exists' "$state/logs/createdb.log" ||
    fail "cannot create the database: $(cat "$state/logs/createdb.log")"
  touch "$state/postgres.made"
}

# Sets $redis_url. The password is in a file, because every user can read a command line.
start_redis() {
  local password port tries directory=$state/redis
  password=$(<"$(secret redis.password random_hex 16)")
  mkdir -p "$directory"
  chmod 700 "$directory"
  for tries in 1 2 3; do
    port=$(free_port)
    (umask 077 && cat >"$directory/redis.conf") <<END
bind 127.0.0.1
port $port
requirepass $password
dir "$directory"
appendonly yes
appendfsync everysec
save ""
END
    if is_root; then chown -R "$(server_user redis)" "$directory"; fi
    start_process redis "$BASH" -c 'source "$1/state.sh" && shift && as_user "$@"' - "$root/script/lib" \
      "$(server_user redis)" "$(command -v redis-server)" "$directory/redis.conf"
    if until_true 30 redis_answers_or_ended "$password" "$port" && is_running redis; then
      redis_url=redis://:$password@127.0.0.1:$port/0
      return
    fi
    signal_process redis TERM
    await_end redis 5
  done
  fail "Redis did not start: $(tail -n 5 "$state/logs/redis.log")"
}

redis_answers_or_ended() {
  ! is_running redis || [[ $(REDISCLI_AUTH=$1 redis-cli -h 127.0.0.1 -p "$2" ping 2>/dev/null) == PONG ]]
}
