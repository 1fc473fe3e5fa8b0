//! `keys create`: creates an API key and prints it.

use callboard::{
    catalogue::KeyCreate,
    clock::{self, Time},
    settings::{DatabaseSettings, LogSettings},
    store::catalogue::api_keys::Role,
};
use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveTime};
use clap::Args;
use secrecy::ExposeSecret as _;

use super::{explained, open_or_found};

/// Settings of `keys create`.
#[derive(Debug, Args)]
#[command(override_usage = "callboard-api keys create [OPTIONS] --role <ROLE> <NAME>")]
pub(crate) struct Arguments {
    /// A description for people, 1 to 100 characters, which no other key that works has
    name: String,
    /// What the key may do
    #[arg(long, value_enum, ignore_case = true)]
    role: Role,
    /// When the key expires (never by default): a date, which is its beginning in UTC, a number of
    /// days such as 90d, or a time such as 2027-01-31T12:00:00Z
    #[arg(long, value_parser = expiry)]
    expires_at: Option<Time>,
    #[command(flatten)]
    pub(crate) database: DatabaseSettings,
    #[command(flatten)]
    pub(crate) log: LogSettings,
}

/// Prints the key alone on standard output, so that it can be piped.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the output of the command")]
pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let keys = open_or_found(&arguments.database).await?;
    let Arguments { name, role, expires_at, .. } = arguments;
    let new = KeyCreate { name: name.clone(), role: *role, expires_at: *expires_at };
    let named = |place: &str| match place {
        "name" => format!("the name `{name}`"),
        "expiresAt" => "--expires-at".to_owned(),
        other => other.to_owned(),
    };
    let (key, text) = keys.key_create(new).await.map_err(|error| explained(error, named))?;
    let until =
        key.expires_at.map_or_else(String::new, |at| format!(", works until {},", clock::written(at)));
    eprintln!("The key `{}` ({}){until} is shown only this once:", key.name, key.id);
    println!("{}", text.expose_secret());
    keys.store.close().await;
    Ok(())
}

/// Reads when a key expires. Whether that is in the future is asked of the database's clock.
fn expiry(text: &str) -> Result<Time, String> {
    let text = text.trim();
    let in_days = |days: &str| clock::now().checked_add_days(Days::new(days.parse().ok()?));
    let at_midnight = |date: NaiveDate| date.and_time(NaiveTime::MIN).and_utc();
    let read = match text.strip_suffix(['d', 'D']) {
        Some(days) => in_days(days),
        None => text
            .parse()
            .ok()
            .map(at_midnight)
            .or_else(|| DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())),
    };
    read.filter(|at| (1..=9999).contains(&at.year())).ok_or_else(|| {
        "must be a date such as 2027-01-31, a number of days such as 90d, or RFC 3339 with an offset, such as \
         2026-11-22T17:31:10.123Z"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_date_a_time_or_a_number_of_days() {
        for (text, expected) in [
            ("2027-01-01", "2027-01-01T00:00:00.000Z"),
            (" 2027-01-01 ", "2027-01-01T00:00:00.000Z"),
            ("2027-01-01T12:00:00Z", "2027-01-01T12:00:00.000Z"),
            ("2027-01-01T12:00:00.5+02:00", "2027-01-01T10:00:00.500Z"),
            ("2027-01-01 12:00:00Z", "2027-01-01T12:00:00.000Z"),
        ] {
            assert_eq!(expiry(text).map(clock::written).as_deref(), Ok(expected), "{text}");
        }
        for days in [0, 1, 90] {
            let wanted = clock::now() + chrono::Duration::days(days);
            let read = expiry(&format!("{days}d")).unwrap();
            assert!((read - wanted).num_seconds().abs() < 60, "{days}");
        }
        for bad in [
            "",
            "tomorrow",
            "d",
            "-1d",
            "1.5d",
            "99999999999999999999d",
            "4000000d",
            "2027-13-01",
            "2027-01-01T12:00:00",
            "12:00",
            "90",
        ] {
            assert!(expiry(bad).unwrap_err().contains("2027-01-31"), "{bad}");
        }
    }
}
