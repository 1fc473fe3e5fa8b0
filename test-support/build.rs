//! Rebuilds after a new migration, which changes the template of the tests' databases.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
