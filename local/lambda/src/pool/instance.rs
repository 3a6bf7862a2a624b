//! An instance is the life of one process.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep_until, timeout};

use crate::environment;
use crate::log::LogStream;
use crate::pool::Pool;
use crate::pool::state::Ended;
use crate::process::{self, Exit};
use crate::runtime_api::RuntimeApi;

/// We read for this long what a dead process left in its sockets and pipes. They close with its
/// end, unless it gave them away.
const DRAIN_LIMIT: Duration = Duration::from_secs(1);

/// We look at a process's memory this often, because its peak is gone when the process is.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// Starts process number `instance`, and returns when it is dead and the pool knows.
pub(super) async fn run(pool: Arc<Pool>, instance: u64) {
    let ended = match live(&pool, instance).await {
        Ok(exit) => Ended { how: exit.status.to_string(), usage: exit.usage },
        Err(error) => Ended {
            how: format!("{}: {error}", pool.binary().display()),
            usage: process::Usage::default(),
        },
    };
    let mut state = pool.lock();
    state.ended(instance, &ended, Instant::now());
    pool.dispatch(&mut state);
    drop(state);
    pool.ended.notify_waiters();
}

async fn live(pool: &Arc<Pool>, instance: u64) -> io::Result<Exit> {
    let mut api = RuntimeApi::bind(Arc::clone(pool), instance).await?;
    let command = environment::command(&pool.spec, &pool.binary(), instance, api.address()?);
    let mut spawned = process::spawn(command).await?;
    let process = spawned.process;
    pool.lock().started(instance, &process.0);
    let stdout = pipe::Receiver::from_owned_fd(spawned.stdout.into())?;
    let stderr = pipe::Receiver::from_owned_fd(spawned.stderr.into())?;
    let logs = tokio::spawn({
        let pool = Arc::clone(pool);
        async move {
            let name = &pool.spec.name;
            tokio::join!(
                pool.log.forward(name, instance, LogStream::Stdout, stdout),
                pool.log.forward(name, instance, LogStream::Stderr, stderr),
            )
        }
    });

    let exit = loop {
        let now = Instant::now();
        let look_again = pool.lock().enforce_deadline(instance, now).min(now + SAMPLE_EVERY);
        tokio::select! {
            exit = &mut spawned.exited => break exit.map_err(io::Error::other)?,
            () = api.serve() => {}
            () = sleep_until(look_again) => drop(process.0.usage()),
        }
    };
    // It gets nothing more, and its own request for more ends.
    pool.lock().kill(instance);
    // What the process sent and wrote before its end counts, and comes before the news of its end.
    let _ = timeout(DRAIN_LIMIT, async { tokio::join!(api.drain(), logs) }).await;
    Ok(exit)
}
