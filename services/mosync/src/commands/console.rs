//! `mosync console` and `mosync console-token`.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use boot::console::token;
use runtime::config::Config;

use super::serve;
use crate::exit::{Failure, print};

/// Where the API alone listens when the configuration does not say.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8090);

/// Serves the API and nothing else.
pub(crate) async fn serve(config: &Config) -> Result<ExitCode, Failure> {
    serve::run(config, &[], Some(LISTEN)).await
}

/// Makes a token, shows it once, and its hash.
pub(crate) fn token() -> Result<ExitCode, Failure> {
    let token = token::new_token()
        .map_err(|error| Failure::failed(format!("the system has no random numbers: {error}")))?;
    print(&format!("token: {token}"));
    print(&format!(
        "token_sha256: {}",
        token::hash_in_words(&token::hash(&token))
    ));
    print(
        "Give the token to whoever may call the API; it is not shown again. Write token_sha256 into the configuration, section [console].",
    );
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_this_machines_alone_unless_the_configuration_says_otherwise() {
        assert!(LISTEN.ip().is_loopback());
        assert!(serve::ANY_PORT.ip().is_loopback());
    }
}
