//! `landbridge health`: is the Landbridge of this file ready?

use super::ask::Place;
use super::{complain, print};
use crate::config::Settings;
use std::process::ExitCode;

/// Asks `/readyz`.
pub(super) fn health(settings: &Settings) -> ExitCode {
    let Some(address) = settings.listen.http else {
        complain("landbridge: [listen] http is \"\": there is nobody to ask");
        return ExitCode::from(2);
    };
    let place = Place::of(address);
    match place.get("/readyz") {
        Ok(answer) if answer.status == 200 => {
            print("ready");
            ExitCode::SUCCESS
        }
        Ok(answer) => {
            complain(&String::from_utf8_lossy(&answer.body));
            ExitCode::FAILURE
        }
        Err(error) => {
            complain(&format!("landbridge: {}: {error}", place.host));
            ExitCode::FAILURE
        }
    }
}
