//! Faults happen at random from a seed, or are aimed at chosen calls of one function.

mod aim;
pub(crate) mod kill;
mod spec;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::Value;

pub use aim::{Action, Aim, Aimed};
pub use spec::{FaultSpec, FaultSpecError};

/// The faults of a running system, which can be changed while it runs. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    spec: Mutex<FaultSpec>,
    dice: AtomicU64,
    aimed: Mutex<Vec<Aimed>>,
}

impl Faults {
    /// Replaces the random faults. Their dice begin anew from the seed.
    pub fn set(&self, spec: FaultSpec) {
        self.0.dice.store(spec.seed, Ordering::SeqCst);
        *lock(&self.0.spec) = spec;
    }

    /// The random faults in force.
    pub fn spec(&self) -> FaultSpec {
        lock(&self.0.spec).clone()
    }

    /// Aims a fault at calls of a function. The handle tells when a call was hit.
    pub fn aim(&self, aim: Aim) -> Aimed {
        let aimed = Aimed::new(aim);
        lock(&self.0.aimed).push(aimed.clone());
        aimed
    }

    /// Decides the fate of a call: an aimed fault, with its handle, comes before a random one.
    pub(crate) fn for_call(
        &self,
        function: &str,
        operation: &str,
        body: &Value,
    ) -> Option<(Action, Option<Aimed>)> {
        let aimed =
            lock(&self.0.aimed).iter().find_map(|aimed| aimed.take(function, operation, body));
        if let Some((action, handle)) = aimed {
            return Some((action, Some(handle)));
        }
        let spec = self.spec();
        if self.chance(spec.fail) {
            Some((Action::Fail, None))
        } else if self.chance(spec.lose) {
            Some((Action::Lose, None))
        } else if self.chance(spec.slow) {
            Some((Action::Delay(self.delay()), None))
        } else {
            None
        }
    }

    /// Rolls the dice for a message that may come twice.
    pub(crate) fn duplicates(&self) -> bool {
        let duplicate = self.spec().duplicate;
        self.chance(duplicate)
    }

    /// Chooses which of so many messages in line is handed out next.
    pub(crate) fn place(&self, waiting: usize) -> usize {
        let reorder = self.spec().reorder;
        if waiting > 0 && self.chance(reorder) { self.roll(waiting) } else { 0 }
    }

    /// Rolls how much longer a slow call takes.
    fn delay(&self) -> Duration {
        const LEAST_MS: u64 = 50;
        const SPREAD_MS: usize = 1_950;
        Duration::from_millis(LEAST_MS + self.roll(SPREAD_MS) as u64)
    }

    /// Rolls the dice for a call of the API that Lambda may have no room for.
    pub(crate) fn is_busy(&self) -> bool {
        let busy = self.spec().busy;
        self.chance(busy)
    }

    /// Rolls a number below `sides`, which must not be 0.
    pub(crate) fn roll(&self, sides: usize) -> usize {
        (self.next() % sides as u64) as usize
    }

    fn chance(&self, probability: f64) -> bool {
        probability > 0.0 && (self.next() >> 11) as f64 / (1_u64 << 53) as f64 <= probability
    }

    /// This is SplitMix64 (Steele, Lea, Flood 2014), which makes a good sequence from any seed.
    fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.dice.fetch_add(STEP, Ordering::SeqCst).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn action(faults: &Faults, function: &str, operation: &str, body: &Value) -> Option<Action> {
        faults.for_call(function, operation, body).map(|(action, _)| action)
    }

    fn run(seed: u64) -> Vec<Option<Action>> {
        let faults = Faults::default();
        faults.set(format!("seed={seed},fail=5%,lose=1%").parse().unwrap());
        (0..10_000).map(|_| action(&faults, "deliver", "dynamodb:GetItem", &Value::Null)).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_faults_at_about_the_given_rate() {
        let actions = run(7);
        assert_eq!(actions, run(7));
        assert_ne!(actions, run(8));
        let failed = actions.iter().filter(|action| **action == Some(Action::Fail)).count();
        let lost = actions.iter().filter(|action| **action == Some(Action::Lose)).count();
        assert!((400..600).contains(&failed), "{failed}");
        assert!((50..150).contains(&lost), "{lost}");
    }

    #[test]
    fn slow_calls_and_disorder_happen_as_often_as_they_are_asked_for() {
        let faults = Faults::default();
        assert!((0..1_000).all(|_| faults.place(10) == 0), "a queue has its order by itself");
        faults.set("seed=3,slow=10%,reorder=100%".parse().unwrap());
        let places: Vec<usize> = (0..1_000).map(|_| faults.place(10)).collect();
        assert!((0..10).all(|place| places.contains(&place)));
        let calls =
            (0..1_000).filter_map(|_| action(&faults, "deliver", "dynamodb:GetItem", &Value::Null));
        let delays: Vec<Duration> = calls
            .map(|action| match action {
                Action::Delay(delay) => delay,
                other => panic!("{other:?} was not asked for"),
            })
            .collect();
        assert!((60..150).contains(&delays.len()), "{}", delays.len());
        assert!(delays.iter().all(|delay| (50..2_000).contains(&delay.as_millis())));
    }

    #[test]
    fn an_aimed_fault_hits_the_chosen_call_only() {
        let faults = Faults::default();
        let aimed = faults
            .aim(Aim::at("deliver", "dynamodb:UpdateItem", Action::KillBefore).skip(1).times(2));
        assert_eq!(action(&faults, "fanout", "dynamodb:UpdateItem", &Value::Null), None);
        assert_eq!(action(&faults, "deliver", "dynamodb:GetItem", &Value::Null), None);
        let updates =
            (0..4).map(|_| action(&faults, "deliver", "dynamodb:UpdateItem", &Value::Null));
        let taken: Vec<_> = updates.collect();
        assert_eq!(taken, [None, Some(Action::KillBefore), Some(Action::KillBefore), None]);
        assert_eq!(aimed.hits(), 2);
    }

    #[test]
    fn a_fault_can_be_aimed_at_what_a_call_carries() {
        let faults = Faults::default();
        let aimed = faults.aim(
            Aim::at("fanout", "dynamodb:BatchWriteItem", Action::KillBefore).containing("poison"),
        );
        let (good, poison) = (json!({ "data": "good" }), json!({ "data": "poison" }));
        assert_eq!(action(&faults, "fanout", "dynamodb:BatchWriteItem", &good), None);
        assert_eq!(
            action(&faults, "fanout", "dynamodb:BatchWriteItem", &poison),
            Some(Action::KillBefore)
        );
        assert_eq!(aimed.hits(), 1);
    }
}
