//! Names of servers that come to stand for other addresses: a failover by CNAME.

use crate::support::{APP, PASSWORD, one};
use landbridge::app::App;
use landbridge::config;
use landbridge::lab::{Flavor, Pair, PairOptions, Relay, accounts};
use landbridge::lifecycle::doors::Doors;
use landbridge::net::listening::Passed;
use landbridge::net::names::Resolver;
use landbridge::topology::Health;
use mysql_async::prelude::*;
use mysql_async::{Conn, Opts, OptsBuilder};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const NAME: &str = "db.landbridge.test";
const OLD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const NEW: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const DEAD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

struct Table(Arc<Mutex<HashMap<String, Vec<IpAddr>>>>);

impl Table {
    fn becomes(&self, addresses: &[Ipv4Addr]) {
        let addresses = addresses.iter().copied().map(IpAddr::V4).collect();
        self.0.lock().expect("whole").insert(NAME.into(), addresses);
    }
}

/// One name for the primary, which lead to either server of a pair by the same port of two addresses.
struct Bed {
    pair: Pair,
    relays: [Relay; 2],
    table: Table,
    app: App,
}

impl Bed {
    async fn start(flavor: Flavor) -> Self {
        let server_names = vec![NAME.to_owned()];
        let pair = Pair::start_with(flavor, PairOptions { server_names, ..PairOptions::default() }).await;
        let pair = pair.expect("servers start");
        let create = "CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY, n INT)";
        pair.primary.sql(create).await.expect("a table can be made");
        pair.wait_caught_up().await.expect("caught up");
        let old = Relay::start(pair.primary.addr(), Duration::ZERO).await.expect("relay");
        let port = old.addr().port();
        let new = Relay::start_at(SocketAddr::from((NEW, port)), pair.replica.addr(), Duration::ZERO).await;
        let table = Table(Arc::default());
        table.becomes(&[DEAD, OLD]);
        let text = format!(
            "[[server]]\nname = \"primary\"\naddress = \"{NAME}:{port}\"\nrole = \"primary\"\n\
             tls = {{ mode = \"verify-full\", ca = \"{}\" }}\n\
             [[user]]\nname = \"{APP}\"\npassword = \"{PASSWORD}\"\n\
             [monitor]\nuser = \"{}\"\npassword = \"{}\"\ninterval = \"200ms\"\ndns_interval = \"100ms\"\n\
             [pool]\nmin_warm = 4\nmax = 8\n\
             [listen]\nmysql = \"127.0.0.1:0\"\nadmin = \"\"\nhttp = \"\"\n",
            pair.certs.ca.display(),
            accounts::MONITOR.user,
            accounts::MONITOR.password
        );
        let settings =
            config::parse(&text, "test.toml", Path::new("/"), &|_| None).unwrap_or_else(|faults| panic!("{faults}"));
        let app = App::start_on(&settings, &Resolver::Table(table.0.clone()), &mut Passed::default(), Doors::new(true))
            .expect("Landbridge starts");
        let bed = Self { pair, relays: [old, new.expect("relay")], table, app };
        bed.until(|bed| bed.open() == [5, 0]).await;
        bed
    }

    /// Connections open at the old and at the new address.
    fn open(&self) -> [u64; 2] {
        self.relays.each_ref().map(|relay| relay.stats().connections_open)
    }

    async fn until(&self, passed: impl Fn(&Self) -> bool) {
        let wait = async {
            while !passed(self) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(20), wait).await.is_ok(), "open: {:?}", self.open());
    }

    async fn client(&self) -> Conn {
        let opts = OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.app.mysql[0].port())
            .user(Some(APP))
            .pass(Some(PASSWORD))
            .db_name(Some("app"))
            .prefer_socket(false);
        Conn::new(Opts::from(opts)).await.expect("a client can connect")
    }
}

/// The name comes to stand for the other server: all connections go there, the monitor's too, while clients work on, and
/// a transaction ends where it began.
async fn a_failover_by_name(flavor: Flavor) {
    let bed = Bed::start(flavor).await;
    let (mut client, mut inside) = (bed.client().await, bed.client().await);
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("write");
    inside.query_drop("BEGIN").await.expect("begun");
    inside.query_drop("INSERT INTO t (n) VALUES (2)").await.expect("write");

    // A resolver that fails, and one that names an address where nobody is.
    bed.table.0.lock().expect("whole").clear();
    one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await;
    bed.table.becomes(&[DEAD]);
    let named = bed.app.shared.server(landbridge::topology::ServerId(0)).expect("configured").clone();
    let somebody = Some(SocketAddr::from((OLD, 1)));
    bed.until(|_| named.names.has_left(somebody)).await;
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 1, "what is open goes on");

    bed.table.becomes(&[NEW]);
    bed.pair.promote_replica().await.expect("promoted");
    // Only the open transaction stays at the old one.
    bed.until(|bed| bed.open()[0] == 1 && bed.open()[1] >= 4).await;
    assert_eq!(one::<u64>(&mut inside, "SELECT COUNT(*) FROM t").await, 2, "inside the transaction");
    inside.query_drop("COMMIT").await.expect("ends where it began");
    bed.until(|bed| bed.open()[0] == 0).await;
    client.query_drop("INSERT INTO t (n) VALUES (3)").await.expect("write");
    let at_new = bed.pair.replica.sql("SELECT COUNT(*) FROM app.t WHERE n = 3").await.expect("count")[0][0].clone();
    assert_eq!(at_new.as_deref(), Some("1"));
    let up = |t: &Arc<landbridge::topology::Snapshot>| t.primary().is_some_and(|p| p.health == Health::Up);
    assert!(up(&bed.app.shared.snapshot()));
    bed.app.shut_down().await;
}

crate::on_both!(a_failover_by_name);
