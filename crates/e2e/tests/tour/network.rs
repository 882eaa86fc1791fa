//! A network of its own for programs that listen at ports which others may hold on this machine.

use millstream_e2e::clients_folder;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

/// Turns the loopback device on (SIOCSIFFLAGS: up and running), says so, and keeps the network until its standard input ends.
const HOLD: &str = "import fcntl, socket, struct, sys\n\
    fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sH14s', b'lo', 0x41, b''))\n\
    print('up', flush=True)\n\
    sys.stdin.read()\n";

/// Where programs listen and find each other.
pub enum Network {
    /// A network namespace with nothing but a loopback device; it goes with this process, whatever becomes of the test.
    Own {
        /// The process that holds it.
        holder: Child,
        /// Whether a user namespace was needed to make it.
        user: bool,
    },
    /// This machine's own.
    Host,
}

impl Network {
    /// A namespace where the kernel lets this user make one, as root or through a user namespace; else the machine's own network, on which
    /// `ports` have to be free.
    ///
    /// # Panics
    /// When there is neither.
    #[must_use]
    pub fn with_free(ports: &[u16]) -> Self {
        if let Some(own) = Self::own(false).or_else(|| Self::own(true)) {
            return own;
        }
        for port in ports {
            let free = TcpListener::bind(("127.0.0.1", *port));
            assert!(free.is_ok(), "port {port} is taken ({free:?}) and this user may not make a network namespace");
        }
        Self::Host
    }

    fn own(user: bool) -> Option<Self> {
        let mut command = Command::new("unshare");
        command.arg("--net").args(user.then_some("--map-root-user"));
        let python = clients_folder().join("python/bin/python");
        command.arg(python).args(["-c", HOLD]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut holder = command.spawn().ok()?;
        let mut said = String::new();
        BufReader::new(holder.stdout.take()?).read_line(&mut said).ok()?;
        if said != "up\n" {
            holder.wait().ok()?;
            return None;
        }
        Some(Self::Own { holder, user })
    }

    /// `program` within the network.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        match self {
            Self::Host => Command::new(program),
            Self::Own { holder, user } => {
                let mut command = Command::new("nsenter");
                command.args(["--target", &holder.id().to_string(), "--net"]);
                command.args(user.then_some(["--user", "--preserve-credentials"]).into_iter().flatten());
                command.args(["--", program]);
                command
            }
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Self::Own { holder, .. } = self {
            // It may have ended already.
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_on_the_machine_is_free_in_a_network_of_its_own() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let Some(network) = Network::own(false).or_else(|| Network::own(true)) else {
            // Without namespaces the other arm holds: a taken port is told, not shared.
            assert!(std::panic::catch_unwind(|| Network::with_free(&[port])).is_err());
            return;
        };
        let listen = format!("import socket; socket.create_server(('127.0.0.1', {port}))");
        let python = clients_folder().join("python/bin/python");
        assert!(network.command(python.to_str().unwrap()).args(["-c", &listen]).status().unwrap().success());
    }
}
