//! Opening connections: TLS is asked for while the greeting is still under way.

use crate::support::{APP, PASSWORD};
use landbridge::backend::conn::Ready;
use landbridge::backend::login::{self, Account, DialError, LoggedIn};
use landbridge::backend::server::Server;
use landbridge::config::Secret;
use landbridge::lab::{Flavor, Pair};
use landbridge::net::socket::Address;
use landbridge::net::tls::{Connector, ServerTls, Verify};
use landbridge::protocol::capability::Capabilities;
use landbridge::topology::ServerId;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// How the way to the server behaves.
const OPEN: u8 = 0;
/// Nothing of the server's gets through before the client has spoken.
const CLIENT_FIRST: u8 = 1;
/// The server is full.
const REFUSING: u8 = 2;

const REFUSAL: &[u8] = b"\x17\0\0\0\xff\x10\x04Too many connections";

async fn way(listener: TcpListener, server: SocketAddr, manners: Arc<AtomicU8>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let manners = manners.load(Ordering::Relaxed);
        tokio::spawn(async move {
            if manners == REFUSING {
                client.write_all(REFUSAL).await.ok();
                // Until it has read that, a reset would take it away.
                client.read_to_end(&mut Vec::new()).await.ok();
                return;
            }
            let mut server = TcpStream::connect(server).await.expect("server");
            if manners == CLIENT_FIRST {
                let mut first = [0; 4096];
                let n = client.read(&mut first).await.unwrap_or(0);
                server.write_all(&first[..n]).await.ok();
            }
            copy_bidirectional(&mut client, &mut server).await.ok();
        });
    }
}

fn server(pair: &Pair, port: u16) -> Server {
    let tls = ServerTls { verify: Verify::Full, ca: Some(pair.certs.ca.clone()), client_cert: None, server_name: None };
    let connector = Connector::new(&tls, "127.0.0.1").expect("connector");
    let address = Address::Tcp { host: "127.0.0.1".into(), port };
    Server::new(ServerId(0), "primary".into(), address, Some(connector))
}

async fn dial(server: &Server, limit: Duration) -> Result<LoggedIn, DialError> {
    let account = Account::listed(APP.into(), Secret::new(PASSWORD.into()));
    login::dial(server, &account, Capabilities::empty(), limit).await
}

async fn tls_before_the_greeting(flavor: Flavor) {
    let (long, short) = (Duration::from_secs(20), Duration::from_millis(300));
    let pair = Pair::start(flavor).await.expect("servers start");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("port");
    let port = listener.local_addr().expect("bound").port();
    let manners = Arc::new(AtomicU8::new(CLIENT_FIRST));
    tokio::spawn(way(listener, pair.primary.addr(), manners.clone()));

    let strange = server(&pair, port);
    let waited = dial(&strange, short).await.expect_err("who is not known is waited for");
    assert!(matches!(waited, DialError::TimedOut(..)), "{waited}");

    let known = server(&pair, port);
    manners.store(OPEN, Ordering::Relaxed);
    let first = dial(&known, long).await.expect("the first one waits for the greeting");
    manners.store(CLIENT_FIRST, Ordering::Relaxed);
    let second = dial(&known, long).await.expect("the second one does not");
    assert_eq!((first.greeting.version, first.caps), (second.greeting.version, second.caps));
    assert_ne!(first.greeting.thread_id, second.greeting.thread_id, "it has its own greeting");

    manners.store(REFUSING, Ordering::Relaxed);
    let refused = dial(&known, long).await.expect_err("full");
    assert_eq!(refused.server_error().map(|error| error.code), Some(1040), "{refused}");
    manners.store(CLIENT_FIRST, Ordering::Relaxed);
    dial(&known, long).await.expect("and early again");

    // Another server than before, which offers more: it goes by what it was asked for.
    let offer = second.greeting.capabilities;
    known.early_tls.remember(offer - Capabilities::DEPRECATE_EOF);
    let older = dial(&known, long).await.expect("early as well");
    assert_eq!(older.caps, second.caps - Capabilities::DEPRECATE_EOF);
    let account = Arc::new(Account::listed(APP.into(), Secret::new(PASSWORD.into())));
    let conn = Ready::new(older, Arc::new(server(&pair, port)), account);
    let (_, reply) = conn.query("SELECT 'x'").await.expect("understood");
    assert_eq!(reply.first_value(), Some("x"));
    assert_eq!(dial(&known, long).await.expect("as it greeted last").caps, second.caps);
    known.early_tls.remember(offer.symmetric_difference(Capabilities::LONG_PASSWORD));
    let strange = dial(&known, long).await.expect_err("of another family").to_string();
    assert!(strange.contains("of another kind of server than before"), "{strange}");
    assert_eq!(dial(&known, long).await.expect("known again").caps, second.caps);

    known.early_tls.never();
    assert!(dial(&known, short).await.is_err(), "unless it is switched off");
}

crate::on_both!(tls_before_the_greeting);
