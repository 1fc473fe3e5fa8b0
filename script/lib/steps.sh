# The steps of script/test. Each prints its duration, and its counts go into the totals at the end.

passed=0 failed=0 failures=()

# step NAME COMMAND...: goes on after a failure, so that one run reports every failure.
step() {
  local name=$1 begin=$SECONDS status=0 log=$logs/step.log good bad
  shift
  printf '\n=== %s\n' "$name"
  # A subshell with errexit on, which `if` and `||` would turn off.
  set +e
  (set -e; "$@") 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  set -e
  good=$(count_good "$log")
  bad=$(count_bad "$log")
  if ((good + bad == 0 && status == 0)); then good=1; fi
  if ((bad == 0 && status != 0)); then bad=1; fi
  if ((status != 0 || bad > 0)); then failures+=("$name"); fi
  passed=$((passed + good))
  failed=$((failed + bad))
  printf -- '--- %s: %s, %d s\n' "$name" "$( ((status == 0 && bad == 0)) && echo ok || echo FAILED)" $((SECONDS - begin))
}

# skip NAME REASON
skip() { printf '\n=== %s\n--- %s: skipped, %s\n' "$1" "$1" "$2"; }

without_colours() { sed $'s/\033\\[[0-9;]*m//g' "$1"; }

# Add up the numbers in the reports of nextest, cargo test, Node's test runner, vitest and conformance/run.
count_good() {
  without_colours "$1" | awk '
    /tests? run: [0-9]+ passed/ { match($0, /run: [0-9]+/); n += substr($0, RSTART + 5, RLENGTH - 5) }
    /^test result: / { n += $4 }
    /^(#|ℹ) pass [0-9]+$/ { n += $3 }
    /^ +Tests .*[0-9]+ passed/ { match($0, /[0-9]+ passed/); n += substr($0, RSTART, RLENGTH - 7) }
    END { print n + 0 }'
}

count_bad() {
  without_colours "$1" | awk '
    /tests? run: / && match($0, /[0-9]+ failed/) { n += substr($0, RSTART, RLENGTH - 7) }
    /^test result: / { n += $6 }
    /^(#|ℹ) (fail|cancelled) [0-9]+$/ { n += $3 }
    /^ +Tests .*[0-9]+ failed/ { match($0, /[0-9]+ failed/); n += substr($0, RSTART, RLENGTH - 7) }
    END { print n + 0 }'
}

finish() {
  printf '\n'
  if ((${#failures[@]} > 0)); then
    printf 'failed: %s\n' "${failures[@]}"
  fi
  printf '%d passed, %d failed\n' "$passed" "$failed"
  ((failed == 0 && ${#failures[@]} == 0))
}
