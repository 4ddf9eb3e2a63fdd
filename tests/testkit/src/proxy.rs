//! A TCP proxy between a client and a server that can be told to misbehave.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// How the proxy treats what passes through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Behaviour {
    /// What the client sends vanishes.
    pub swallow_requests: bool,
    /// What the server answers vanishes, while the server has done what it was asked.
    pub swallow_answers: bool,
    /// Everything arrives this much later, in both directions.
    pub delay: Duration,
    /// New connections are closed at once.
    pub refuse: bool,
    /// Whoever connects and says something is answered this, and the server hears nothing of it.
    pub instead: Option<&'static str>,
}

/// A running proxy; it ends when dropped.
#[derive(Debug)]
pub struct TcpProxy {
    address: SocketAddr,
    control: Arc<watch::Sender<Control>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Control {
    behaviour: Behaviour,
    /// Connections of an earlier generation are cut.
    generation: u64,
}

impl TcpProxy {
    /// Starts a proxy to a port on loopback.
    ///
    /// # Panics
    /// When loopback cannot be listened on.
    pub async fn start(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let control = Arc::new(watch::Sender::new(Control::default()));
        let watched = control.subscribe();
        TaskTracker::new().spawn(accept(listener, target, watched));
        Self { address, control }
    }

    /// The port to connect to instead of the target's.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Behaves like that from now on, towards open connections too.
    pub fn behave(&self, behaviour: Behaviour) {
        self.control
            .send_modify(|control| control.behaviour = behaviour);
    }

    /// Cuts every open connection.
    pub fn cut(&self) {
        self.control.send_modify(|control| control.generation += 1);
    }

    /// Passes everything.
    pub fn heal(&self) {
        self.behave(Behaviour::default());
    }
}

async fn accept(listener: TcpListener, target: u16, mut control: watch::Receiver<Control>) {
    let links = TaskTracker::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { return };
                let behaviour = control.borrow().behaviour;
                if behaviour.refuse {
                    continue;
                }
                if let Some(answer) = behaviour.instead {
                    links.spawn(answer_with(client, answer));
                    continue;
                }
                links.spawn(link(client, target, control.clone()));
            }
            changed = control.changed() => if changed.is_err() { return },
        }
    }
}

/// A client that goes away before has its reasons.
async fn answer_with(mut client: TcpStream, answer: &'static str) {
    if matches!(client.read(&mut [0; 16 * 1024]).await, Ok(read) if read > 0)
        && client.write_all(answer.as_bytes()).await.is_ok()
    {
        drop(client.shutdown().await);
    }
}

async fn link(client: TcpStream, target: u16, mut control: watch::Receiver<Control>) {
    let generation = control.borrow().generation;
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let requests = pump(from_client, to_server, control.clone(), |behaviour| {
        behaviour.swallow_requests
    });
    let answers = pump(from_server, to_client, control.clone(), |behaviour| {
        behaviour.swallow_answers
    });
    // An error means that the proxy was dropped, which cuts too.
    let cut = control.wait_for(|now| now.generation != generation);
    // Whichever ends first ends the others, and dropping both ends closes the sockets.
    tokio::select! {
        () = requests => {}
        () = answers => {}
        _ = cut => {}
    }
}

async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    control: watch::Receiver<Control>,
    swallows: fn(&Behaviour) -> bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => read,
        };
        let behaviour = control.borrow().behaviour;
        if swallows(&behaviour) {
            continue;
        }
        if !behaviour.delay.is_zero() {
            tokio::time::sleep(behaviour.delay).await;
        }
        let Some(bytes) = buffer.get(..read) else {
            return;
        };
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}
