//! `landbridge health`: is the Landbridge of this file ready?

use super::{complain, print};
use crate::config::Settings;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(3);

/// Asks `/readyz`.
pub(super) fn health(settings: &Settings) -> ExitCode {
    let Some(mut address) = settings.listen.http else {
        complain("landbridge: [listen] http is \"\": there is nobody to ask");
        return ExitCode::from(2);
    };
    if address.ip().is_unspecified() {
        address = SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()));
    }
    match ask(address) {
        Ok(answer) if answer.starts_with("HTTP/1.1 200") => {
            print("ready");
            ExitCode::SUCCESS
        }
        Ok(answer) => {
            complain(answer.split("\r\n\r\n").nth(1).unwrap_or("not ready"));
            ExitCode::FAILURE
        }
        Err(error) => {
            complain(&format!("landbridge: {address}: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: landbridge\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
