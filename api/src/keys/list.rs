//! `keys list`: lists the API keys.

use std::io::{Write as _, stdout};

use callboard::{
    clock,
    settings::SharedSettings,
    store::catalogue::{
        api_keys::{self, ApiKey},
        name_pages::{NameCursor, NamePageRequest, PAGE_ROWS_MAX},
    },
};
use clap::Args;

use super::open;

/// Settings of `keys list`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) shared: SharedSettings,
}

/// Prints a line for each key, with its parts between tabs.
pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let keys = open(&arguments.shared).await?;
    let mut request = NamePageRequest::first(PAGE_ROWS_MAX);
    writeln!(stdout(), "id\trole\tstate\tlast used\tname")?;
    loop {
        let page = api_keys::page(&mut *keys.store.connection().await?, &request).await?;
        for key in &page.items {
            let used = key.last_used_at.map_or_else(|| "never".to_owned(), clock::written);
            writeln!(stdout(), "{}\t{}\t{}\t{used}\t{}", key.id, key.role.as_str(), state(key), key.name)?;
        }
        let Some(last) = page.items.last().filter(|_| page.has_next) else { break };
        request.after = Some(NameCursor { name: last.name.clone(), id: last.id.uuid() });
    }
    keys.store.close().await;
    Ok(())
}

fn state(key: &ApiKey) -> String {
    match (key.revoked_at, key.expires_at) {
        (Some(at), _) => format!("revoked {}", clock::written(at)),
        (None, Some(at)) if at <= clock::now() => format!("expired {}", clock::written(at)),
        (None, Some(at)) => format!("until {}", clock::written(at)),
        (None, None) => "valid".to_owned(),
    }
}
