//! Whether a script parses, so that one that does not is refused when it is saved.
//!
//! QuickJS compiles it as a module and runs nothing of it (docs/adr/0015). The runner's Node has
//! the last word: what only Node refuses fails there before the browser starts, and is not retried.

use rquickjs::{CatchResultExt as _, CaughtError, Context, Module, Object, Runtime};

/// Memory for compiling one script, in bytes. The largest script takes a few MiB.
const MEMORY_MAX: usize = 64 * 1024 * 1024;
/// Stack for compiling one script, in bytes, well below that of a thread.
const STACK_MAX: usize = 512 * 1024;

/// Returns what is wrong with a script and where, or `None` if it parses. A script that is too much
/// for this check counts as one that parses.
pub(super) fn fault(script: &str) -> Option<String> {
    let runtime = Runtime::new().ok()?;
    runtime.set_memory_limit(MEMORY_MAX);
    runtime.set_max_stack_size(STACK_MAX);
    let context = Context::full(&runtime).ok()?;
    context.with(|context| match Module::declare(context.clone(), "script.mjs", script).catch(&context) {
        Err(CaughtError::Exception(exception)) if is_syntax_error(&exception) => {
            let message = exception.message().unwrap_or_default();
            // The only frame: "    at script.mjs:3:13".
            let place = exception.stack().unwrap_or_default();
            let place = place.trim().trim_start_matches("at ");
            Some(if place.is_empty() { message } else { format!("{message} ({place})") })
        }
        // Modules that it imports are not looked for here, so other errors say nothing.
        Ok(_) | Err(CaughtError::Exception(_) | CaughtError::Value(_) | CaughtError::Error(_)) => None,
    })
}

fn is_syntax_error(exception: &Object<'_>) -> bool {
    exception.get::<_, String>("name").is_ok_and(|name| name == "SyntaxError")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_does_not_parse_is_told_with_its_place() {
        for (script, place) in [
            ("export default async () => {\n  const a = 1;\n  const b = = 2;\n};", Some("(script.mjs:3:13)")),
            ("export default async ({ page }) => {\n  await page.goto(\"x\"\n};", Some("(script.mjs:3:1)")),
            ("const x = 1;\nconst x = 2;", Some("(script.mjs:2:9)")),
            ("function f() { await 1 }", Some("(script.mjs:1:16)")),
            ("export default () => { return", Some("(script.mjs:1:30)")),
            ("const a: string = 'typescript';", Some("(script.mjs:1:8)")),
            ("export default 1; export default 2;", Some("(script.mjs:1:35)")),
            ("return 1;", Some("(script.mjs:1:1)")),
            ("<div/>", Some("(script.mjs:1:1)")),
            ("`${", Some("(script.mjs:1:4)")),
            ("var r = /(/;", None),
            ("export { nope };", None),
        ] {
            let told = fault(script).unwrap_or_else(|| panic!("parses: {script}"));
            assert!(told.ends_with(place.unwrap_or_default()), "{script}: {told}");
        }
    }

    #[test]
    fn what_node_takes_is_taken() {
        for script in [
            "1",
            "#!/usr/bin/env node\nexport default () => {};",
            "\u{feff}export default () => {};\r\n",
            "const x = await fetch('a'); for await (const y of x) {}",
            "import fs from 'node:fs'; import * as a from 'lodash'; import j from './x.json' with { type: 'json' };",
            "const x = 1; export { x as 'a b' }; export * as ns from 'node:os';",
            "class A { static #p = 1; static { this.#p; } #m() {} has(o) { return #m in o; } get; set; static = 3; }",
            "a?.b?.[c]?.(d); a ??= b; a ||= c; 1_000n ** 2n; import.meta.url; const m = await import('x');",
            r"const r = /[\p{L}--[a-z]]/v, s = /(?<=a)(?<n>c)\k<n>/dgimsuy, t = /(?i:a)/;",
            "try {} catch {} outer: for (const a of b) { for (const c of d) continue outer; }",
            "const s = `a ${`b ${1}`} \\u{1F600}`; html`\\u{zz}`; const ünï = 1, 変数 = '\u{2028}';",
            "export default async ({ page, input: { a = 1, ...rest } = {} }) => { await page.evaluate(() => { debugger; }); };",
        ] {
            assert_eq!(fault(script), None, "{script}");
        }
    }

    #[test]
    fn a_script_that_is_too_much_for_the_check_is_left_to_the_runner() {
        for script in [
            format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000)),
            "[".repeat(200_000),
            format!("export default () => {{ {} }};", "a();".repeat(60_000)),
            "x\0y".to_owned(),
        ] {
            drop(fault(&script));
        }
        assert_eq!(fault(&format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000))), None);
    }
}
