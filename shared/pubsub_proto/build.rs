//! Compiles the .proto in Rust (protox), so that no protoc is needed on the machine.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto/pubsub_api.proto");
    let files = protox::compile(["proto/pubsub_api.proto"], ["proto"])?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
