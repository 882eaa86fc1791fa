//! `SO_RCVLOWAT`: how many bytes have to be here before the system tells of them.

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd};

/// Has the system tell of `socket`'s bytes only when so many are here, when there is no room for more, or when the peer has closed. What a read returns
/// is not changed by it. If so many are here already, that is told at once. Returns whether it could be set.
pub fn set(socket: impl AsFd, bytes: usize) -> bool {
    let Ok(value) = c_int::try_from(bytes) else { return false };
    let len = u32::try_from(size_of::<c_int>()).expect("four bytes");
    let fd = socket.as_fd().as_raw_fd();
    #[expect(unsafe_code, reason = "no library has this option")]
    // SAFETY: the descriptor is open as long as it is borrowed, and the option's value is the integer that the call is given with its size.
    let set = unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVLOWAT, (&raw const value).cast(), len) };
    set == 0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(10);

    fn is_told(socket: &TcpStream, within: Duration) -> bool {
        let wait = Timespec { tv_sec: within.as_secs().cast_signed(), tv_nsec: within.subsec_nanos().into() };
        poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&wait)).unwrap() > 0
    }

    #[test]
    fn bytes_are_told_of_when_so_many_are_here_and_when_fewer_are_asked_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (near, _) = listener.accept().unwrap();
        assert!(set(&near, 1_000));
        far.write_all(&[1; 900]).unwrap();
        assert!(!is_told(&near, SHORT));
        far.write_all(&[1; 100]).unwrap();
        assert!(is_told(&near, LONG));
        assert!(set(&near, 2_000));
        assert!(!is_told(&near, SHORT));
        assert!(set(&near, 1));
        assert!(is_told(&near, LONG));
        assert!(set(&near, 2_000));
        drop(far);
        assert!(is_told(&near, LONG), "the peer has closed");
    }
}
