//! Functions are killed in the middle of an invocation.

use std::{collections::BTreeMap, time::Duration};

use posthaste_local_lambda::Function;

use super::Faults;

/// Kills a random busy process at the interval that the faults ask for.
pub(crate) async fn at_random(faults: Faults, functions: BTreeMap<String, Function>) {
    const LOOK_AGAIN: Duration = Duration::from_millis(100);
    let functions: Vec<Function> = functions.into_values().collect();
    loop {
        let Some(interval) = faults.spec().kill else {
            tokio::time::sleep(LOOK_AGAIN).await;
            continue;
        };
        tokio::time::sleep(interval).await;
        if faults.spec().kill.is_none() {
            continue;
        }
        let first = faults.roll(functions.len().max(1));
        for function in functions.iter().cycle().skip(first).take(functions.len()) {
            if function.kill_busy(|busy| one_of(busy, &faults)) {
                break;
            }
        }
    }
}

fn one_of(instances: &[u64], faults: &Faults) -> Option<u64> {
    if instances.is_empty() { None } else { Some(instances[faults.roll(instances.len())]) }
}
