//! docs/configuration.md lists exactly the variables that the code reads.

use std::{collections::BTreeSet, fs, path::Path};

fn variables(text: &str, before: &str, after: char) -> BTreeSet<String> {
    text.split(before)
        .skip(1)
        .filter_map(|rest| rest.split(after).next())
        .filter(|name| {
            name.starts_with("CALLBOARD_")
                || name.starts_with("DATABASE_URL")
                || name.starts_with("REDIS_URL")
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_table_lists_what_the_code_reads() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut read = BTreeSet::new();
    for file in ["core/src/settings.rs", "api/src/settings.rs", "worker/src/settings.rs"] {
        read.extend(variables(&fs::read_to_string(root.join(file)).unwrap(), "env = \"", '"'));
    }
    let document = fs::read_to_string(root.join("docs/configuration.md")).unwrap();
    let rows: String = document
        .lines()
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| line.split('|').nth(1))
        .collect::<Vec<_>>()
        .join("\n");
    let documented = variables(&rows, "`", '`');
    assert!(read.len() > 25, "{read:?}");
    assert_eq!(documented, read);
}
