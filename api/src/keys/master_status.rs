//! `keys master-status`: shows which master keys have sealed what is stored.

use std::io::{Write as _, stdout};

use callboard::steps::maintain::reseal::{by_key, count_sealed};

use super::{DatabaseArguments, open};

/// Prints a line for each key that has sealed something.
pub(super) async fn run(arguments: &DatabaseArguments) -> anyhow::Result<()> {
    let keys = open(&arguments.database).await?;
    let counts = by_key(&count_sealed(&keys.store).await?);
    keys.store.close().await;
    if counts.is_empty() {
        writeln!(stdout(), "No secret is stored, so no master key is in use.")?;
        return Ok(());
    }
    writeln!(stdout(), "Values by master key (the first 8 digits of its SHA-256):")?;
    for (key, values) in counts {
        writeln!(stdout(), "  {key}  {values:>12}")?;
    }
    Ok(())
}
