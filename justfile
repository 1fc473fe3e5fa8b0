# The commands of script/ by name. Each recipe runs one script and passes its arguments on.
# Everything works without just: run the scripts themselves.

set positional-arguments

_default:
    @just --list --unsorted

# Install what this machine lacks to build, run and test Callboard
bootstrap:
    script/bootstrap

# Run Postgres, Redis, the API and two workers here (--background, --demo, --release)
server *arguments:
    script/server "$@"

# The same, and run the demo's three jobs
demo:
    script/server --demo

# End what `just server` runs; the data stay
stop:
    script/stop

# Run every test
test:
    script/test

# Regenerate .sqlx against the empty database in DATABASE_URL
prepare:
    script/prepare

# Run everything in a seeded storm of faults and audit it (--seed N, --minutes M, --starved, --outages, --mutants)
chaos *arguments:
    script/chaos "$@"

# Measure the promises of docs/reliability.md on optimised binaries (kill, stop, cancel, redis, rates, fair, browsers)
drill *arguments:
    script/drill "$@"

# Measure the claims of docs/benchmarks.md on a quiet machine (--rounds N, --only WORKLOADS)
bench *arguments:
    bench/run "$@"
