//! Collects what is wrong with a request, so that the caller learns all of it at once. Pure.
//!
//! Every verb makes one, hands it to its checks, and asks [`Checks::passed`] before it writes.

use crate::{
    limit::{Cap, Limits},
    patch::{LimitsPatch, NewCap, Patch, limit_refusals},
    refusal::{Refusal, RefusalCode},
    steps::StepError,
};

/// Refusals so far.
#[derive(Debug, Default)]
pub(super) struct Checks {
    refusals: Vec<Refusal>,
}

impl Checks {
    /// Refuses the field at this path. The path comes in parts, because names in it may have dots.
    pub(super) fn refuse(&mut self, code: RefusalCode, path: &[&str], message: impl Into<String>) {
        self.refusals.push(Refusal::new(code, "", message).below(path));
    }

    /// Refuses a value that is out of bounds or of the wrong form.
    pub(super) fn invalid(&mut self, path: &[&str], message: impl Into<String>) {
        self.refuse(RefusalCode::Invalid, path, message);
    }

    /// Takes the refusal of a check of ring 0; answers what it let pass.
    pub(super) fn take<T>(&mut self, checked: Result<T, Refusal>) -> Option<T> {
        match checked {
            Ok(value) => Some(value),
            Err(refusal) => {
                self.refusals.push(refusal);
                None
            }
        }
    }

    /// Takes many refusals.
    pub(super) fn extend(&mut self, refusals: impl IntoIterator<Item = Refusal>) {
        self.refusals.extend(refusals);
    }

    /// Refuses when the caller has read another version than the one that is stored.
    pub(super) fn version(&mut self, stored: i32, read: Option<i32>) {
        if let Some(read) = read.filter(|read| *read != stored) {
            let message = format!("it is at version {stored} now, not {read}: read it again");
            self.refuse(RefusalCode::StaleVersion, &["version"], message);
        }
    }

    /// A field that cannot be cleared, after its patch.
    pub(super) fn required(&mut self, field: &str, patch: Patch<String>, stored: &str) -> String {
        match patch {
            Patch::Set(text) => text,
            Patch::Leave => stored.to_owned(),
            Patch::Clear => {
                self.invalid(&[field], "must not be null; leave it out to keep it as it is");
                stored.to_owned()
            }
        }
    }

    /// The limits with a patch laid over them; refuses everything that is out of bounds.
    pub(super) fn limits(&mut self, patch: LimitsPatch, stored: &Limits) -> Limits {
        let limits = patch.over(stored);
        self.extend(limit_refusals(&limits));
        limits
    }

    /// The caps of something that has no other limits of its own; refuses everything that is out of bounds.
    pub(super) fn caps(&mut self, new: Vec<NewCap>) -> Vec<Cap> {
        let caps: Vec<Cap> = new.into_iter().map(Cap::from).collect();
        self.extend(limit_refusals(&Limits { caps: caps.clone(), ..Limits::default() }));
        caps
    }

    /// Refuses a name or path that another object has.
    pub(super) fn taken(&mut self, field: &str, message: &str) {
        self.refuse(RefusalCode::Taken, &[field], message);
    }

    /// The error, when something was refused for certain.
    pub(super) fn refused(self) -> StepError {
        debug_assert!(!self.refusals.is_empty(), "nothing was refused");
        StepError::Refused(self.refusals)
    }

    /// Everything that was refused, if anything was.
    pub(super) fn passed(self) -> Result<(), StepError> {
        if self.refusals.is_empty() { Ok(()) } else { Err(StepError::Refused(self.refusals)) }
    }
}
