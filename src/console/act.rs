//! What changes something: only the account of `[admin]` may.

use super::control::Refusal;
use super::parse::Command;
use super::{Console, Right};
use crate::protocol::errno;
use crate::protocol::response::ServerError;

/// Does what a command asks for; how many clients or connections it concerned.
///
/// # Errors
/// Who asks may not, or it cannot be done.
pub(super) async fn act(console: &Console, right: Right, who: &str, command: Command) -> Result<u64, ServerError> {
    let what = match &command {
        Command::Reconnect(_) => "RECONNECT",
        Command::Kill { .. } => "KILL",
        Command::Act(action) => action.name(),
        // Nothing is changed.
        _ => return Ok(0),
    };
    if right != Right::All {
        return Err(errno::admin_only(what, console.control.entrance().admin.as_deref()));
    }
    tracing::info!(user = who, command = ?command, "console");
    match command {
        Command::Reconnect(server) => reconnect(console, server.as_deref()),
        Command::Kill { id, query_only } => kill(console, id, query_only).await,
        Command::Act(action) => console.control.perform(action).await.map_err(|refusal| match refusal {
            Refusal::NotAvailable => errno::not_available(what),
            Refusal::Failed(why) => errno::not_done(what, &why),
        }),
        _ => Ok(0),
    }
}

fn reconnect(console: &Console, server: Option<&str>) -> Result<u64, ServerError> {
    let known = console.shared.pools.servers().in_use();
    if let Some(server) = server.filter(|server| !known.iter().any(|known| known.name == *server)) {
        let names: Vec<&str> = known.iter().map(|known| &*known.name).collect();
        return Err(errno::not_done(
            "RECONNECT",
            &format!("no server is called '{server}' (there are: {})", names.join(", ")),
        ));
    }
    let pools = console.shared.pools.all();
    let meant = pools.iter().filter(|pool| server.is_none_or(|server| pool.server().name == server));
    Ok(meant.map(|pool| pool.renew() as u64).sum())
}

async fn kill(console: &Console, id: u32, query_only: bool) -> Result<u64, ServerError> {
    let Some(client) = console.shared.registry.find(id) else { return Err(errno::unknown_client(id)) };
    if query_only {
        client.kill_statement().await;
    } else {
        client.stop.cancel();
    }
    Ok(1)
}
