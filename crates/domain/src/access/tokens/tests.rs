use proptest::prelude::*;

use super::*;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

fn limit(per_second: u32) -> Limit {
    Limit::of_events(per_second).unwrap()
}

fn ask(least: u32, most: u32) -> Admission {
    Admission::Ask(Question { least, most })
}

/// The bucket as the Registry keeps it.
#[derive(Default)]
struct Bucket {
    next_free: Option<Timestamp>,
    asked: u32,
}

impl Bucket {
    fn give(&mut self, limit: Limit, asked: Question, now: Timestamp) -> Grant {
        self.asked += 1;
        let grant = limit.grant(self.next_free, asked.least, asked.most, now);
        if let Grant::Tokens { first, count } = grant {
            self.next_free = Some(first + limit.interval() * count);
        }
        grant
    }

    /// Tells whether a call passes.
    fn passes(&mut self, account: &mut Account, limit: Limit, count: u32, now: Timestamp) -> bool {
        let admission = match account.admit(limit, count, now) {
            Admission::Ask(asked) => {
                let grant = self.give(limit, asked, now);
                account.settle(limit, asked, grant, now)
            }
            known => known,
        };
        match admission {
            Admission::Admitted => true,
            Admission::Refused(until) => {
                assert!(until > now);
                false
            }
            Admission::Ask(_) => panic!("it was asked"),
        }
    }
}

#[test]
fn zero_is_no_limit() {
    assert_eq!((Limit::of_events(0), Limit::of_calls(0)), (None, None));
    assert_eq!(limit(u32::MAX).per_second(), MAX_PER_SECOND);
}

#[test]
fn the_bucket_gives_what_fits_into_a_second_and_at_least_one_call() {
    let now = at(100_000);
    let grant = |per_second, next_free: Option<i64>, least, most| {
        limit(per_second).grant(next_free.map(at), least, most, now)
    };
    let tokens = |ms, count| Grant::Tokens { first: at(ms), count };
    assert_eq!(grant(1000, None, 1, 5000), tokens(100_000, 1000));
    assert_eq!(grant(1000, Some(0), 1, 100), tokens(100_000, 100), "what nobody took is lost");
    assert_eq!(grant(1000, Some(100_700), 100, 400), tokens(100_700, 300));
    assert_eq!(grant(1000, Some(100_950), 100, 400), Grant::Later(at(100_050)));
    assert_eq!(grant(1, None, 100, 100), tokens(100_000, 100), "the events of the largest call");
    assert_eq!(grant(1, Some(200_000), 1, 1), Grant::Later(at(101_000)));
    assert_eq!(
        Limit::of_calls(1).unwrap().grant(None, 1, 100, now),
        tokens(100_000, 10),
        "ten calls at once"
    );
}

#[test]
fn who_calls_little_never_asks() {
    let mut account = Account::default();
    assert_eq!(account.admit(limit(1000), 100, at(0)), Admission::Admitted);
    assert_eq!(account.admit(limit(1000), 1, at(0)), ask(1, 101));
    for second in 1..100 {
        assert_eq!(
            account.admit(limit(1000), 10, at(second * 1000)),
            Admission::Admitted,
            "{second}"
        );
    }
}

#[test]
fn a_lease_is_for_what_a_second_takes_and_at_most_a_quarter_of_the_limit() {
    let mut account = Account::default();
    assert_eq!(account.admit(limit(1000), 100, at(0)), Admission::Admitted);
    assert_eq!(account.admit(limit(1000), 20, at(0)), ask(20, 120));
    assert_eq!(account.admit(limit(1000), 100, at(900)), ask(100, 220));
    assert_eq!(account.admit(limit(1000), 60, at(900)), ask(60, 250));
    assert_eq!(
        account.admit(limit(1000), 90, at(1000)),
        ask(90, 250),
        "the second before counts too"
    );
    assert_eq!(
        account.admit(limit(100), 90, at(3000)),
        ask(90, 90),
        "and the one before that does not"
    );
}

#[test]
fn a_lease_lasts_for_two_seconds() {
    let mut account = Account::default();
    assert_eq!(account.admit(limit(1000), 100, at(0)), Admission::Admitted);
    let asked = Question { least: 20, most: 120 };
    let granted = Grant::Tokens { first: at(0), count: 120 };
    assert_eq!(account.settle(limit(1000), asked, granted, at(0)), Admission::Admitted);
    assert_eq!(account.admit(limit(1000), 70, at(10)), Admission::Admitted);
    assert_eq!(account.admit(limit(1000), 31, at(10)), ask(31, 201));
    assert_eq!(account.admit(limit(1000), 30, at(2000)), ask(30, 30));
}

#[test]
fn what_was_refused_is_refused_again_without_a_question() {
    let mut account = Account::default();
    let limit = limit(10);
    assert_eq!(account.admit(limit, 50, at(0)), ask(50, 50));
    let asked = Question { least: 50, most: 50 };
    assert_eq!(
        account.settle(limit, asked, Grant::Later(at(3000)), at(0)),
        Admission::Refused(at(3000))
    );
    assert_eq!(account.admit(limit, 50, at(2999)), Admission::Refused(at(3000)));
    assert_eq!(account.admit(limit, 30, at(999)), Admission::Refused(at(1000)));
    assert_eq!(
        account.admit(limit, 20, at(99)),
        Admission::Refused(at(100)),
        "it is asked again after a pause"
    );
    assert_eq!(account.admit(limit, 20, at(100)), ask(20, 20));
    assert_eq!(account.admit(limit, 50, at(3000)), ask(50, 50));
}

#[test]
fn an_empty_bucket_is_asked_less_and_less_often_until_it_gives_all_that_is_asked_for() {
    let (mut account, limit) = (Account::default(), Limit::of_calls(10).unwrap());
    assert_eq!(account.admit(limit, 1, at(0)), Admission::Admitted);
    let mut now = at(0);
    for pause in [100, 200, 400, 800, 1600, 3200, 4000, 4000] {
        let Admission::Ask(asked) = account.admit(limit, 1, now) else {
            panic!("after {pause} ms")
        };
        let later = now + Duration::from_millis(1);
        let until = now + Duration::from_millis(pause);
        assert_eq!(
            account.settle(limit, asked, Grant::Later(later), now),
            Admission::Refused(until)
        );
        now = until;
    }
    let asked = Question { least: 1, most: 2 };
    for (given, pause) in [(1, 4000), (2, 100)] {
        account.settle(limit, asked, Grant::Tokens { first: now, count: given }, now);
        now += LEASE_LIFE;
        let Admission::Ask(asked) = account.admit(limit, 1, now) else { panic!("after {given}") };
        let until = now + Duration::from_millis(pause);
        assert_eq!(account.settle(limit, asked, Grant::Later(now), now), Admission::Refused(until));
        now = until;
    }
}

#[test]
fn whoever_is_refused_has_no_own_share_for_a_while() {
    let (mut account, limit) = (Account::default(), Limit::of_calls(100).unwrap());
    for _ in 0..10 {
        assert_eq!(account.admit(limit, 1, at(0)), Admission::Admitted);
    }
    let Admission::Ask(asked) = account.admit(limit, 1, at(0)) else {
        panic!("the share is used up")
    };
    account.settle(limit, asked, Grant::Later(at(10)), at(0));
    assert!(matches!(account.admit(limit, 1, at(999)), Admission::Ask(_)));
    assert_eq!(account.admit(limit, 1, at(1000)), Admission::Admitted);
}

#[test]
fn a_bucket_that_can_not_be_asked_stops_nobody_and_is_not_asked_for_each_call() {
    let (mut account, limit) = (Account::default(), Limit::of_calls(100).unwrap());
    let mut asked = 0;
    for _ in 0..1000 {
        match account.admit(limit, 1, at(0)) {
            Admission::Ask(question) => {
                asked += 1;
                account.go_on_unasked(question, at(0));
            }
            Admission::Admitted => {}
            Admission::Refused(_) => panic!("nobody has refused it"),
        }
    }
    assert!((1..100).contains(&asked), "{asked}");
}

#[test]
fn what_a_call_turns_out_to_cost_is_owed() {
    assert_eq!([0.0, 24.9, 25.0, 2500.0, f64::NAN].map(weight), [0, 0, 1, 100, 0]);
    let (mut account, limit) = (Account::default(), Limit::of_calls(100).unwrap());
    assert_eq!(account.charge(limit, 4, at(0)), 0, "the own share has that");
    assert_eq!(account.charge(limit, 120, at(0)), 120);
    // The bucket is 1.2 s ahead, and gives what fits into a second.
    account.charged(at(1200));
    assert_eq!(account.admit(limit, 7, at(0)), Admission::Refused(at(270)));
    assert!(matches!(account.admit(limit, 7, at(270)), Admission::Ask(_)));
}

#[test]
fn an_account_is_forgotten_when_it_says_nothing_any_more() {
    let mut account = Account::default();
    assert!(account.is_idle(at(0)));
    account.admit(limit(1000), 10, at(0));
    assert!(!account.is_idle(at(999)) && account.is_idle(at(1000)));
}

/// The calls a second that pass, and the questions a second that the bucket is asked, when so many
/// calls a second come to so many environments. The first half of the 20 s is not counted, because
/// each environment has its own share at first.
fn steadily(limit: Limit, environments: usize, calls_a_second: u64) -> (f64, f64) {
    let mut accounts = vec![Account::default(); environments];
    let (mut bucket, mut passed, mut half) = (Bucket::default(), 0_u32, (0, 0));
    for nth in 0..calls_a_second * 20 {
        if nth == calls_a_second * 10 {
            half = (passed, bucket.asked);
        }
        let now = at(0) + Duration::from_micros(nth * 1_000_000 / calls_a_second);
        let scattered = usize::try_from(nth.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33).unwrap();
        passed += u32::from(bucket.passes(&mut accounts[scattered % environments], limit, 1, now));
    }
    (f64::from(passed - half.0) / 10.0, f64::from(bucket.asked - half.1) / 10.0)
}

/// The figures are in `docs/limits.md`.
#[test]
fn a_key_that_calls_10000_times_a_second_gets_its_limit_however_many_environments_are_warm() {
    let limit = Limit::of_calls(100).unwrap();
    let rounded = [1, 10, 100, 1000].map(|environments| {
        let (passed, asked) = steadily(limit, environments, 10_000);
        (environments, passed.round(), asked.round())
    });
    assert_eq!(
        rounded,
        [(1, 100.0, 10.0), (10, 100.0, 34.0), (100, 100.0, 73.0), (1000, 106.0, 279.0)]
    );
}

#[test]
fn a_key_within_its_limit_is_never_refused_and_few_of_its_calls_ask() {
    let limit = Limit::of_calls(100).unwrap();
    let rounded = [(1, 20), (1, 90), (4, 80), (20, 60), (50, 50)].map(|(environments, calls)| {
        let (passed, asked) = steadily(limit, environments, calls);
        assert!(
            (passed - calls as f64).abs() < 0.2,
            "{environments} environments let {passed} of {calls} pass"
        );
        (environments, calls, asked.round())
    });
    assert_eq!(rounded, [(1, 20, 1.0), (1, 90, 4.0), (4, 80, 4.0), (20, 60, 8.0), (50, 50, 0.0)]);
}

/// A bucket that others have emptied.
#[test]
fn pauses_double_while_refusals_go_on_and_begin_anew_after_a_while() {
    let mut account = Account::default();
    let mut refused = |now: i64| {
        let later = Grant::Later(at(now + 1));
        let Admission::Refused(until) =
            account.settle(limit(100), Question { least: 1, most: 1 }, later, at(now))
        else {
            panic!("there are no tokens");
        };
        until.duration_since(at(now)).as_millis()
    };
    assert_eq!([refused(0), refused(100), refused(300), refused(700)], [100, 200, 400, 800]);
    assert_eq!(refused(3_600_000), 100);
}

proptest! {
    /// Several environments with one bucket, however they take turns: what they let pass is bounded
    /// as the docs say.
    #[test]
    fn nobody_gets_more_than_the_limit_and_the_shares_beyond_it(
        per_second in 1..=5000_u32,
        calls in prop::collection::vec((0..300_i64, 0..3_usize, 1..=100_u32), 1..200),
    ) {
        let limit = limit(per_second);
        let mut accounts = [Account::default(); 3];
        let (mut now, mut bucket, mut passed) = (at(0), Bucket::default(), 0_u32);
        for (pause, environment, count) in calls {
            now += Duration::from_millis(pause.unsigned_abs());
            if bucket.passes(&mut accounts[environment], limit, count, now) {
                passed += count;
            }
        }
        let seconds = now.duration_since(at(0)).as_secs_f64();
        let rate = f64::from(per_second) * (1.0 + 3.0 / f64::from(OWN_SHARE));
        let at_once = f64::from(per_second.max(100)) + 3.0 * f64::from(per_second) / 10.0;
        prop_assert!(
            f64::from(passed) <= rate * seconds + at_once + 1.0, "{passed} in {seconds} s"
        );
    }

    /// Whoever waits as long as a refusal says gets what was refused, if nobody else takes it.
    #[test]
    fn a_refused_call_passes_when_it_comes_again_in_time(
        per_second in 1..=5000_u32,
        counts in prop::collection::vec(1..=100_u32, 1..100),
    ) {
        let limit = limit(per_second);
        let (mut account, mut bucket, mut now) = (Account::default(), Bucket::default(), at(0));
        for count in counts {
            let mut refusals = 0;
            loop {
                let admission = match account.admit(limit, count, now) {
                    Admission::Ask(asked) => {
                        let grant = bucket.give(limit, asked, now);
                        account.settle(limit, asked, grant, now)
                    }
                    known => known,
                };
                let Admission::Refused(until) = admission else { break };
                refusals += 1;
                now = until;
            }
            prop_assert!(refusals <= 1, "{refusals} refusals of {count}");
        }
    }
}
