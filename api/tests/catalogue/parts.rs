//! The parts of an API that these tests and the tests of jobs make alike.

use std::sync::Arc;

use callboard::{
    catalogue::Catalogue, clock::IdSource, command::AllowList, evaluator::Evaluator, recipes::Recipes,
    secret::Keyring, steps::enqueue::context::SubmitContext, store::Store,
};

/// The master key.
pub(crate) const MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

pub(crate) fn keyring() -> Keyring {
    Keyring::parse(&MASTER_KEY.into()).unwrap()
}

pub(crate) fn catalogue(store: &Store, evaluator: Evaluator) -> Catalogue {
    Catalogue {
        store: store.clone(),
        keyring: Arc::new(keyring()),
        allow_list: AllowList::parse("/usr/bin:/bin").unwrap(),
        evaluator,
        ids: IdSource,
        actor: Arc::default(),
    }
}

pub(crate) fn submit(store: &Store, evaluator: Evaluator) -> SubmitContext {
    SubmitContext {
        store: store.clone(),
        keyring: keyring(),
        recipes: Recipes::default(),
        evaluator,
        ids: IdSource,
    }
}
