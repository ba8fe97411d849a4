//! Names the shared library, and makes the C header (into `OUT_DIR`: a build never writes into the
//! source tree; `make header` copies it).

use std::env;
use std::error::Error;
use std::path::PathBuf;

/// The sources of the header, in the order in which it tells them.
const SOURCES: [&str; 6] = ["status", "config", "life", "record", "rules", "stats"];

fn main() -> Result<(), Box<dyn Error>> {
    match env::var("CARGO_CFG_TARGET_OS")?.as_str() {
        // The number is the ABI's, not the version's. `nodelete`: our threads outlive a dlclose.
        "linux" | "android" | "freebsd" => {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libmalti.so.1");
            println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        }
        "macos" => {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libmalti.dylib");
        }
        _ => {}
    }

    let capi = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("src/capi");
    println!("cargo:rerun-if-changed={}", capi.display());
    let mut config = cbindgen::Config::from_file(capi.join("cbindgen.toml"))?;
    let version = env::var("CARGO_PKG_VERSION")?;
    config.after_includes = config
        .after_includes
        .map(|text| text.replace("@VERSION@", &version));
    let mut header = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        header = header.with_src(capi.join(source).with_extension("rs"));
    }
    header
        .generate()?
        .write_to_file(PathBuf::from(env::var("OUT_DIR")?).join("malti.h"));
    Ok(())
}
