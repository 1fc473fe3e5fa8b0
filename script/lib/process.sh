# Processes that outlive the script that starts them. The file `run/NAME.pid` holds a process's id and start time. Both
# must match before the process is signalled, so that a foreign process is never ended.

# Prints when a process started, or fails if it no longer runs. A zombie does not run.
start_of() {
  local stat
  if [[ -d /proc/self ]]; then
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # The second field is the program's name, and may contain anything.
    # shellcheck disable=SC2086
    set -- ${stat##*) }
    [[ $1 != [ZX] ]] || return 1
    printf '%s@%s' "${20}" "$(cat /proc/sys/kernel/random/boot_id)"
  else
    stat=$(ps -o stat=,lstart= -p "$1") && [[ $stat != Z* ]] || return 1
    printf '%s' "${stat#* }" | tr -s ' ' _
  fi
}

is_process() { [[ -n ${1:-} && $(start_of "$1") == "${2:-}" ]]; }

# Sets $pid and $start of a process that has a file. Fails if there is none.
recorded() { { read -r pid start <"$state/run/$1.pid"; } 2>/dev/null; }

is_running() {
  local pid start
  recorded "$1" && is_process "$pid" "$start"
}

pid_of() {
  local pid start
  recorded "$1" && printf '%s' "$pid"
}

# Starts every command below in a session of its own, with the signals restored that a script's children ignore.
if command -v setsid >/dev/null && env --default-signal=INT true 2>/dev/null; then
  detached=(env --default-signal=INT,QUIT setsid)
else
  detached=(nohup)
fi

# start_process NAME COMMAND...
start_process() {
  local name=$1 log=$state/logs/$1.log pid start
  shift
  if [[ -f $log ]]; then mv -f "$log" "$log.old"; fi
  (cd / && exec "${detached[@]}" "$@") </dev/null >"$log" 2>&1 8>&- &
  pid=$!
  # So that Bash does not report its end.
  disown "$pid"
  start=$(start_of "$pid") || start=
  printf '%s %s\n' "$pid" "$start" >"$state/run/$name.pid"
}

# signal_process NAME SIGNAL
signal_process() {
  local pid start
  if recorded "$1" && is_process "$pid" "$start"; then kill "-$2" "$pid" 2>/dev/null || true; fi
}

# await_end NAME SECONDS: kills the process if it has not ended by then.
await_end() {
  local rest=$(($2 * 20))
  while is_running "$1"; do
    if ((rest-- <= 0)); then
      say "$1 did not stop in time and is being killed"
      signal_process "$1" KILL
      rest=100
    fi
    sleep 0.05
  done
  rm -f "$state/run/$1.pid"
}

# All Callboard processes that may run in a state directory. api-2 is the bench's, in front of a second database.
readonly callboard_processes=(api api-2 worker-1 worker-2)

# Prints the names of the processes that have a file, in the order of their end: clients before their servers.
recorded_names() {
  local name
  for name in watcher "${callboard_processes[@]}" redis postgres; do
    [[ ! -f $state/run/$name.pid ]] || printf '%s\n' "$name"
  done
}

# Ends all processes of a state directory in order. Running jobs get CALLBOARD_DRAIN seconds.
end_everything() {
  local name
  signal_process watcher KILL
  await_end watcher 1
  for name in "${callboard_processes[@]}"; do signal_process "$name" CONT; signal_process "$name" TERM; done
  for name in "${callboard_processes[@]}"; do await_end "$name" $((${CALLBOARD_DRAIN:-5} + 15)); done
  for name in redis postgres; do signal_process "$name" CONT; done
  signal_process redis TERM
  signal_process postgres INT
  for name in redis postgres; do await_end "$name" 20; done
  remove_temporary
  rm -f "$state/run/token"
}

# Removes what this state directory keeps in /tmp.
remove_temporary() {
  local directory
  directory=$(readlink "$state/tmp" 2>/dev/null || true)
  if [[ $directory == /tmp/callboard-?????? && -O $directory ]]; then rm -rf "$directory"; fi
}

# Whether a process listens on this port.
is_taken() { (exec 7<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Prints a free port below the range that the kernel gives to clients, so that no client takes it meanwhile.
free_port() {
  local port
  while :; do
    port=$((RANDOM % 12000 + 20000))
    if ! is_taken "$port"; then printf '%s' "$port" && return; fi
  done
}

# until_true SECONDS COMMAND...
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS <= end)) || return 1
    sleep 0.05
  done
}
