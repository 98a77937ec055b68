//! A link with a delay: TCP in, TCP out, each byte later by the same time.
//!
//! Invariants: it delays and does not limit: what comes in together goes out together, because every piece is due at its
//! own arrival plus the delay and the reader never waits for the writer. Threads and not tasks: tokio's timer counts in
//! whole milliseconds, and a quarter of one is asked for here. They end with the process.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// A sleeping thread is woken up to this much late, so the last stretch is waited for awake.
const WAKING: Duration = Duration::from_micros(100);
const PIECE: usize = 64 * 1024;

/// Forwards to `port` on this machine, with `one_way` in each direction; answers the port to connect to instead.
pub fn start(port: u16, one_way: Duration) -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let own = listener.local_addr()?.port();
    thread::spawn(move || {
        // A client whose line cannot be made sees it closed.
        for near in listener.incoming().flatten() {
            drop(link(near, port, one_way));
        }
    });
    Ok(own)
}

fn link(near: TcpStream, port: u16, one_way: Duration) -> io::Result<()> {
    let far = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    carry(near.try_clone()?, far.try_clone()?, one_way);
    carry(far, near, one_way);
    Ok(())
}

fn carry(mut from: TcpStream, mut to: TcpStream, one_way: Duration) {
    let (queue, pieces) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut piece = vec![0; PIECE];
        while let Ok(bytes @ 1..) = from.read(&mut piece) {
            if queue
                .send((Instant::now() + one_way, piece[..bytes].to_vec()))
                .is_err()
            {
                break;
            }
        }
    });
    thread::spawn(move || {
        for (due, bytes) in pieces {
            wait_until(due);
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        // One of both directions is over: so is this one, whatever the other still carries.
        drop(to.shutdown(Shutdown::Write));
    });
}

fn wait_until(due: Instant) {
    thread::sleep(
        due.saturating_duration_since(Instant::now())
            .saturating_sub(WAKING),
    );
    while Instant::now() < due {
        thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_WAY: Duration = Duration::from_millis(20);

    /// A server that says everything back, behind a link.
    fn echo() -> TcpStream {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut said = peer.try_clone().unwrap();
            io::copy(&mut said, &mut peer).unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
        });
        let line = TcpStream::connect((Ipv4Addr::LOCALHOST, start(port, ONE_WAY).unwrap()));
        let line = line.unwrap();
        line.set_nodelay(true).unwrap();
        line
    }

    #[test]
    fn both_directions_are_delayed() {
        let mut line = echo();
        let begun = Instant::now();
        line.write_all(b"?").unwrap();
        line.read_exact(&mut [0]).unwrap();
        assert!(begun.elapsed() >= 2 * ONE_WAY);
    }

    #[test]
    fn bytes_arrive_whole_in_order_and_to_the_last() {
        let mut line = echo();
        let said: Vec<u8> = (0..1_000_003_u32).flat_map(u32::to_le_bytes).collect();
        let mut writing = line.try_clone().unwrap();
        let text = said.clone();
        let writer = thread::spawn(move || {
            writing.write_all(&text).unwrap();
            writing.shutdown(Shutdown::Write).unwrap();
        });
        let mut heard = Vec::new();
        line.read_to_end(&mut heard).unwrap();
        writer.join().unwrap();
        assert!(said == heard);
    }

    /// Pieces that follow each other faster than the delay are under way together. One after the other they would take
    /// 100 times the delay; what is allowed is half of that, which no busy machine comes near.
    #[test]
    fn delays_of_pipelined_pieces_do_not_add_up() {
        let mut line = echo();
        let begun = Instant::now();
        let mut writing = line.try_clone().unwrap();
        let writer = thread::spawn(move || {
            for piece in 0..100 {
                writing.write_all(&[piece]).unwrap();
                thread::sleep(Duration::from_millis(1)); // so that each is a piece of its own
            }
        });
        line.read_exact(&mut [0; 100]).unwrap();
        writer.join().unwrap();
        assert!(begun.elapsed() < 50 * ONE_WAY);
    }
}
