//! Finds the built web pages (`dashboard/dist`) for `src/web/assets.rs`, or writes a page that says
//! how to build them, so that `cargo build` works on a machine without Node.

use std::{env, fs, io, path::Path};

const STUB: &str = include_str!("src/web/stub.html");

fn main() -> io::Result<()> {
    let manifest = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    let dashboard = Path::new(&manifest).join("../dashboard");
    let built = dashboard.join("dist");
    // Relative to the manifest, as rust-embed requires.
    let pages = if built.join("index.html").exists() {
        "../dashboard/dist".to_owned()
    } else {
        let stub = Path::new(&out).join("stub");
        fs::create_dir_all(stub.join("playground"))?;
        fs::write(stub.join("index.html"), STUB)?;
        fs::write(stub.join("playground/index.html"), STUB)?;
        let to_root = "../".repeat(Path::new(&manifest).canonicalize()?.components().count() - 1);
        format!("{to_root}{}", stub.canonicalize()?.display().to_string().trim_start_matches('/'))
    };
    let code = format!(
        "/// The built pages.\n#[derive(rust_embed::RustEmbed)]\n#[folder = {pages:?}]\npub(super) struct Pages;\n"
    );
    fs::write(Path::new(&out).join("pages.rs"), code)?;
    // Runs again when npm installs packages or writes a build, and each time until there is one: a
    // stub that stays is worse than a slow build.
    println!("cargo::rerun-if-changed=src/web/stub.html");
    println!("cargo::rerun-if-changed={}", built.join("index.html").display());
    for watched in ["dist/playground/index.html", "node_modules/.package-lock.json"] {
        if dashboard.join(watched).exists() {
            println!("cargo::rerun-if-changed={}", dashboard.join(watched).display());
        }
    }
    Ok(())
}
