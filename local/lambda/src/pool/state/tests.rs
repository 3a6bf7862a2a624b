use super::*;

type Answer = oneshot::Receiver<Result<Bytes, InvokeError>>;

const TIMEOUT: Duration = Duration::from_secs(3);
const INIT: Duration = Duration::from_secs(10);

struct Fixture {
    state: State,
    now: Instant,
}

impl Fixture {
    fn new(max_concurrency: usize) -> Self {
        Self { state: State::new(max_concurrency, TIMEOUT, INIT), now: Instant::now() }
    }

    fn invoke(&mut self) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.state.enqueue(Pending {
            payload: Bytes::from_static(b"{}"),
            trace_id: String::new(),
            answer,
        });
        answered
    }

    fn dispatch(&mut self) -> Wanted {
        self.state.dispatch(self.now)
    }

    /// Asks for work in the name of the instance, and lets it have what there is.
    fn next(&mut self, instance: u64) -> oneshot::Receiver<Work> {
        let work = self.state.next(instance, self.now).unwrap();
        self.dispatch();
        work
    }

    fn respond(&mut self, instance: u64, request_id: &str) -> bool {
        self.state.respond(instance, request_id, Ok(Bytes::new()), self.now)
    }

    fn end(&mut self, instance: u64) {
        self.state.ended(
            instance,
            &Ended { how: "exit status: 1".to_owned(), usage: Usage::default() },
            self.now,
        );
    }

    fn warm(max_concurrency: usize) -> (Self, Vec<oneshot::Receiver<Work>>) {
        let mut fixture = Self::new(max_concurrency);
        let invocations: Vec<_> = (0..max_concurrency).map(|_| fixture.invoke()).collect();
        let started = fixture.dispatch().start;
        assert_eq!(started.len(), max_concurrency);
        let requests: Vec<_> =
            started.iter().map(|instance| fixture.next(*instance).try_recv().unwrap()).collect();
        let works = started.iter().zip(requests).map(|(instance, work)| {
            assert!(fixture.respond(*instance, &work.request_id));
            fixture.next(*instance)
        });
        let works = works.collect();
        drop(invocations);
        (fixture, works)
    }
}

fn start(instances: &[u64]) -> Wanted {
    Wanted { start: instances.to_vec(), look_again_at: None }
}

#[test]
fn no_more_processes_start_than_invocations_wait_or_the_concurrency_allows() {
    let mut fixture = Fixture::new(2);
    let _one = fixture.invoke();
    assert_eq!(fixture.dispatch(), start(&[1]));
    assert_eq!(fixture.dispatch(), start(&[]));
    let _others = [fixture.invoke(), fixture.invoke()];
    assert_eq!(fixture.dispatch(), start(&[2]));
    assert_eq!(fixture.state.totals.cold_starts, 2);
}

#[test]
fn the_process_used_last_is_used_next() {
    let (mut fixture, mut works) = Fixture::warm(3);
    let _invocation = fixture.invoke();
    assert_eq!(fixture.dispatch(), start(&[]));
    assert!(works[2].try_recv().is_ok());
    assert_eq!(fixture.state.busy(), [3]);
}

#[test]
fn a_process_between_two_invocations_is_waited_for() {
    let (mut fixture, mut works) = Fixture::warm(1);
    fixture.state.max_concurrency = 2;
    let mut first = fixture.invoke();
    fixture.dispatch();
    let work = works[0].try_recv().unwrap();
    assert!(fixture.respond(1, &work.request_id));
    assert_eq!(first.try_recv().unwrap(), Ok(Bytes::new()));
    let _second = fixture.invoke();
    assert_eq!(fixture.dispatch(), start(&[]));
    assert!(fixture.next(1).try_recv().is_ok());
}

#[test]
fn an_invocation_that_nobody_waits_for_any_more_is_not_begun() {
    let mut fixture = Fixture::new(1);
    drop(fixture.invoke());
    let _second = fixture.invoke();
    fixture.dispatch();
    assert!(fixture.next(1).try_recv().is_ok());
    assert_eq!((fixture.state.totals.invocations, fixture.state.queue.len()), (1, 0));
}

#[test]
fn an_idle_process_that_broke_off_its_request_loses_no_invocation() {
    let (mut fixture, works) = Fixture::warm(1);
    drop(works);
    let _invocation = fixture.invoke();
    assert_eq!(fixture.dispatch(), start(&[]));
    assert_eq!(fixture.state.queue.len(), 1);
    assert!(fixture.next(1).try_recv().is_ok());
}

#[test]
fn only_the_invocation_that_a_process_has_can_be_answered_and_only_once() {
    let (mut fixture, mut works) = Fixture::warm(2);
    let _invocation = fixture.invoke();
    fixture.dispatch();
    let request_id = works[1].try_recv().unwrap().request_id;
    assert!(!fixture.respond(2, "another"));
    assert!(!fixture.respond(1, &request_id));
    assert!(fixture.state.next(2, fixture.now).is_none());
    assert!(fixture.respond(2, &request_id));
    assert!(!fixture.respond(2, &request_id));
}

#[test]
fn the_deadline_counts_from_the_hand_over_to_the_next_request() {
    let (mut fixture, mut works) = Fixture::warm(1);
    assert_eq!(fixture.state.enforce_deadline(1, fixture.now), fixture.now + TIMEOUT);
    let mut invocation = fixture.invoke();
    fixture.dispatch();
    let begun = fixture.now;
    let request_id = works[0].try_recv().unwrap().request_id;
    fixture.now += TIMEOUT - Duration::from_millis(1);
    assert_eq!(fixture.state.enforce_deadline(1, fixture.now), begun + TIMEOUT);
    assert!(fixture.respond(1, &request_id));
    assert_eq!(invocation.try_recv().unwrap(), Ok(Bytes::new()));
    assert_eq!(fixture.state.enforce_deadline(1, fixture.now), begun + TIMEOUT);
    fixture.now = begun + TIMEOUT;
    fixture.state.enforce_deadline(1, fixture.now);
    assert!(fixture.state.next(1, fixture.now).is_none(), "it is being killed");
    assert_eq!(fixture.state.totals.timeouts, 0);
}

#[test]
fn an_invocation_at_its_deadline_has_timed_out() {
    let (mut fixture, _works) = Fixture::warm(1);
    let mut invocation = fixture.invoke();
    fixture.dispatch();
    fixture.now += TIMEOUT;
    fixture.state.enforce_deadline(1, fixture.now);
    assert_eq!(invocation.try_recv().unwrap(), Err(InvokeError::Timeout { after: TIMEOUT }));
    fixture.end(1);
    let totals = &fixture.state.totals;
    assert_eq!((totals.errors, totals.timeouts, totals.crashes, totals.billed_ms), (1, 1, 0, 3000));
}

#[test]
fn a_process_that_is_never_ready_fails_the_invocation() {
    let mut fixture = Fixture::new(1);
    let mut invocation = fixture.invoke();
    fixture.dispatch();
    assert_eq!(fixture.state.enforce_deadline(1, fixture.now), fixture.now + TIMEOUT);
    fixture.now += INIT;
    fixture.state.enforce_deadline(1, fixture.now);
    fixture.end(1);
    let message = "Init timed out after 10.00 seconds".to_owned();
    let error = InvokeError::InitFailed { error_type: "Sandbox.Timedout".to_owned(), message };
    assert_eq!(invocation.try_recv().unwrap(), Err(error));
}

#[test]
fn a_failed_init_fails_one_invocation_while_other_processes_may_take_the_rest() {
    let mut fixture = Fixture::new(2);
    let mut invocations: Vec<_> = (0..4).map(|_| fixture.invoke()).collect();
    assert_eq!(fixture.dispatch(), start(&[1, 2]));
    let mut answered = |fixture: &mut Fixture, instance| {
        fixture.end(instance);
        invocations.iter_mut().filter_map(|answer| answer.try_recv().ok()).count()
    };
    assert_eq!(answered(&mut fixture, 2), 1);
    assert_eq!(answered(&mut fixture, 1), 3);
    assert_eq!(fixture.state.totals.init_failures, 2);
}

#[test]
fn after_failed_inits_the_pause_doubles_until_one_succeeds() {
    let mut fixture = Fixture::new(2);
    let mut pauses = Vec::new();
    for instance in 1..=8 {
        let _invocation = fixture.invoke();
        assert_eq!(fixture.dispatch(), start(&[instance]));
        fixture.end(instance);
        let _invocation = fixture.invoke();
        let until = fixture.dispatch().look_again_at.unwrap();
        assert_eq!(fixture.dispatch(), start(&[]), "one look is enough");
        pauses.push((until - fixture.now).as_millis());
        fixture.now = until;
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    let _invocation = fixture.invoke();
    assert_eq!(fixture.dispatch(), start(&[9]));
    let _work = fixture.next(9);
    let _others = [fixture.invoke(), fixture.invoke()];
    assert_eq!(fixture.dispatch(), start(&[10]));
}

#[test]
fn a_crash_fails_the_invocation_and_another_process_takes_the_next() {
    let (mut fixture, _works) = Fixture::warm(1);
    let mut first = fixture.invoke();
    let _second = fixture.invoke();
    fixture.dispatch();
    fixture.end(1);
    assert_eq!(
        first.try_recv().unwrap(),
        Err(InvokeError::Crashed { status: "exit status: 1".to_owned() })
    );
    assert_eq!(fixture.dispatch(), start(&[2]));
    assert_eq!((fixture.state.totals.errors, fixture.state.totals.crashes), (1, 1));
}

#[test]
fn a_killed_idle_process_gets_nothing_more() {
    let (mut fixture, _works) = Fixture::warm(2);
    assert!(fixture.state.kill(2));
    let _invocation = fixture.invoke();
    fixture.dispatch();
    assert_eq!(fixture.state.busy(), [1]);
    fixture.end(2);
    assert!(!fixture.state.kill(2));
}

#[test]
fn the_end_answers_everybody_and_nothing_starts_after_it() {
    let (mut fixture, _works) = Fixture::warm(1);
    let mut invocations = [fixture.invoke(), fixture.invoke()];
    fixture.dispatch();
    fixture.state.end();
    for invocation in &mut invocations {
        assert_eq!(invocation.try_recv().unwrap(), Err(InvokeError::Stopped));
    }
    assert_eq!(fixture.invoke().try_recv().unwrap(), Err(InvokeError::Stopped));
    fixture.end(1);
    assert_eq!(fixture.dispatch(), start(&[]));
    assert!(fixture.state.is_empty());
    assert_eq!(fixture.state.totals.crashes, 0);
}
