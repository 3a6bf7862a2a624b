//! A line of the log: one JSON object, which has the fields of the event and of all spans around it
//! side by side.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// The form in which lines are written. Fields have to be written as JSON objects.
pub(super) struct Line {
    /// The name of the stage, as JSON.
    stage: String,
}

impl Line {
    pub(super) fn of_stage(stage: &str) -> Self {
        Self { stage: serde_json::Value::from(stage).to_string() }
    }
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writer.write_str(r#"{"timestamp":""#)?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, r#"","level":"{}""#, event.metadata().level())?;
        let mut fields = String::new();
        context.format_fields(Writer::new(&mut fields), event)?;
        write_members(&mut writer, &fields)?;
        write!(writer, r#","target":"{}","stage":{}"#, event.metadata().target(), self.stage)?;
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                write_members(&mut writer, fields)?;
            }
        }
        writer.write_str("}\n")
    }
}

/// Writes the members of a JSON object after others.
fn write_members(writer: &mut Writer<'_>, object: &str) -> fmt::Result {
    let members =
        object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
    if members.is_empty() { Ok(()) } else { write!(writer, ",{members}") }
}
