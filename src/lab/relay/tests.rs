//! The relay against scripted TCP peers. Times have only lower bounds: a busy machine is late.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use super::{Port, Relay};

const ONE_WAY: Duration = Duration::from_millis(20);
const RTT: Duration = Duration::from_millis(40);
const SOON: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_millis(150);

/// A server that answers each byte with the same byte, after an optional greeting.
async fn echo(greeting: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                stream.write_all(greeting).await.unwrap();
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await.ok();
            });
        }
    });
    addr
}

async fn relay(greeting: &'static [u8], one_way: Duration) -> (Relay, TcpStream) {
    let relay = Relay::start(echo(greeting).await, one_way).await.unwrap();
    let client = TcpStream::connect(relay.addr()).await.unwrap();
    client.set_nodelay(true).unwrap();
    (relay, client)
}

async fn exchange(client: &mut TcpStream, request: &[u8]) -> std::io::Result<()> {
    client.write_all(request).await?;
    let mut response = vec![0; request.len()];
    client.read_exact(&mut response).await?;
    assert_eq!(response, request);
    Ok(())
}

#[tokio::test]
async fn a_greeting_takes_two_round_trips_and_costs_none() {
    let start = Instant::now();
    let (relay, mut client) = relay(b"hello", ONE_WAY).await;
    let mut greeting = [0; 5];
    client.read_exact(&mut greeting).await.unwrap();
    assert!(start.elapsed() >= 2 * RTT, "{:?}", start.elapsed());
    assert_eq!(relay.stats().round_trips, 0);
}

#[tokio::test]
async fn the_first_request_waits_for_the_handshake() {
    let start = Instant::now();
    let (_relay, mut client) = relay(b"", ONE_WAY).await;
    exchange(&mut client, b"x").await.unwrap();
    assert!(start.elapsed() >= 2 * RTT, "{:?}", start.elapsed());
}

#[tokio::test]
async fn requests_in_turn_cost_one_round_trip_each_and_a_flight_costs_one() {
    let (relay, mut client) = relay(b"", ONE_WAY).await;
    exchange(&mut client, b"first").await.unwrap();
    let before = relay.stats();
    let start = Instant::now();
    for _ in 0..3 {
        exchange(&mut client, b"one").await.unwrap();
    }
    assert!(start.elapsed() >= 3 * RTT);
    assert_eq!(relay.stats().since(&before).round_trips, 3);

    let before = relay.stats();
    for _ in 0..10 {
        client.write_all(b"a").await.unwrap();
    }
    client.read_exact(&mut [0; 10]).await.unwrap();
    let flight = relay.stats().since(&before);
    assert_eq!(flight.round_trips, 1);
    assert_eq!((flight.bytes_to_server, flight.bytes_to_client), (10, 10));
    assert_eq!(relay.per_connection()[0].round_trips, 5);
}

#[tokio::test]
async fn keeps_order_and_throughput() {
    let (relay, mut client) = relay(b"", ONE_WAY).await;
    let sent: Vec<u8> = (0..8_000_000_u32).map(|i| i.to_le_bytes()[i as usize % 3]).collect();
    let start = Instant::now();
    let (mut from, mut to) = client.split();
    let mut received = vec![0; sent.len()];
    let (written, read) = tokio::join!(to.write_all(&sent), from.read_exact(&mut received));
    written.unwrap();
    read.unwrap();
    assert!(received == sent, "bytes changed on the way");
    // Sleeping for each chunk would take 250 x 40 ms.
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(relay.stats().bytes_to_client, sent.len() as u64);
}

#[tokio::test]
async fn a_goodbye_crosses_and_closes() {
    let (relay, mut client) = relay(b"", ONE_WAY).await;
    exchange(&mut client, b"x").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
    let stats = timeout(SOON, relay.wait_until(|stats| stats.connections_open == 0)).await.unwrap();
    assert_eq!(stats.connections_total, 1);
    assert!(!relay.per_connection()[0].open);
}

#[tokio::test]
async fn a_cut_resets_old_and_new_connections_until_resumed() {
    let (relay, mut client) = relay(b"", ONE_WAY).await;
    exchange(&mut client, b"x").await.unwrap();
    relay.cut();
    let error = timeout(SOON, client.read(&mut [0; 1])).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let mut refused = TcpStream::connect(relay.addr()).await.unwrap();
    assert!(timeout(SOON, exchange(&mut refused, b"x")).await.unwrap().is_err());

    relay.resume();
    let mut client = TcpStream::connect(relay.addr()).await.unwrap();
    exchange(&mut client, b"x").await.unwrap();
}

#[tokio::test]
async fn cutting_what_exists_spares_what_comes() {
    let (relay, mut client) = relay(b"", ONE_WAY).await;
    exchange(&mut client, b"x").await.unwrap();
    relay.cut_existing();
    assert!(timeout(SOON, client.read(&mut [0; 1])).await.unwrap().is_err());
    let mut client = TcpStream::connect(relay.addr()).await.unwrap();
    exchange(&mut client, b"x").await.unwrap();
}

#[tokio::test]
async fn a_black_hole_is_silent_and_delivers_late() {
    let (relay, mut client) = relay(b"", ONE_WAY).await;
    exchange(&mut client, b"x").await.unwrap();
    relay.black_hole();
    client.write_all(b"y").await.unwrap();
    let mut answer = [0; 1];
    assert!(timeout(SILENCE, client.read(&mut answer)).await.is_err(), "something came through");
    let mut newcomer = TcpStream::connect(relay.addr()).await.unwrap();
    assert!(timeout(SILENCE, exchange(&mut newcomer, b"x")).await.is_err());

    relay.resume();
    timeout(SOON, client.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"y");
    timeout(SOON, newcomer.read_exact(&mut answer)).await.unwrap().unwrap();
}

#[tokio::test]
async fn dials_can_be_refused_and_the_port_comes_back() {
    let (relay, mut client) = relay(b"", ONE_WAY).await;
    for _ in 0..3 {
        exchange(&mut client, b"x").await.unwrap();
        relay.refuse();
        assert!(timeout(SOON, client.read(&mut [0; 1])).await.unwrap().is_err(), "reset");
        let refused = async {
            // The listener closes a moment later than the connections.
            while let Ok(mut stream) = TcpStream::connect(relay.addr()).await {
                assert!(exchange(&mut stream, b"x").await.is_err());
            }
        };
        timeout(SOON, refused).await.unwrap();
        relay.resume();
        let welcome = async {
            loop {
                match TcpStream::connect(relay.addr()).await {
                    Ok(stream) => break stream,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        client = timeout(SOON, welcome).await.unwrap();
    }
    exchange(&mut client, b"x").await.unwrap();
}

#[tokio::test]
async fn answers_can_be_held_while_requests_arrive() {
    let (relay, mut client) = relay(b"", ONE_WAY).await;
    exchange(&mut client, b"x").await.unwrap();
    let before = relay.stats();
    relay.hold_answers();
    client.write_all(b"commit").await.unwrap();
    let answered = relay.wait_until(|stats| stats.since(&before).bytes_from_server == 6).await.since(&before);
    assert_eq!((answered.bytes_to_server, answered.bytes_to_client), (6, 0));
    relay.resume();
    timeout(SOON, client.read_exact(&mut [0; 6])).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_can_be_cut_in_the_middle() {
    let (relay, mut client) = relay(b"", ONE_WAY).await;
    exchange(&mut client, b"x").await.unwrap();
    let before = relay.stats();
    relay.cut_after_bytes_to_server(4);
    client.write_all(b"abcdefgh").await.unwrap();
    timeout(SOON, relay.wait_until_sprung()).await.unwrap();
    let cut = relay.wait_until(|stats| stats.connections_open == 0).await.since(&before);
    assert_eq!((cut.bytes_to_server, cut.bytes_from_client), (4, 8));
}

#[tokio::test]
async fn an_answer_can_be_lost_after_the_server_sent_it() {
    let (relay, mut client) = relay(b"", ONE_WAY).await;
    exchange(&mut client, b"x").await.unwrap();
    relay.cut_on_next_server_bytes();
    let before = relay.stats();
    assert!(timeout(SOON, exchange(&mut client, b"commit")).await.unwrap().is_err());
    let lost = relay.wait_until(|stats| stats.connections_open == 0).await.since(&before);
    assert_eq!((lost.bytes_to_server, lost.bytes_to_client), (6, 0));

    let mut client = TcpStream::connect(relay.addr()).await.unwrap();
    exchange(&mut client, b"once only").await.unwrap();
}

#[tokio::test]
async fn an_answer_can_be_cut_in_the_middle() {
    let (relay, mut client) = relay(b"", ONE_WAY).await;
    exchange(&mut client, b"x").await.unwrap();
    relay.cut_after_bytes_to_client(4);
    client.write_all(b"abcdefgh").await.unwrap();
    relay.wait_until(|stats| stats.connections_open == 0).await;
    assert_eq!(relay.stats().bytes_to_client, 1 + 4);
}

#[tokio::test]
async fn a_target_that_refuses_resets_after_one_round_trip() {
    // A port that was merely closed may be somebody else's by now, and the relay's own.
    let closed = Port::reserve("127.0.0.1:0".parse().unwrap()).unwrap();
    let relay = Relay::start(closed.addr, ONE_WAY).await.unwrap();
    let start = Instant::now();
    let mut client = TcpStream::connect(relay.addr()).await.unwrap();
    assert!(timeout(SOON, client.read(&mut [0; 1])).await.unwrap().is_err());
    assert!(start.elapsed() >= RTT);
}

#[tokio::test]
async fn without_a_delay_it_is_fast() {
    let (relay, mut client) = relay(b"", ONE_WAY).await;
    exchange(&mut client, b"x").await.unwrap();
    relay.set_one_way(Duration::ZERO);
    let start = Instant::now();
    for _ in 0..100 {
        exchange(&mut client, b"x").await.unwrap();
    }
    assert!(start.elapsed() < 100 * ONE_WAY, "{:?}", start.elapsed());
}

#[tokio::test]
async fn dropping_the_relay_ends_its_connections() {
    let (relay, mut client) = relay(b"", ONE_WAY).await;
    exchange(&mut client, b"x").await.unwrap();
    let addr = relay.addr();
    drop(relay);
    assert!(timeout(SOON, client.read(&mut [0; 1])).await.unwrap().is_err());
    assert!(TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn a_target_that_moves_is_followed_by_new_connections() {
    let (relay, mut client) = relay(b"", Duration::ZERO).await;
    exchange(&mut client, b"before").await.unwrap();
    relay.set_target(echo(b"elsewhere").await);
    exchange(&mut client, b"who was there stays").await.unwrap();
    let mut newcomer = TcpStream::connect(relay.addr()).await.unwrap();
    let mut greeting = [0; 9];
    newcomer.read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"elsewhere");
}
