#!/usr/bin/env bash
# Ends the processes of a state directory when the directory or its token is gone (`rm -rf .callboard`), or when the
# script/server in whose foreground they run was killed. Remembers their ids, because their files vanish too.
#
#   watch.sh WAY TOKEN FOREGROUND_PID|- FOREGROUND_START|- NAME...
#
# WAY is .callboard/state, which may be a link. Losing only the link counts too.
set -euo pipefail
library=$(dirname "${BASH_SOURCE[0]}")
source "$library/state.sh"
source "$library/process.sh"

way=$1 token=$2 foreground=$3 foreground_start=$4
shift 4
state=$(cd "$way" && pwd -P)
temporary=$(readlink "$state/tmp" 2>/dev/null || true)
known=()
for name in "$@"; do
  recorded "$name" && known+=("$name $pid $start")
done

is_wanted() {
  [[ $(cat "$way/run/token" 2>/dev/null) == "$token" ]] || return 1
  [[ $foreground == - ]] || is_process "$foreground" "$foreground_start"
}

while is_wanted; do sleep 1; done

# The files of the processes once more, where no other script removes them.
copy=$(mktemp -d)
mkdir "$copy/run"
for entry in "${known[@]}"; do
  printf '%s\n' "${entry#* }" >"$copy/run/${entry%% *}.pid"
done
# Another script/server that started meanwhile has its own files in the old place. They are left alone.
if [[ -d $state/run && $foreground != - ]]; then rm -f "$state/run/token"; fi
(state=$copy && end_everything)
if [[ $temporary == /tmp/callboard-?????? && -O $temporary ]]; then rm -rf "$temporary"; fi
rm -rf "$copy"
