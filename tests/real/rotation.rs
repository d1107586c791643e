//! Certificates that change on disk while Landbridge runs.

use crate::reload::{base, counted};
use crate::support::{Bed, Plan, one};
use landbridge::config::{ServerTls, TlsIdentity, Trust};
use landbridge::lab::certs::Authority;
use landbridge::lab::{CertFiles, Flavor};
use landbridge::topology::{ServerView, Snapshot};
use mysql_async::prelude::*;
use mysql_async::{Conn, SslOpts};
use rustix::fs::{CWD, Mode, mkfifoat};
use std::path::Path;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

/// A file is replaced as tools do it: at once, by another one.
fn replace(path: &Path, text: &str) {
    let fresh = path.with_extension("fresh");
    std::fs::write(&fresh, text).expect("written");
    std::fs::rename(&fresh, path).expect("renamed");
}

/// Connects as a client who trusts this authority alone.
async fn trusting(bed: &Bed, ca: &Path) -> mysql_async::Result<Conn> {
    let ssl = SslOpts::default().with_root_certs(vec![ca.to_owned().into()]).with_disable_built_in_roots(true);
    Conn::new(bed.opts().ssl_opts(Some(ssl))).await
}

/// Clients are shown the certificate that is in the file now. A pair that does not fit is refused, and the old stays.
async fn clients_see_the_new_certificate(flavor: Flavor) {
    let (dir, other_dir) = (tempfile::tempdir().expect("directory"), tempfile::tempdir().expect("directory"));
    let (old, new) = (Authority::new("old").expect("authority"), Authority::new("new").expect("authority"));
    let files = CertFiles::issue(&old, &old.server(&[]).expect("identity"), dir.path()).expect("files");
    let fresh = CertFiles::issue(&new, &new.server(&[]).expect("identity"), other_dir.path()).expect("files");
    let (cert, key) = (files.server.cert.display(), files.server.key.display());
    let listen = "[listen]\nmysql = \"127.0.0.1:0\"\nadmin = \"\"\nhttp = \"\"\ntls = \"required\"";
    let extra = format!("{listen}\ntls_cert = \"{cert}\"\ntls_key = \"{key}\"");
    let bed = Bed::with(flavor, Plan { extra: Box::leak(extra.into_boxed_str()), ..Plan::default() }).await;
    let mut present = trusting(&bed, &files.ca).await.expect("the old one is shown");
    assert!(trusting(&bed, &fresh.ca).await.is_err(), "the new one is not known yet");

    let read = |path: &Path| std::fs::read_to_string(path).expect("read");
    // Half of it: the certificate is there, its key is not yet.
    replace(&files.server.cert, &read(&fresh.server.cert));
    bed.app().look_at_certificates().await;
    assert_eq!(counted(&bed, "landbridge_certificate_changes_total", "refused"), "1");
    trusting(&bed, &files.ca).await.expect("the old one is still shown");
    bed.app().look_at_certificates().await;
    assert_eq!(counted(&bed, "landbridge_certificate_changes_total", "refused"), "1", "said once");
    replace(&files.server.key, &read(&fresh.server.key));
    bed.app().look_at_certificates().await;
    assert_eq!(counted(&bed, "landbridge_certificate_changes_total", "applied"), "1");
    trusting(&bed, &fresh.ca).await.expect("the new one is shown");
    assert!(trusting(&bed, &files.ca).await.is_err(), "the old one is gone");
    assert_eq!(one::<u32>(&mut present, "SELECT COUNT(*) FROM t").await, 0, "who was there stays");
    // Nothing at all, and then rubbish.
    std::fs::remove_file(&files.server.cert).expect("removed");
    bed.app().look_at_certificates().await;
    replace(&files.server.cert, "-----BEGIN CERT");
    bed.app().look_at_certificates().await;
    assert_eq!(counted(&bed, "landbridge_certificate_changes_total", "refused"), "3");
    trusting(&bed, &fresh.ca).await.expect("what was read last is shown");
    bed.stop().await;
}

/// New dials trust the authority, and show the identity, that are in the files now.
async fn dials_use_the_new_files(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let dir = tempfile::tempdir().expect("directory");
    let ca = dir.path().join("trusted.pem");
    let right = std::fs::read_to_string(&bed.pair.certs.ca).expect("read");
    let wrong = Authority::new("nobody's").expect("authority");
    replace(&ca, &right);
    let own = TlsIdentity { cert: dir.path().join("own.pem"), key: dir.path().join("own.key") };
    let read = |path: &Path| std::fs::read_to_string(path).expect("read");
    replace(&own.cert, &read(&bed.pair.certs.client.cert));
    replace(&own.key, &read(&bed.pair.certs.client.key));
    let mut settings = base(&bed);
    for server in &mut settings.servers {
        let identity = Some(own.clone());
        let trust = Trust::VerifyCa { ca: Some(ca.clone()) };
        server.tls = ServerTls::On { trust, server_name: None, identity };
    }
    bed.app().reload(settings.clone()).await.expect("another way to trust");
    bed.warm().await;
    let mut client = bed.client().await;
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("write");

    replace(&ca, &wrong.pem());
    bed.app().look_at_certificates().await;
    assert_eq!(counted(&bed, "landbridge_certificate_changes_total", "applied"), "2", "one for each server");
    client.query_drop("INSERT INTO t (n) VALUES (2)").await.expect("open connections stay");
    bed.ocean.cut_existing_and_wait().await;
    let fails = || {
        bed.app()
            .shared
            .pools
            .all()
            .iter()
            .any(|pool| pool.failure().is_some_and(|why| why.to_string().contains("another authority")))
    };
    bed.until(fails).await;

    replace(&ca, "-----BEGIN CERTIFICATE-----\nbroken");
    bed.app().look_at_certificates().await;
    assert_eq!(counted(&bed, "landbridge_certificate_changes_total", "refused"), "2");
    replace(&ca, &right);
    let key = read(&own.key);
    replace(&own.key, &wrong.client("other").expect("identity").key_pem);
    bed.app().look_at_certificates().await;
    assert_eq!(counted(&bed, "landbridge_certificate_changes_total", "refused"), "4", "not the key of the certificate");
    replace(&own.key, &key);
    bed.app().look_at_certificates().await;
    // A probe that began before may still fail, and be the one that counts.
    let mended = Instant::now();
    let answers_since = |snapshot: &Snapshot| snapshot.report.as_ref().is_some_and(|report| report.asked > mended);
    bed.topology(|snapshot| answers_since(snapshot) && snapshot.primary().is_some_and(ServerView::is_usable)).await;
    bed.warm().await;
    client.query_drop("INSERT INTO t (n) VALUES (3)").await.expect("write");

    // A reload reads all files again, and is refused whole where one is not good.
    replace(&ca, "nothing");
    settings.limits.max_clients -= 1;
    let refused = bed.app().reload(settings.clone()).await.expect_err("no authority in it");
    let text = format!("{refused:#}");
    assert!(text.contains("server 'primary'") && text.contains("trusted.pem"), "{text}");
    assert_eq!(one::<u32>(&mut client, "SELECT COUNT(*) FROM t").await, 3);
    bed.stop().await;
}

/// A file that cannot be read to its end keeps nobody: neither who asks what is configured, nor the end.
async fn a_file_that_never_ends(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let dir = tempfile::tempdir().expect("directory");
    let ca = dir.path().join("trusted.pem");
    let right = std::fs::read_to_string(&bed.pair.certs.ca).expect("read");
    replace(&ca, &right);
    let mut settings = base(&bed);
    for server in &mut settings.servers {
        let trust = Trust::VerifyCa { ca: Some(ca.clone()) };
        server.tls = ServerTls::On { trust, server_name: None, identity: None };
    }
    bed.app().reload(settings).await.expect("another way to trust");
    std::fs::remove_file(&ca).expect("removed");
    mkfifoat(CWD, &ca, Mode::RUSR | Mode::WUSR).expect("a pipe");
    let mut looking = Box::pin(bed.app().look_at_certificates());
    // It can be opened once it is being read.
    let open = std::fs::OpenOptions::new().write(true).clone();
    let pipe = ca.clone();
    let writer = tokio::task::spawn_blocking(move || open.open(pipe).expect("opened"));
    let writer = tokio::select! {
        () = &mut looking => panic!("it has no end"),
        writer = writer => writer.expect("joins"),
    };
    let reloaded = tokio::time::timeout(LIMIT, bed.app().reload(base(&bed))).await;
    reloaded.expect("nobody waits for the file").expect("reloaded");
    replace(&ca, &right);
    drop(writer);
    tokio::time::timeout(LIMIT, looking).await.expect("it has an end now");
    bed.warm().await;
    let mut client = bed.client().await;
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("write");
    bed.stop().await;
}

crate::on_both!(clients_see_the_new_certificate, dials_use_the_new_files, a_file_that_never_ends);
