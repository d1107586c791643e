//! The examples of docs/consistency.md: a cookie carries the token from one Landbridge to another.

use crate::drivers::{is_there, latest, program, root, run};
use crate::support::{APP, Bed, PASSWORD, Plan, settings};
use landbridge::app::App;
use landbridge::lab::{Flavor, accounts};
use landbridge::topology::Snapshot;
use std::time::Duration;

/// Nothing but the cookie can make it right, and nobody finds the replica too late to be asked.
const EXTRA: &str = "[consistency]\nscope = \"connection\"\n[route]\nmax_lag = \"1h\"";

/// Whether a read that has written and seen nothing goes to the replica without more ado.
fn is_proven(snapshot: &Snapshot) -> bool {
    !snapshot.floor.pending && snapshot.floor.gtids.is_none() && !snapshot.readers.is_empty()
}

/// A Landbridge in another region, before the same servers.
async fn elsewhere(bed: &Bed) -> App {
    let monitor = ("200ms", accounts::MONITOR.password);
    let settings = settings(&bed.pair, (&bed.ocean, &bed.shore), (1, 8), monitor, ("", "", EXTRA));
    let app = App::start(&settings).await.expect("Landbridge starts");
    let mut topology = app.shared.topology.clone();
    let wait = topology.wait_for(|snapshot| is_proven(snapshot));
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("within 20 s").expect("monitor runs");
    app
}

/// What one request is answered, by a process of its own, and the cookie that comes with it.
async fn request(words: &[&str], port: u16, path: &str, cookie: Option<&str>) -> (String, String) {
    let mut command = program(words);
    command.args([&port.to_string(), APP, PASSWORD, path]).args(cookie);
    let printed = tokio::task::spawn_blocking(|| run(command)).await.expect("the request succeeds");
    let (answer, cookie) = printed.trim_end_matches('\n').split_once('\n').unwrap_or((printed.trim_end(), ""));
    (answer.to_owned(), cookie.to_owned())
}

/// Writes here and reads there, with the cookie and without, while the replica stands still.
async fn carry(flavor: Flavor, package: &str, probe: &[&str], words: &[&str]) {
    if !is_there(probe, package) {
        return;
    }
    let bed = Bed::with(flavor, Plan { extra: EXTRA, ..Plan::default() }).await;
    let other = elsewhere(&bed).await;
    let (here, there) = (bed.port(), other.mysql[0].port());
    bed.pair.stop_applier().await.expect("stops");

    let (answer, cookie) = request(words, here, "/write", None).await;
    assert_eq!(answer, "written");
    assert!(cookie.starts_with('1'), "a cookie comes with it: {cookie:?}");
    let read = async |port, cookie| request(words, port, "/read", cookie).await;
    assert_eq!(read(there, None).await.0, "0", "without the cookie nothing is known of the write there");
    let (seen, next) = read(there, Some(&cookie)).await;
    assert_eq!(seen, "1", "with the cookie it is seen");
    assert_eq!(read(here, None).await.0, "0", "nor here, for another connection");
    assert_eq!(read(here, Some(&next)).await.0, "1", "what was read is in the next cookie");
    assert_eq!(read(there, Some("made-up")).await.0, "0", "who makes one up is answered all the same");
    let direct = read(bed.pair.primary.port(), Some(&cookie)).await;
    assert_eq!(direct, ("1".to_owned(), String::new()), "without Landbridge there is no cookie, and no error");

    other.shut_down().await;
    bed.stop().await;
}

/// The request handler and the middleware chain are Django's, its driver is `PyMySQL`.
async fn django(flavor: Flavor) {
    let python = latest("python/bin/python3").display().to_string();
    let script = root().join("tests/examples/django_request.py").display().to_string();
    carry(flavor, "Django of PyPI", &[&python, "-c", "import django, pymysql"], &[&python, &script]).await;
}

/// PHP with a script of ours, if these packages of Debian's are there.
async fn php(flavor: Flavor, packages: &str, classes: [&str; 2], script: &str) {
    let [one, other] = classes.map(|class| format!("require '{class}/autoload.php';"));
    let probe = format!("{one} {other} exit((int) !extension_loaded('pdo_mysql'));");
    let script = root().join("tests/examples").join(script).display().to_string();
    carry(flavor, packages, &["php", "-r", &probe], &["php", &script]).await;
}

/// The kernel, its events and the database layer are Symfony's and Doctrine's.
async fn symfony(flavor: Flavor) {
    let classes = ["Symfony/Component/HttpKernel", "Doctrine/DBAL"];
    php(flavor, "php-symfony-http-kernel or php-doctrine-dbal", classes, "symfony_request.php").await;
}

/// Requests, responses, the database and its facade are Laravel's; who calls the middleware is the script.
async fn laravel(flavor: Flavor) {
    let classes = ["Illuminate/Database", "Illuminate/Http"];
    php(flavor, "php-illuminate-database or php-illuminate-http", classes, "laravel_request.php").await;
}

crate::on_both!(django, symfony, laravel);
