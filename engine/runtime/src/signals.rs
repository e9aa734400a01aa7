//! What the system asks for: an end, or other rules.

use tripline_connect::source::Stop;

use crate::reload::Asked;

/// Listens to signals in a thread of its own.
#[cfg(unix)]
pub(crate) fn listen(stop: Stop, asked: Asked) -> Result<(), String> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error: std::io::Error| format!("signals cannot be listened to: {error}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let listening = {
        let _entered = runtime.enter();
        [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal)
    };
    let [terminate, interrupt, hangup] = listening;
    let (mut terminate, mut interrupt, mut hangup) =
        (terminate.map_err(failed)?, interrupt.map_err(failed)?, hangup.map_err(failed)?);
    std::thread::spawn(move || {
        let ending = stop.clone();
        let runtime_of_all = runtime;
        runtime_of_all.spawn(async move {
            while hangup.recv().await.is_some() {
                asked.ask();
            }
        });
        let impatient = runtime_of_all.spawn(async move {
            while terminate.recv().await.is_some() {
                ending.now();
            }
        });
        runtime_of_all.block_on(async move {
            while interrupt.recv().await.is_some() {
                if stop.asked() {
                    // Asked twice: what was committed is safe.
                    std::process::exit(130);
                }
                stop.now();
            }
            impatient.abort();
        });
    });
    Ok(())
}

/// Listens for an interrupt in a thread of its own.
#[cfg(not(unix))]
pub(crate) fn listen(stop: Stop, _asked: Asked) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("signals cannot be listened to: {error}"))?;
    std::thread::spawn(move || {
        runtime.block_on(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                stop.now();
            }
        });
    });
    Ok(())
}
