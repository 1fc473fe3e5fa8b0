//! Compiles this crate again when a migration is added: `migrate!` takes them in, and the compiler does not know of it.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
