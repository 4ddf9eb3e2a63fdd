//! mosync, the one executable: every service and command is a subcommand of it.

mod cli;
mod commands;
#[cfg(feature = "demo")]
mod demo;
mod exit;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    // Once, before anything can make a TLS connection. A second installation is the only error.
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        return exit::report(&exit::Failure::failed(
            "the TLS library was set up twice; please report this",
        ));
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return exit::report(&exit::Failure::failed(format!(
                "the system refuses threads: {error}"
            )));
        }
    };
    match runtime.block_on(commands::run(cli)) {
        Ok(code) => code,
        Err(failure) => exit::report(&failure),
    }
}
