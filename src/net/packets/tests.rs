use super::*;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

/// More than fits between two peers.
const MUCH: usize = 4 << 20;

#[tokio::test(start_paused = true)]
async fn a_peer_that_stops_in_the_middle_has_left() {
    let (ours, mut theirs) = UnixStream::pair().expect("two ends");
    let mut packets = PacketStream::plain(Socket::Unix(ours));
    packets.stalls_after(Duration::from_secs(60));
    // Between packets it may take its time.
    let silent = tokio::time::timeout(Duration::from_secs(3600), packets.read_packet(0, 100)).await;
    assert!(silent.is_err());
    theirs.write_all(b"\x05\0\0\0ab").await.expect("sent");
    let stalled = packets.read_packet(0, 100).await;
    assert!(matches!(stalled, Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::TimedOut));
    let full = packets.write_through(&vec![0; MUCH]).await;
    assert!(full.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut));
}

/// Whoever passes on a large packet consumes all that has come, each time.
#[tokio::test]
async fn a_peer_that_sends_much_is_read_in_large_pieces() {
    let (ours, mut theirs) = UnixStream::pair().expect("two ends");
    let peer = tokio::spawn(async move { theirs.write_all(&vec![1; MUCH]).await });
    let mut packets = PacketStream::plain(Socket::Unix(ours));
    let (mut reads, mut received) = (0, 0);
    while received < MUCH {
        received += packets.fill().await.expect("more");
        packets.input().clear();
        reads += 1;
    }
    peer.await.expect("no panic").expect("sent");
    assert!(reads <= MUCH / (CHUNK / 4), "{reads} reads");
}

#[tokio::test]
async fn a_peer_that_answers_before_it_has_read_all() {
    let (ours, mut theirs) = UnixStream::pair().expect("two ends");
    let peer = tokio::spawn(async move {
        theirs.write_all(&vec![1; MUCH]).await?;
        let mut all = vec![0; MUCH];
        theirs.read_exact(&mut all).await
    });
    let mut packets = PacketStream::plain(Socket::Unix(ours));
    packets.output().resize(MUCH, 2);
    packets.flush_listening().await.expect("sent");
    peer.await.expect("no panic").expect("all of it arrived");
    assert!(packets.output().is_empty());
    packets.buffer_at_least(MUCH).await.expect("all of the answer");
}

/// The room of a large packet goes with it, whoever has begun to send the next one.
#[tokio::test]
async fn a_large_packet_leaves_no_room_behind() {
    const LARGE: usize = 3 << 20;
    let (ours, mut theirs) = UnixStream::pair().expect("two ends");
    let peer = tokio::spawn(async move {
        let mut bytes = Vec::new();
        crate::protocol::packet::frame(&mut bytes, 0, &vec![1; LARGE]);
        bytes.extend_from_slice(b"\x02\0\0\0a");
        theirs.write_all(&bytes).await?;
        Ok::<_, io::Error>(theirs)
    });
    let mut packets = PacketStream::plain(Socket::Unix(ours));
    packets.buffer_at_least(HEADER_LEN + LARGE + 5).await.expect("all of it");
    let large = packets.read_packet(0, LARGE).await.expect("a packet");
    let _open = peer.await.expect("no panic").expect("sent");
    assert_eq!((large.payload.len(), &packets.input()[..]), (LARGE, &b"\x02\0\0\0a"[..]));
    drop(large);
    assert!(!packets.input().try_reclaim(LARGE / 2), "it has room of its own");
}

/// Its limit is for silence: whoever is slow may take all the time it needs.
#[tokio::test(start_paused = true)]
async fn a_slow_peer_is_there() {
    const LARGE: usize = 1000;
    let (ours, mut theirs) = UnixStream::pair().expect("two ends");
    let mut packets = PacketStream::plain(Socket::Unix(ours));
    packets.stalls_after(Duration::from_secs(60));
    packets.compress(Algorithm::Zlib);
    let (mut plain, mut sent) = (Vec::new(), Vec::new());
    crate::protocol::packet::frame(&mut plain, 0, &noise(LARGE));
    Compression::new(Algorithm::Zlib).wrap(&plain, &mut sent);
    let peer = tokio::spawn(async move {
        for piece in sent.chunks(100) {
            tokio::time::sleep(Duration::from_secs(50)).await;
            theirs.write_all(piece).await?;
        }
        Ok::<_, io::Error>(theirs)
    });
    let packet = packets.read_packet(0, LARGE).await.expect("in the end");
    assert_eq!(packet.payload.len(), LARGE);
    let mut theirs = peer.await.expect("no panic").expect("sent");
    // The beginning of an envelope, and nothing behind it.
    theirs.write_all(b"\x64\0").await.expect("sent");
    let stalled = packets.read_packet(0, LARGE).await;
    assert!(matches!(stalled, Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::TimedOut));
}

/// The same where packets travel in envelopes.
#[tokio::test]
async fn a_large_envelope_leaves_no_room_behind() {
    const LARGE: usize = 3 << 20;
    let (ours, mut theirs) = UnixStream::pair().expect("two ends");
    let mut packets = PacketStream::plain(Socket::Unix(ours));
    packets.compress(Algorithm::Zlib);
    let peer = tokio::spawn(async move {
        let (mut plain, mut sent) = (Vec::new(), Vec::new());
        crate::protocol::packet::frame(&mut plain, 0, &noise(LARGE));
        Compression::new(Algorithm::Zlib).wrap(&plain, &mut sent);
        theirs.write_all(&sent).await?;
        Ok::<_, io::Error>(theirs)
    });
    drop(packets.read_packet(0, LARGE).await.expect("a packet"));
    let _open = peer.await.expect("no panic").expect("sent");
    let raw = &mut packets.compressed.as_mut().expect("compressed").raw;
    assert!(!raw.try_reclaim(LARGE / 2), "it has room of its own");
}

/// What does not become smaller.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// A command that is small may come in an envelope with much behind it: that is read along, and has its memory.
#[tokio::test(start_paused = true)]
async fn what_comes_in_an_envelope_has_its_memory() {
    const ALL: usize = 16 << 20;
    let memory = Budget::new(ALL, Duration::from_secs(5));
    let (ours, mut theirs) = UnixStream::pair().expect("two ends");
    let mut packets = PacketStream::plain(Socket::Unix(ours));
    packets.takes_from(memory.clone());
    packets.compress(Algorithm::Zlib);
    let mut plain = b"\x01\0\0\0\x0e".to_vec();
    plain.resize(MUCH, 0);
    let (mut compression, mut envelopes) = (Compression::new(Algorithm::Zlib), Vec::new());
    compression.wrap(&plain, &mut envelopes);
    assert!(envelopes.len() < SMALL, "little that holds much");
    theirs.write_all(&envelopes).await.expect("sent");
    let ping = packets.read_packet(0, ALL).await.expect("a command");
    assert_eq!(&ping.payload[..], b"\x0e");
    assert!(memory.free() <= ALL - MUCH, "{}", memory.free());
    // What was behind it has gone to somebody, and so has its memory.
    packets.input().clear();
    envelopes.clear();
    compression.wrap(b"\x01\0\0\0\x01", &mut envelopes);
    theirs.write_all(&envelopes).await.expect("sent");
    let quit = packets.read_packet(0, ALL).await.expect("a command");
    drop((ping, quit));
    assert_eq!(memory.free(), ALL);
    // Where there is none, it is not read.
    let _others = memory.reserve(ALL - SMALL).await.expect("all but a little");
    envelopes.clear();
    compression.wrap(&plain, &mut envelopes);
    theirs.write_all(&envelopes).await.expect("sent");
    let denied = packets.read_packet(0, ALL).await;
    assert!(matches!(denied, Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::OutOfMemory));
}

/// Servers say why they take no more of a command, and hang up on the rest of it.
#[tokio::test]
async fn the_last_word_of_a_peer_that_hangs_up_is_heard() {
    let (ours, mut theirs) = UnixStream::pair().expect("two ends");
    let mut packets = PacketStream::plain(Socket::Unix(ours));
    packets.output().resize(MUCH, 2);
    let (flushed, ()) = tokio::join!(packets.flush_listening(), async {
        theirs.read_exact(&mut [0; 1000]).await.expect("some of it");
        theirs.write_all(b"\x03\0\0\x01why").await.expect("said");
        drop(theirs);
    });
    flushed.expect("there is an answer to be read");
    assert_eq!(&packets.read_packet(1, 100).await.expect("an answer").payload[..], b"why");
    let (ours, theirs) = UnixStream::pair().expect("two ends");
    drop(theirs);
    let mut packets = PacketStream::plain(Socket::Unix(ours));
    packets.output().resize(MUCH, 2);
    packets.flush_listening().await.expect_err("nothing was said");
}
