//! Typed ids, made of a prefix and a UUIDv7 in Crockford base32 as in the TypeID format.
//!
//! An example is `job_01h455vb4pex5vsknk084sn02q`. The database stores the bare UUID. An id of one
//! kind cannot be passed for another. New ids come only from [`crate::clock::IdSource`].

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use type_safe_id::{DynamicType, StaticType, TypeSafeId};
use uuid::Uuid;

/// A text is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind} id. Expected {kind}_ and 26 characters of lower-case base32")]
pub struct BadId {
    /// The expected prefix, for example `job`.
    pub kind: &'static str,
    /// The text, cut to 64 characters.
    pub text: String,
}

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        const _: () = {
            #[derive(Default)]
            struct Prefix;
            impl StaticType for Prefix {
                const TYPE: &'static str = $prefix;
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    TypeSafeId::<Prefix>::from_uuid(self.0).fmt(f)
                }
            }

            impl FromStr for $name {
                type Err = BadId;
                fn from_str(text: &str) -> Result<Self, BadId> {
                    text.parse::<TypeSafeId<Prefix>>()
                        .map(|id| Self(id.uuid()))
                        .map_err(|_| BadId { kind: $prefix, text: text.chars().take(64).collect() })
                }
            }
        };

        impl $name {
            /// The prefix of this kind of id, without the underscore.
            pub const PREFIX: &'static str = $prefix;
            /// The bare UUID, as the database stores it.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

typed_id!(
    /// A browser identity.
    ProfileId, "profile");
typed_id!(
    /// An outside API.
    ServiceId, "service");
typed_id!(
    /// A network proxy.
    ProxyId, "proxy");
typed_id!(
    /// A saved template.
    CommandId, "command");
typed_id!(
    /// An immutable version of a command. A job runs the version that it was enqueued with.
    CommandVersionId, "cmdver");
typed_id!(
    /// A schedule that enqueues jobs.
    ScheduleId, "schedule");
typed_id!(
    /// A job.
    JobId, "job");
typed_id!(
    /// One attempt of a job, and its fencing token. Made by the worker before the claim.
    AttemptId, "attempt");
typed_id!(
    /// One lease of a worker process.
    WorkerId, "worker");
typed_id!(
    /// A file that an attempt made.
    ArtifactId, "artifact");
typed_id!(
    /// An API key.
    ApiKeyId, "key");
typed_id!(
    /// A session: a key that was traded for a cookie.
    SessionId, "session");
typed_id!(
    /// An entry of the audit.
    AuditEventId, "audit");

/// The kinds of objects that callers name by an id.
const NAMED: [&str; 9] = [
    ProfileId::PREFIX,
    ServiceId::PREFIX,
    ProxyId::PREFIX,
    CommandId::PREFIX,
    ScheduleId::PREFIX,
    JobId::PREFIX,
    WorkerId::PREFIX,
    ArtifactId::PREFIX,
    ApiKeyId::PREFIX,
];

/// The kind of the object with this id, as its id begins. `None` if the text is no id.
pub fn kind_of(text: &str) -> Option<&'static str> {
    let (prefix, _) = text.split_once('_')?;
    let kind = NAMED.into_iter().find(|kind| *kind == prefix)?;
    text.parse::<TypeSafeId<DynamicType>>().ok().map(|_| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_itself_and_never_as_another_kind() {
        let id = JobId::from(Uuid::from_u128(0x0189_2e51_6c96_7743_b8ba_6a2d_0c4a_1f02));
        let text = id.to_string();
        assert!(text.starts_with("job_0"), "{text}");
        assert_eq!(text.len(), 30);
        assert_eq!(text.parse::<JobId>(), Ok(id));
        assert_eq!(text.parse::<ProfileId>().unwrap_err().kind, "profile");
        assert_eq!(kind_of(&text), Some("job"));
        for other in ["job_", "job", "", "cb_0123", "audit_01h455vb4pex5vsknk084sn02q", &text.to_uppercase()]
        {
            assert_eq!(kind_of(other), None, "{other}");
        }
        assert!("job_".parse::<JobId>().is_err());
        assert!("job_zzzzzzzzzzzzzzzzzzzzzzzzzz".parse::<JobId>().is_err(), "more than 128 bits");
    }
}
