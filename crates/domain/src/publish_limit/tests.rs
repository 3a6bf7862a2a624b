use proptest::prelude::*;

use super::*;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

fn limit(per_second: u32) -> PublishLimit {
    PublishLimit::new(per_second).unwrap()
}

#[test]
fn zero_is_no_limit() {
    assert_eq!(PublishLimit::new(0), None);
    assert_eq!(limit(u32::MAX).per_second(), MAX_PER_SECOND);
}

#[test]
fn the_bucket_gives_what_fits_into_a_second_and_at_least_one_call() {
    let now = at(100_000);
    let grant =
        |per_second, next_free: Option<i64>, least, most| limit(per_second).grant(next_free.map(at), least, most, now);
    let tokens = |ms, count| Grant::Tokens { first: at(ms), count };
    assert_eq!(grant(1000, None, 1, 5000), tokens(100_000, 1000));
    assert_eq!(grant(1000, Some(0), 1, 100), tokens(100_000, 100), "what nobody took is lost");
    assert_eq!(grant(1000, Some(100_700), 100, 400), tokens(100_700, 300));
    assert_eq!(grant(1000, Some(100_950), 100, 400), Grant::Later(at(100_050)));
    assert_eq!(grant(1, None, 100, 100), tokens(100_000, 100), "the events of the largest call");
    assert_eq!(grant(1, Some(200_000), 1, 1), Grant::Later(at(101_000)));
}

#[test]
fn a_workspace_that_publishes_little_never_asks() {
    let mut account = Account::default();
    assert_eq!(account.admit(limit(1000), 100, at(0)), Admission::Admitted);
    assert_eq!(account.admit(limit(1000), 1, at(0)), Admission::Ask { least: 1, most: 100 });
    for second in 1..100 {
        assert_eq!(account.admit(limit(1000), 10, at(second * 1000)), Admission::Admitted, "{second}");
    }
}

#[test]
fn a_lease_lasts_for_a_second() {
    let mut account = Account::default();
    assert_eq!(account.admit(limit(1000), 100, at(0)), Admission::Admitted);
    let granted = Grant::Tokens { first: at(0), count: 100 };
    assert_eq!(account.settle(limit(1000), 20, granted, at(0)), Admission::Admitted);
    assert_eq!(account.admit(limit(1000), 50, at(10)), Admission::Admitted);
    assert_eq!(account.admit(limit(1000), 31, at(10)), Admission::Ask { least: 31, most: 100 });
    assert_eq!(account.admit(limit(1000), 30, at(1000)), Admission::Ask { least: 30, most: 100 });
}

#[test]
fn what_was_refused_is_refused_again_without_a_question() {
    let mut account = Account::default();
    let limit = limit(10);
    assert_eq!(account.admit(limit, 50, at(0)), Admission::Ask { least: 50, most: 50 });
    assert_eq!(account.settle(limit, 50, Grant::Later(at(3000)), at(0)), Admission::Refused(at(3000)));
    assert_eq!(account.admit(limit, 50, at(2999)), Admission::Refused(at(3000)));
    assert_eq!(account.admit(limit, 30, at(999)), Admission::Refused(at(1000)));
    assert_eq!(account.admit(limit, 20, at(0)), Admission::Ask { least: 20, most: 20 });
    assert_eq!(account.admit(limit, 50, at(3000)), Admission::Ask { least: 50, most: 50 });
}

#[test]
fn an_account_is_forgotten_when_it_says_nothing_any_more() {
    let mut account = Account::default();
    assert!(account.is_idle(at(0)));
    account.admit(limit(1000), 10, at(0));
    assert!(!account.is_idle(at(999)) && account.is_idle(at(1000)));
}

proptest! {
    /// Several environments with one bucket, however they take turns: what they let pass is bounded as the docs say, and a
    /// call is refused only where the bucket has too little for it.
    #[test]
    fn a_workspace_gets_its_limit_and_no_more_than_the_shares_beyond_it(
        per_second in 1..=5000_u32,
        calls in prop::collection::vec((0..300_i64, 0..3_usize, 1..=100_u32), 1..200),
    ) {
        let limit = limit(per_second);
        let mut accounts = [Account::default(); 3];
        let (mut now, mut next_free, mut passed) = (at(0), None, 0_u32);
        for (pause, environment, count) in calls {
            now += Duration::from_millis(pause.unsigned_abs());
            let account = &mut accounts[environment];
            let admission = match account.admit(limit, count, now) {
                Admission::Ask { least, most } => {
                    let grant = limit.grant(next_free, least, most, now);
                    if let Grant::Tokens { first, count } = grant {
                        next_free = Some(first + limit.interval() * count);
                    }
                    account.settle(limit, count, grant, now)
                }
                known => known,
            };
            match admission {
                Admission::Admitted => passed += count,
                Admission::Refused(until) => {
                    prop_assert!(until > now);
                    let full = matches!(limit.grant(next_free, count, count, now), Grant::Later(_));
                    prop_assert!(full, "the bucket would have given {count}");
                }
                Admission::Ask { .. } => prop_assert!(false, "it was asked"),
            }
        }
        let seconds = now.duration_since(at(0)).as_secs_f64();
        let rate = f64::from(per_second) * (1.0 + 3.0 / f64::from(OWN_SHARE));
        let at_once = f64::from(per_second.max(100)) + 3.0 * f64::from(per_second) / 10.0;
        prop_assert!(f64::from(passed) <= rate * seconds + at_once + 1.0, "{passed} in {seconds} s");
    }
}
