//! Recompiles this crate when a migration is added, because the compiler does not know that
//! `migrate!` includes them.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
