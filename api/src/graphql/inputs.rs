//! Converts ids and update fields of GraphQL inputs into the core's types. Pure.

use std::str::FromStr;

use async_graphql::{ID, MaybeUndefined};
use callboard::{
    patch::Patch,
    refusal::{Refusal, RefusalCode},
};
use uuid::Uuid;

/// Longest part of a wrong id in a message, in characters.
const QUOTED_CHARS_MAX: usize = 64;

/// Parses an id of an input. An id of another kind or form becomes the nil id, which no object has,
/// so that the lookup refuses it as NOT_FOUND with its path, beside all other refusals.
pub fn id_of<Id: FromStr + From<Uuid>>(given: &ID) -> Id {
    given.parse().unwrap_or_else(|_| Id::from(Uuid::nil()))
}

/// Parses the id of the object that a mutation is about. A text that is none is refused as it was
/// sent, where the message of the object's absence names the id.
pub fn id_or_refusal<Id: FromStr>(given: &ID, noun: &str) -> Result<Id, Refusal> {
    given.parse().map_err(|_| {
        let sent: String = given.chars().take(QUOTED_CHARS_MAX).collect();
        let message = format!("There is no {noun} `{sent}`. The ids of that kind begin with `{noun}_`.");
        Refusal::new(RefusalCode::NotFound, "id", message)
    })
}

/// Parses a list of ids with [`id_of`].
pub fn ids_of<Id: FromStr + From<Uuid>>(given: &[ID]) -> Vec<Id> {
    given.iter().map(id_of).collect()
}

/// Converts a field of an update. Absent leaves the value unchanged, null clears it.
pub fn patch<T>(given: MaybeUndefined<T>) -> Patch<T> {
    match given {
        MaybeUndefined::Undefined => Patch::Leave,
        MaybeUndefined::Null => Patch::Clear,
        MaybeUndefined::Value(value) => Patch::Set(value),
    }
}

#[cfg(test)]
mod tests {
    use callboard::ids::{ProfileId, ServiceId};

    use super::*;

    #[test]
    fn an_id_of_another_kind_is_none() {
        let id = ProfileId::from(Uuid::from_u128(0x0189_2e51_6c96_7743_b8ba_6a2d_0c4a_1f02));
        assert_eq!(id_of::<ProfileId>(&ID(id.to_string())), id);
        for bad in ["", "profile_", "profile_x", "7", &id.to_string().to_uppercase(), &id.to_string()[8..]] {
            assert_eq!(id_of::<ProfileId>(&ID(bad.to_owned())).uuid(), Uuid::nil(), "{bad}");
        }
        assert_eq!(ids_of::<ServiceId>(&[ID(id.to_string())]), [ServiceId::from(Uuid::nil())]);
    }

    #[test]
    fn absent_null_and_a_value_are_distinguished() {
        assert_eq!(patch::<i32>(MaybeUndefined::Undefined), Patch::Leave);
        assert_eq!(patch::<i32>(MaybeUndefined::Null), Patch::Clear);
        assert_eq!(patch(MaybeUndefined::Value(1)), Patch::Set(1));
    }
}
