//! `keys list`: lists the API keys.

use std::io::{Write as _, stdout};

use callboard::{
    clock::{self, Time},
    store::catalogue::{
        api_keys::{self, ApiKey},
        name_pages::{NameCursor, NamePageRequest, PAGE_ROWS_MAX},
    },
};

use super::{DatabaseArguments, open};

/// Spaces between two columns.
const GAP: &str = "  ";

/// Prints a line for each key: first those that work, by name, then those that have ended. The
/// name comes last, because it may have blanks.
pub(super) async fn run(arguments: &DatabaseArguments) -> anyhow::Result<()> {
    let keys = open(&arguments.database).await?;
    let mut request = NamePageRequest::first(PAGE_ROWS_MAX);
    let mut all = Vec::new();
    loop {
        let page = api_keys::page(&mut *keys.store.connection().await?, &request).await?;
        let last = page.items.last().filter(|_| page.has_next);
        let after = last.map(|last| NameCursor { name: last.name.clone(), id: last.id.uuid() });
        all.extend(page.items);
        request.after = after;
        if request.after.is_none() {
            break;
        }
    }
    keys.store.close().await;
    write!(stdout(), "{}", table(all, clock::now()))?;
    Ok(())
}

fn table(mut keys: Vec<ApiKey>, now: Time) -> String {
    keys.sort_by_key(|key| has_ended(key, now));
    let head = ["id", "role", "state", "last used", "name"].map(str::to_owned);
    let row = |key: &ApiKey| {
        let used = key.last_used_at.map_or_else(|| "never".to_owned(), clock::written);
        [key.id.to_string(), key.role.as_str().to_owned(), state(key, now), used, key.name.clone()]
    };
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(keys.iter().map(row)).collect();
    let mut widths = [0; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        let padded = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(padded.collect::<Vec<_>>().join(GAP).trim_end());
        text.push('\n');
    }
    text
}

fn has_ended(key: &ApiKey, now: Time) -> bool {
    key.revoked_at.is_some() || key.expires_at.is_some_and(|at| at <= now)
}

fn state(key: &ApiKey, now: Time) -> String {
    match (key.revoked_at, key.expires_at) {
        (_, Some(at)) if at <= now && key.revoked_at.is_none_or(|revoked| at <= revoked) => {
            format!("expired {}", clock::written(at))
        }
        (Some(at), _) => format!("revoked {}", clock::written(at)),
        (None, Some(at)) => format!("valid until {}", clock::written(at)),
        (None, None) => "valid".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use callboard::{clock::IdSource, store::catalogue::api_keys::Role};

    use super::*;

    #[test]
    fn the_columns_are_aligned_and_keys_that_work_come_first() {
        let now: Time = "2026-11-30T12:00:00Z".parse().unwrap();
        let hour = chrono::Duration::hours(1);
        let key = |name: &str, role, expires_at, revoked_at| ApiKey {
            id: IdSource.make(),
            name: name.to_owned(),
            role,
            created_at: now,
            last_used_at: None,
            expires_at,
            revoked_at,
        };
        let keys = vec![
            key("a", Role::Viewer, None, Some(now - hour)),
            key("b", Role::Operator, Some(now - hour), Some(now)),
            key("c c", Role::Admin, Some(now + hour), None),
            key("d", Role::Viewer, None, None),
        ];
        let text = table(keys, now);
        let lines: Vec<&str> = text.lines().collect();
        let names: Vec<&str> = lines.iter().map(|line| &line[lines[0].find("name").unwrap()..]).collect();
        assert_eq!(names, ["name", "c c", "d", "a", "b"], "{text}");
        for (line, state) in
            lines.iter().zip(["state", "valid until 2026", "valid ", "revoked 2026", "expired 2026"])
        {
            assert!(line[lines[0].find("state").unwrap()..].starts_with(state), "{text}");
        }
        assert!(!text.contains('\t') && lines.iter().all(|line| line.trim_end() == *line), "{text}");
    }
}
