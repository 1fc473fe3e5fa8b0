//! Parses share links of proxies, such as `http://user:password@host:port#name`. Pure.
//!
//! The whole link is a secret, because it holds credentials. No refusal repeats any of it.

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::checks::Checks;
use crate::{
    percent::decode,
    proxy::{ProxyProtocol, check_address},
};

/// Longest link, in bytes.
const LINK_BYTES_MAX: usize = 4096;
const FIELD: &str = "link";

/// The parts of a link.
#[derive(Debug)]
pub(super) struct ShareLink {
    pub(super) protocol: ProxyProtocol,
    pub(super) address: String,
    pub(super) username: Option<SecretString>,
    pub(super) password: Option<SecretString>,
    /// The text after `#`.
    pub(super) name: Option<String>,
}

impl ShareLink {
    /// Parses a link, or refuses it.
    pub(super) fn read(checks: &mut Checks, link: &SecretString) -> Option<Self> {
        let link = link.expose_secret().trim();
        // A parser of URLs would drop line breaks and tabs, and a credential would be another one.
        if link.contains(|c: char| c.is_ascii_control()) {
            checks.invalid(&[FIELD], "must not contain line breaks or other control characters (write %XX)");
            return None;
        }
        let (scheme, rest) = link.split_once("://").unwrap_or_default();
        let protocol = match scheme.to_ascii_lowercase().as_str() {
            "http" => ProxyProtocol::Http,
            "https" => ProxyProtocol::Https,
            "socks5" | "socks5h" => ProxyProtocol::Socks5,
            _ => {
                checks.invalid(
                    &[FIELD],
                    "must begin with http://, https:// or socks5:// (other links are not supported)",
                );
                return None;
            }
        };
        // Nothing longer is parsed.
        let link = Some(rest).filter(|_| link.len() <= LINK_BYTES_MAX);
        let link = link.and_then(|rest| Self::parse(protocol, rest));
        if link.is_none() {
            checks.invalid(
                &[FIELD],
                format!(
                    "must be {scheme}://user:password@host:port#name of at most {LINK_BYTES_MAX} bytes, \
                     with special characters as %XX"
                ),
            );
        }
        link
    }

    fn parse(protocol: ProxyProtocol, rest: &str) -> Option<Self> {
        // Parsed with a scheme that has no default port, so that the port is always required.
        let url = Url::parse(&format!("socks5://{rest}")).ok()?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return None;
        }
        let address = format!("{}:{}", url.host_str()?, url.port()?);
        check_address(FIELD, &address).ok()?;
        let username = decode(url.username())?;
        let password = url.password().map_or(Some(String::new()), decode)?;
        let some = |text: String| (!text.is_empty()).then(|| SecretString::from(text));
        Some(Self {
            protocol,
            address,
            username: some(username),
            password: some(password),
            name: url.fragment().map_or(Some(String::new()), decode).filter(|name| !name.is_empty()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::StepError;

    fn read(link: &str) -> Result<ShareLink, String> {
        let mut checks = Checks::default();
        let read = ShareLink::read(&mut checks, &link.into());
        match (read, checks.passed()) {
            (Some(link), Ok(())) => Ok(link),
            (None, Err(StepError::Refused(refusals))) if refusals.len() == 1 => {
                assert_eq!(refusals[0].path, ["link"]);
                Err(refusals[0].message.clone())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn parses_supported_links() {
        let link = read(" http://al%40ice:p%3Aw%20%C3%A9%@proxy.example:80#My%20proxy ").unwrap();
        assert_eq!((link.protocol, link.address.as_str()), (ProxyProtocol::Http, "proxy.example:80"));
        assert_eq!(link.username.unwrap().expose_secret(), "al@ice");
        assert_eq!(link.password.unwrap().expose_secret(), "p:w é%");
        assert_eq!(link.name.as_deref(), Some("My proxy"));
        let link = read("SOCKS5://[2001:db8::1]:1080/").unwrap();
        assert_eq!((link.protocol, link.address.as_str()), (ProxyProtocol::Socks5, "[2001:db8::1]:1080"));
        assert!(link.username.is_none() && link.password.is_none() && link.name.is_none());
        assert_eq!(read("https://token@h:443").unwrap().protocol, ProxyProtocol::Https);
        let link = read("socks5://u:p%3A%2F%3F%23%2540@h:1").unwrap();
        assert_eq!(link.password.unwrap().expose_secret(), "p:/?#%40");
        assert!(read("http://u:pass\tword@h:1").unwrap_err().contains("control characters"));
    }

    #[test]
    fn refuses_other_links_without_repeating_them() {
        for other in [
            "vless://secret@h:1",
            "vmess://c2VjcmV0",
            "ss://secret@h:1",
            "trojan://secret@h:1",
            "",
            "h:1",
            "secret",
        ] {
            let message = read(other).unwrap_err();
            assert!(message.contains("socks5://") && !message.contains("secret"), "{other}: {message}");
        }
        let long = format!("http://{}@h:1", "secret".repeat(1000));
        for bad in [
            "http://h",
            "http://h:0",
            "http://secret@h:1/x",
            "http://h:1?secret",
            "http://%FF:secret@h:1",
            "http://",
            &long,
        ] {
            let message = read(bad).unwrap_err();
            assert!(message.contains("host:port") && !message.contains("secret"), "{bad}: {message}");
        }
    }
}
