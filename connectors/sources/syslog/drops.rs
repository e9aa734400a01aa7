//! How many datagrams the system threw away, where it tells (Linux, in `/proc/net/udp` and `udp6`).

use std::net::UdpSocket;

/// What the system counts for a socket.
#[derive(Debug)]
pub(super) struct Drops {
    /// The number that the system knows the socket by.
    inode: String,
    seen: u64,
}

impl Drops {
    /// Of a socket; none where the system does not tell.
    #[cfg(target_os = "linux")]
    pub fn of(socket: &UdpSocket) -> Option<Self> {
        use std::os::fd::AsRawFd as _;
        let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).ok()?;
        let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_string();
        let mut drops = Drops { inode, seen: 0 };
        drops.more()?;
        Some(drops)
    }

    /// Of a socket; none where the system does not tell.
    #[cfg(not(target_os = "linux"))]
    pub fn of(_: &UdpSocket) -> Option<Self> {
        None
    }

    /// How many more there are since this was last asked.
    pub fn more(&mut self) -> Option<u64> {
        let tables = ["/proc/self/net/udp", "/proc/self/net/udp6"];
        let told = tables.iter().find_map(|table| told(&std::fs::read_to_string(table).ok()?, &self.inode))?;
        Some(told.saturating_sub(std::mem::replace(&mut self.seen, told)))
    }
}

/// The last column of the line of a socket.
fn told(table: &str, inode: &str) -> Option<u64> {
    let line = table.lines().skip(1).find(|line| line.split_whitespace().nth(9) == Some(inode))?;
    line.split_whitespace().nth(12)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_socket_is_found() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
                     1: 0100007F:15A8 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 12345 2 0000 7\n\
                     2: 0100007F:15A9 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 123 2 0000 9\n";
        assert_eq!((told(table, "12345"), told(table, "123"), told(table, "1")), (Some(7), Some(9), None));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_tells_of_datagrams_that_found_no_room() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket2::SockRef::from(&socket).set_recv_buffer_size(1).unwrap();
        let Some(mut drops) = Drops::of(&socket) else {
            println!("left out: the system does not tell of datagrams that it threw away");
            return;
        };
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..100 {
            sender.send_to(&[b'x'; 1000], socket.local_addr().unwrap()).unwrap();
        }
        let lost = drops.more().unwrap();
        assert!((50..100).contains(&lost), "{lost}");
        assert_eq!(drops.more(), Some(0));
    }
}
