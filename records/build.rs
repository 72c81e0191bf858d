//! Compiles the protobuf files without `protoc` and keeps their descriptors for recordings to embed.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(
        [
            "larder/v1/frame.proto",
            "larder/v1/household.proto",
            "larder/v1/correction.proto",
            "larder/v1/capture.proto",
            "larder/v1/seen.proto",
        ],
        ["proto"],
    )?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    prost_build::Config::new().bytes(["."]).compile_fds(descriptors)?;
    Ok(())
}
