//! Which congestion control connections have: on a machine whose usual one paces (BBR), one that does not for peers of the machine itself.
//!
//! There is no wire to share with those, and timers between packets cost more than sending them. A connection that has once been paced
//! keeps its timers whatever it is changed to, so it is the listener that is changed: connections inherit from it, and those from elsewhere
//! are given the usual one back.

use std::net::SocketAddr;
use std::os::fd::AsFd;

/// A congestion control that sends as soon as it may, and that every Linux has.
const UNPACED: &str = "reno";

/// The congestion control of a listener's connections.
#[derive(Debug)]
pub struct Pacing {
    /// What the system gives to sockets; none where it can't be asked or changed, and then every connection has it.
    usual: Option<String>,
}

impl Pacing {
    /// Has connections of `listener` begin without pacing.
    pub fn off(listener: impl AsFd) -> Self {
        let usual = rustix::net::sockopt::tcp_congestion(&listener).ok();
        Self { usual: usual.filter(|_| rustix::net::sockopt::set_tcp_congestion(&listener, UNPACED).is_ok()) }
    }

    /// Gives a connection from elsewhere what the system gives.
    pub fn accepted(&self, stream: impl AsFd, peer: SocketAddr) {
        if let Some(usual) = &self.usual
            && !peer.ip().is_loopback()
        {
            // It works without: slower where the network is the reason for the usual one.
            let _ = rustix::net::sockopt::set_tcp_congestion(stream, usual);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    fn control(socket: impl AsFd) -> String {
        rustix::net::sockopt::tcp_congestion(socket).unwrap()
    }

    #[test]
    fn peers_of_this_machine_are_not_paced_and_others_have_what_is_usual() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let usual = control(&listener);
        let pacing = Pacing::off(&listener);
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, peer) = listener.accept().unwrap();
        pacing.accepted(&stream, peer);
        assert_eq!(control(&stream), UNPACED);
        pacing.accepted(&stream, "192.0.2.1:9".parse().unwrap());
        assert_eq!(control(&stream), usual);
    }
}
