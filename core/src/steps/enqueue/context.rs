//! What submitting needs: the store, keys, compiled commands, and a source of ids.

use crate::{clock::IdSource, recipes::Recipes, secret::Keyring, store::Store};

/// What submitting needs beside the store.
#[derive(Debug)]
pub struct SubmitContext {
    /// Where jobs go.
    pub store: Store,
    /// Seals secret inputs and hashes idempotent requests.
    pub keyring: Keyring,
    /// Compiled commands.
    pub recipes: Recipes,
    /// Makes the jobs' ids.
    pub ids: IdSource,
}
