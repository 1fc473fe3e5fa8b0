//! What submitting needs: the store, the keys, the compiled commands and a source of ids.

use crate::{clock::IdSource, recipes::Recipes, secret::Keyring, store::Store};

/// The dependencies of submitting.
#[derive(Debug)]
pub struct SubmitContext {
    /// Where the jobs are stored.
    pub store: Store,
    /// Seals secret inputs and hashes idempotent requests.
    pub keyring: Keyring,
    /// Compiled commands.
    pub recipes: Recipes,
    /// Makes the jobs' ids.
    pub ids: IdSource,
}
