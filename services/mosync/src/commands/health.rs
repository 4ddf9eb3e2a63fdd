//! `mosync health`: what a container without a shell or `curl` asks itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use runtime::config::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::exit::{Failure, print};

/// For the whole question.
const ANSWER: Duration = Duration::from_secs(5);

/// Asks `/readyz` at the configured address: 0 ready, 1 not, 3 nobody answers.
pub(crate) async fn run(config: &Config) -> Result<ExitCode, Failure> {
    let Some(listen) = config.http.listen else {
        return Err(Failure::usage(
            "http.listen: is missing, so no service answers; write the address that the service listens on",
        ));
    };
    let address = reachable(listen);
    let nobody = |why: String| {
        Failure::out_of_reach(format!(
            "nobody answers at {address} ({why}); is the service running?"
        ))
    };
    let answer = tokio::time::timeout(ANSWER, ask(address))
        .await
        .map_err(|_elapsed| nobody(format!("nothing within {} s", ANSWER.as_secs())))?
        .map_err(|error| nobody(error.to_string()))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    print(body);
    Ok(if head.split(' ').nth(1) == Some("200") {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

async fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Who listens on every address is asked on this machine's own.
fn reachable(listen: SocketAddr) -> SocketAddr {
    if !listen.ip().is_unspecified() {
        return listen;
    }
    let own: IpAddr = match listen {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(own, listen.port())
}

#[cfg(test)]
mod tests {
    use runtime::health::{HealthServer, Readiness};
    use tokio_util::sync::CancellationToken;
    use tokio_util::task::TaskTracker;

    use super::*;

    #[tokio::test]
    async fn the_answer_of_the_running_service_decides() {
        let readiness = Readiness::expecting(["loader"]);
        let any = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        let server = HealthServer::bind(any, readiness.clone()).await.unwrap();
        let text = format!(
            "[salesforce]\nlogin_url = \"https://acme.my.salesforce.com\"\nclient_id = \"c\"\nclient_secret = \"s\"\n\
             [mos]\nurl = \"https://mos.example\"\napi_key = \"k\"\n\
             [embedded]\nfolder = \"/nowhere\"\n[http]\nlisten = \"0.0.0.0:{}\"\n",
            server.address().port()
        );
        let config = Config::read(&text, []).unwrap();
        let stop = CancellationToken::new();
        let tracker = TaskTracker::new();
        let running = tracker.spawn(server.run(stop.clone()));

        assert_eq!(run(&config).await.unwrap(), ExitCode::from(1));
        readiness.set("loader", Ok(()));
        assert_eq!(run(&config).await.unwrap(), ExitCode::SUCCESS);
        stop.cancel();
        running.await.unwrap().unwrap();
        assert!(run(&config).await.is_err());
    }
}
