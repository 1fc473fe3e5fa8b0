//! A new migration changes the template that the tests' databases are copied from.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
