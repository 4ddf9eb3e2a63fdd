//! Encryption, with a certificate for `localhost`.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_util::task::TaskTracker;

/// The certificate, for `localhost`; it is its own root.
pub const CERTIFICATE: &str =
    include_str!("../../fake-salesforce/src/pubsub/testdata/localhost.pem");
const KEY: &str = include_str!("../../fake-salesforce/src/pubsub/testdata/localhost.key");

pub(crate) fn acceptor() -> TlsAcceptor {
    let certificate =
        CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).expect("its key");
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("the key is the certificate's");
    TlsAcceptor::from(Arc::new(config))
}

/// A proxy with TLS before a server that has none; it ends when dropped.
#[derive(Debug)]
pub struct TlsFront {
    address: SocketAddr,
    target: watch::Sender<Option<u16>>,
}

impl TlsFront {
    /// Listens; connections wait until [`TlsFront::lead_to`] says where they go. So a server can be
    /// told its front's address before it starts.
    ///
    /// # Panics
    /// When loopback cannot be listened on.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let target = watch::Sender::new(None);
        TaskTracker::new().spawn(accept(listener, target.subscribe()));
        Self { address, target }
    }

    /// Where it listens, such as `https://localhost:4711`.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// Connections go to this port of loopback.
    pub fn lead_to(&self, port: u16) {
        self.target.send_replace(Some(port));
    }
}

async fn accept(listener: TcpListener, mut target: watch::Receiver<Option<u16>>) {
    let links = TaskTracker::new();
    let acceptor = acceptor();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { return };
                links.spawn(link(acceptor.clone(), client, target.clone()));
            }
            changed = target.changed() => if changed.is_err() { return },
        }
    }
}

/// What goes wrong here ends the connection, which the client sees.
async fn link(acceptor: TlsAcceptor, client: TcpStream, mut target: watch::Receiver<Option<u16>>) {
    let Ok(mut client) = acceptor.accept(client).await else {
        return;
    };
    let Ok(port) = target.wait_for(Option::is_some).await.map(|port| *port) else {
        return;
    };
    let Some(port) = port else { return };
    if let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await {
        drop(copy_bidirectional(&mut client, &mut server).await);
    }
}
