//! Collects the refusals of a request, so that the caller gets all of them at once.
//!
//! An operation passes one [`Checks`] to all of its checks, and calls [`Checks::passed`] before it
//! writes.

use crate::{
    limit::{Cap, Limits},
    name::check_name,
    patch::{LimitsPatch, NewCap, Patch, limit_refusals},
    refusal::{Refusal, RefusalCode},
    steps::StepError,
    store::StoreError,
};

/// The refusals so far.
#[derive(Debug, Default)]
pub(super) struct Checks {
    refusals: Vec<Refusal>,
}

impl Checks {
    /// Refuses the field at this path. The path is in parts, because names in it may contain dots.
    pub(super) fn refuse(&mut self, code: RefusalCode, path: &[&str], message: impl Into<String>) {
        self.refusals.push(Refusal::new(code, "", message).below(path));
    }

    /// Refuses a value that is out of bounds or malformed.
    pub(super) fn invalid(&mut self, path: &[&str], message: impl Into<String>) {
        self.refuse(RefusalCode::Invalid, path, message);
    }

    /// Keeps the refusal of a ring 0 check, or returns its value.
    pub(super) fn take<T>(&mut self, checked: Result<T, Refusal>) -> Option<T> {
        match checked {
            Ok(value) => Some(value),
            Err(refusal) => {
                self.refusals.push(refusal);
                None
            }
        }
    }

    /// Keeps the refusals of a check, or returns its value.
    pub(super) fn all<T>(&mut self, checked: Result<T, Vec<Refusal>>) -> Option<T> {
        checked.map_err(|refusals| self.extend(refusals)).ok()
    }

    /// Keeps several refusals.
    pub(super) fn extend(&mut self, refusals: impl IntoIterator<Item = Refusal>) {
        self.refusals.extend(refusals);
    }

    /// Refuses if the caller read a version other than the stored one.
    pub(super) fn version(&mut self, stored: i32, read: Option<i32>) {
        if let Some(read) = read.filter(|read| *read != stored) {
            let message = format!("must be the current version {stored}, not {read} (read the object again)");
            self.refuse(RefusalCode::StaleVersion, &["version"], message);
        }
    }

    /// Returns a field that cannot be cleared, after its patch.
    pub(super) fn required(&mut self, field: &str, patch: Patch<String>, stored: &str) -> String {
        match patch {
            Patch::Set(text) => text,
            Patch::Leave => stored.to_owned(),
            Patch::Clear => {
                self.invalid(&[field], "must not be null (omit it to keep the stored value)");
                stored.to_owned()
            }
        }
    }

    /// Checks a name, and that no other object of its kind has it, and returns its normal form. A
    /// name that stays as it is stored is not checked again, so that an object whose name is older
    /// than a rule can still be changed. A malformed name is returned as it is, and not searched
    /// for: no object can have it, and Postgres may refuse it.
    pub(super) async fn name(
        &mut self,
        name: String,
        stored: Option<&str>,
        taken: &str,
        is_taken: impl AsyncFnOnce(&str) -> Result<bool, StoreError>,
    ) -> Result<String, StoreError> {
        if stored == Some(&name) {
            return Ok(name);
        }
        let Some(normal) = self.take(check_name("name", &name)) else { return Ok(name) };
        if is_taken(&normal).await? {
            self.taken("name", taken);
        }
        Ok(normal)
    }

    /// Returns the limits with the patch applied. Refuses everything that is out of bounds.
    pub(super) fn limits(&mut self, patch: LimitsPatch, stored: &Limits) -> Limits {
        let limits = patch.over(stored);
        self.extend(limit_refusals(&limits));
        limits
    }

    /// Returns the caps of an object without other limits. Refuses everything that is out of
    /// bounds.
    pub(super) fn caps(&mut self, new: Vec<NewCap>) -> Vec<Cap> {
        let caps: Vec<Cap> = new.into_iter().map(Cap::from).collect();
        self.extend(limit_refusals(&Limits { caps: caps.clone(), ..Limits::default() }));
        caps
    }

    /// Refuses a name or path that another object has.
    pub(super) fn taken(&mut self, field: &str, message: &str) {
        self.refuse(RefusalCode::Taken, &[field], message);
    }

    /// Returns the error. At least one refusal must have been kept.
    pub(super) fn refused(self) -> StepError {
        debug_assert!(!self.refusals.is_empty(), "no refusal was kept");
        StepError::Refused(self.refusals)
    }

    /// Returns everything that was refused.
    pub(super) fn into_refusals(self) -> Vec<Refusal> {
        self.refusals
    }

    /// Fails with everything that was refused, if anything was.
    pub(super) fn passed(self) -> Result<(), StepError> {
        if self.refusals.is_empty() { Ok(()) } else { Err(StepError::Refused(self.refusals)) }
    }
}
