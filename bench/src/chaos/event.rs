//! Every event of the chaos is marked, so that whatever arrives tells which event it is, and
//! whether its data came byte for byte.

use std::fmt::Write as _;

use uuid::Uuid;

/// Plain events have one of this many types.
pub(super) const PLAIN_TYPES: u8 = 7;

/// The beginning of every mark. A mark is `ph.<workspace>.<number>.`.
const MARK: &[u8] = b"ph.";

/// An event is known by its workspace's place and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) workspace: usize,
    pub(super) number: usize,
}

/// An event is of one of these kinds, which decide who wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An event with the type of this number, which belongs to no process.
    Plain(u8),
    /// A step of the process run that begins with this number.
    Step { run: usize },
    /// The end of that run.
    End { run: usize },
}

/// An event that was published, or is being published.
#[derive(Debug, Clone, Copy)]
pub(super) struct Published {
    pub(super) mark: Mark,
    pub(super) kind: Kind,
    /// The event's id, once it is accepted.
    pub(super) id: Option<Uuid>,
}

impl Published {
    pub(super) fn event_type(&self) -> String {
        match self.kind {
            Kind::Plain(number) => plain_type(number),
            Kind::Step { .. } => STEP.to_owned(),
            Kind::End { .. } => END.to_owned(),
        }
    }

    /// Writes the event's data. A number with a zero at its end and an escape are in it: whoever
    /// writes the JSON anew changes them.
    pub(super) fn data(&self) -> String {
        let Mark { workspace, number } = self.mark;
        let mut data =
            format!(r#"{{"mark":"ph.{workspace}.{number}.","price":1.50,"note":"Zo\u00eb""#);
        if let Kind::Step { run } | Kind::End { run } = self.kind {
            let _ = write!(
                data,
                r#","processType":"onboarding","processName":"Chaos","processId":"p-1","contextId":"run-{workspace}-{run}""#
            );
        }
        data.push('}');
        data
    }
}

/// The type of the steps of runs.
pub(super) const STEP: &str = "chaos.step";
/// The type that ends a run.
pub(super) const END: &str = "process_run_end";

/// Names a type of plain events.
pub(super) fn plain_type(number: u8) -> String {
    format!("chaos.plain{number}")
}

/// Finds the marks of all events in a body, each once, in their order.
pub(super) fn marks(body: &[u8]) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut rest = body;
    while let Some(at) = rest.windows(MARK.len()).position(|window| window == MARK) {
        rest = &rest[at + MARK.len()..];
        let mark = number(rest).and_then(|(workspace, rest)| {
            let (number, _) = number(rest)?;
            Some(Mark { workspace, number })
        });
        marks.extend(mark.filter(|mark| !marks.contains(mark)));
    }
    marks
}

/// Reads digits and the point after them, and returns what follows.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(&bytes[..digits]).ok()?.parse().ok()?;
    (bytes.get(digits) == Some(&b'.')).then(|| (number, &bytes[digits + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_tells_the_marks_of_its_events() {
        let event =
            |number, kind| Published { mark: Mark { workspace: 2, number }, kind, id: None };
        let body = format!(
            r#"{{"results":[{{"data":{}}},{{"data":{}}}],"text":"ph.2.17."}}"#,
            event(17, Kind::Plain(1)).data(),
            event(4, Kind::End { run: 3 }).data()
        );
        let expected = [Mark { workspace: 2, number: 17 }, Mark { workspace: 2, number: 4 }];
        assert_eq!(marks(body.as_bytes()), expected);
        for none in ["", "ph.", "ph.1", "ph.1.2", "ph.x.2.", "graph.1.x."] {
            assert_eq!(marks(none.as_bytes()), [], "{none}");
        }
    }

    #[test]
    fn data_is_json_that_names_the_run() {
        let mark = Mark { workspace: 0, number: 9 };
        let data = Published { mark, kind: Kind::Step { run: 5 }, id: None }.data();
        let read: serde_json::Value = serde_json::from_str(&data).unwrap();
        assert_eq!((&read["contextId"], &read["mark"]), (&"run-0-5".into(), &"ph.0.9.".into()));
    }
}
