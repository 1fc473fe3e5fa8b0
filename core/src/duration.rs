//! ISO 8601 durations, as the API and stored policies write them: `PT30S`, `PT5M`, `P1D`,
//! `PT0.25S`.
//!
//! A day is 24 hours and a week is seven days. Months and years are refused, because their length
//! varies. Durations are never negative, and at most [`DURATION_MAX`].

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest duration accepted anywhere: 366 days.
pub const DURATION_MAX: Duration = Duration::from_hours(366 * 24);

/// A duration in ISO 8601, with a resolution of a millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IsoDuration(pub Duration);

/// A text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a duration. Write ISO 8601 without months or years, such as PT30S, PT5M or P1D, from zero to P366D"
)]
pub struct BadDuration {
    text: String,
}

impl IsoDuration {
    /// From whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
    /// From milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }
}

impl FromStr for IsoDuration {
    type Err = BadDuration;

    fn from_str(text: &str) -> Result<Self, BadDuration> {
        let bad = || BadDuration { text: text.chars().take(64).collect() };
        if !text.starts_with('P') {
            return Err(bad());
        }
        let span: jiff::Span = text.parse().map_err(|_| bad())?;
        if span.get_years() != 0 || span.get_months() != 0 {
            return Err(bad());
        }
        let exact = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| bad())?;
        let duration = Duration::try_from(exact).map_err(|_| bad())?;
        if duration > DURATION_MAX {
            return Err(bad());
        }
        Ok(Self(Duration::from_millis(duration.as_millis() as u64)))
    }
}

impl fmt::Display for IsoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let (seconds, fraction) = (millis / 1000, millis % 1000);
        let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
        let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
        f.write_str("P")?;
        if days > 0 {
            write!(f, "{days}D")?;
        }
        if millis == 0 || hours + minutes + seconds + fraction > 0 {
            f.write_str("T")?;
        }
        if hours > 0 {
            write!(f, "{hours}H")?;
        }
        if minutes > 0 {
            write!(f, "{minutes}M")?;
        }
        if fraction > 0 {
            let digits = format!("{fraction:03}");
            write!(f, "{seconds}.{}S", digits.trim_end_matches('0'))?;
        } else if seconds > 0 || millis == 0 {
            write!(f, "{seconds}S")?;
        }
        Ok(())
    }
}

impl Serialize for IsoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IsoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_the_contract_names() {
        for (text, millis) in [
            ("PT30S", 30_000),
            ("PT5M", 300_000),
            ("P1D", 86_400_000),
            ("PT0.25S", 250),
            ("PT0S", 0),
            ("P1DT2H3M4.5S", 93_784_500),
            ("PT90M", 5_400_000),
            ("P1W", 604_800_000),
        ] {
            assert_eq!(text.parse(), Ok(IsoDuration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn refuses_texts_that_are_not_durations() {
        for text in
            ["", "30", "30s", "PT", "P", "P1M", "P1Y", "-PT5S", "PT-5S", "P367D", "PT1e9S", "5 minutes"]
        {
            assert!(text.parse::<IsoDuration>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in 0..=DURATION_MAX.as_millis() as u64) {
            let duration = IsoDuration::from_millis(millis);
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }
    }
}
