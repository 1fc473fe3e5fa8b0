//! What submitting needs: the store, the keys, the commands, their evaluator and a source of ids.

use crate::{clock::IdSource, evaluator::Evaluator, recipes::Recipes, secret::Keyring, store::Store};

/// The dependencies of submitting.
#[derive(Debug)]
pub struct SubmitContext {
    /// Where the jobs are stored.
    pub store: Store,
    /// Seals secret inputs and hashes idempotent requests.
    pub keyring: Keyring,
    /// Compiled commands.
    pub recipes: Recipes,
    /// Composes and checks what callers bring.
    pub evaluator: Evaluator,
    /// Makes the jobs' ids.
    pub ids: IdSource,
}
