//! Arguments that only look as if they held the value of a variable.
//!
//! Programs are started without a shell, so `$SERVICE_TOKEN` in an argument stays that text. A
//! command that relies on its value would use the text, and might even succeed with it.

use callboard::compose::{ProcessPlan, Program};

/// Programs that expand variables in their arguments.
const SHELLS: [&str; 8] = ["sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "busybox"];

/// What the log says about the first argument that names a variable of the command's environment.
/// `None` if there is none, or if a shell may expand it.
pub(super) fn note(plan: &ProcessPlan) -> Option<String> {
    let Program::File(program) = &plan.program else { return None };
    let is_shell = |text: &str| SHELLS.contains(&text.rsplit('/').next().unwrap_or(text));
    if is_shell(program) || plan.arguments.iter().any(|argument| is_shell(argument)) {
        return None;
    }
    let named = |name: &&str| plan.arguments.iter().any(|argument| names(argument, name));
    let name = plan.environment.iter().map(|(name, _)| name.as_str()).find(named)?;
    Some(format!(
        "Callboard does not expand ${name} in an argument. If the program does not either, it gets this \
         text. The value is in its environment variable {name}."
    ))
}

/// Whether the text has `$NAME` or `${NAME`.
fn names(text: &str, name: &str) -> bool {
    text.match_indices('$').any(|(at, _)| {
        let rest = &text[at + 1..];
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        rest.strip_prefix(name)
            .is_some_and(|after| !after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
    })
}

#[cfg(test)]
mod tests {
    use callboard::compose::OutputProtocol;

    use super::*;

    #[test]
    fn only_what_no_shell_expands_is_told() {
        for (program, arguments, is_told) in [
            ("/usr/bin/curl", &["-H", "Authorization: Bearer $TOKEN"][..], true),
            ("/usr/bin/curl", &["-u", "x:${TOKEN}"], true),
            ("/usr/bin/curl", &["$TOKENS", "TOKEN", "$ TOKEN", "$"], false),
            ("/bin/sh", &["-c", "echo $TOKEN"], false),
            ("/usr/bin/env", &["/bin/bash", "-c", "echo $TOKEN"], false),
        ] {
            let plan = ProcessPlan {
                program: Program::File(program.to_owned()),
                arguments: arguments.iter().map(ToString::to_string).collect(),
                environment: vec![("TOKEN".to_owned(), "hunter22".into())],
                stdin: None,
                protocol: OutputProtocol::Lines,
            };
            let note = note(&plan);
            assert_eq!(note.is_some(), is_told, "{program} {arguments:?}");
            assert!(note.is_none_or(|note| note.contains("$TOKEN") && !note.contains("hunter22")));
        }
    }
}
