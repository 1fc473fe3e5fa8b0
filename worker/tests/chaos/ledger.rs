//! The ledger of what has run. Every attempt's child appends to one file at its start, ten times a
//! second, and at its end.

use std::{collections::BTreeMap, fs, path::Path};

/// What one attempt wrote. Times are seconds since the machine started.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Run {
    pub(crate) starts: usize,
    pub(crate) ends: usize,
    pub(crate) first: f64,
    pub(crate) last: f64,
}

/// Runs by job and attempt number.
pub(crate) type Runs = BTreeMap<(String, i32), Run>;

/// A program's script. `$1` is the number of ticks, and attempts up to number `$2` fail. A child in
/// a session of its own writes ticks too, and must end with the attempt.
pub(crate) fn script(ledger: &Path) -> String {
    format!(
        "say() {{ read t _ </proc/uptime; echo \"$t $CALLBOARD_JOB $CALLBOARD_ATTEMPT $1\" >>{0}; }}
        say start
        (trap '' TERM HUP; setsid sh -c 'while read t _ </proc/uptime; do
            echo \"$t $CALLBOARD_JOB $CALLBOARD_ATTEMPT ghost\" >>{0}; sleep 0.1; done') &
        # A second attempt lasts longer, so that a worker that comes back finds it running.
        i=$((CALLBOARD_ATTEMPT > 1 ? -30 : 0))
        while test $i -lt $1; do say alive; echo \"line $i of $CALLBOARD_ATTEMPT\"; sleep 0.1; i=$((i + 1)); done
        test $CALLBOARD_ATTEMPT -le $2 && exit 1
        say end",
        ledger.display()
    )
}

/// The same in a browser, with the input's `ticks` and `fails`.
pub(crate) fn browser_script(ledger: &Path) -> String {
    format!(
        "import {{ appendFileSync, readFileSync }} from 'node:fs';
        const {{ CALLBOARD_JOB: job, CALLBOARD_ATTEMPT: attempt }} = process.env;
        const say = (word) => appendFileSync('{}', `${{readFileSync('/proc/uptime', 'utf8').split(' ')[0]}} ${{job}} ${{attempt}} ${{word}}\n`);
        export default async ({{ page, input, log }}) => {{
            say('start');
            await page.goto('data:text/html,<title>here</title>');
            for (let tick = 0; tick < input.ticks; tick++) {{
                say('alive');
                log(`line ${{tick}} of ${{attempt}}`);
                await page.waitForTimeout(100);
            }}
            if (Number(attempt) <= input.fails) throw new Error('as the input asks');
            say('end');
        }};",
        ledger.display()
    )
}

/// Reads the file. Skips lines that a killed process wrote only in part.
pub(crate) fn read(ledger: &Path) -> Runs {
    let mut runs = Runs::new();
    for line in fs::read_to_string(ledger).unwrap().lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [time, job, attempt, word] = words[..] else { continue };
        let (Ok(time), Ok(attempt)) = (time.parse::<f64>(), attempt.parse()) else { continue };
        let fresh = Run { first: time, ..Run::default() };
        let run = runs.entry((job.to_owned(), attempt)).or_insert(fresh);
        run.starts += usize::from(word == "start");
        run.ends += usize::from(word == "end");
        run.first = run.first.min(time);
        run.last = run.last.max(time);
    }
    runs
}
