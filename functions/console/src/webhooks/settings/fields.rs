//! The fields of the form, in its order.

use posthaste_domain::{delivery::format::Format, webhook::profile::Profile};

/// A field of the form, which stands for a setting of the API.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    /// The name that the API uses, which is the name of the control too.
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) hint: &'static str,
    pub(super) kind: Kind,
}

/// The way in which a setting is written in the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Url,
    Text,
    /// One value in each line.
    Lines,
    /// A whole number.
    Number,
    /// Whole numbers with commas between them; `none` stands for none of them.
    Numbers,
    /// `2xx`, or numbers with commas between them.
    Statuses,
    /// A number of requests and a period, as `10 per second`.
    Rate,
    YesNo,
    Choice(&'static [(&'static str, &'static str)]),
    Profile,
    Format,
    /// `Name: value` in each line. The API never answers the values.
    Headers,
    Json,
}

/// A part of the form with a title. The first part is always open.
pub(super) struct Group {
    pub(super) title: &'static str,
    pub(super) fields: &'static [Field],
}

const TIMINGS: &[(&str, &str)] =
    &[("immediate", "At once"), ("process_end", "At the end of its process")];
const SIGNATURES: &[(&str, &str)] =
    &[("new", "With the new secret"), ("old", "With the old secret")];

const fn field(name: &'static str, label: &'static str, kind: Kind, hint: &'static str) -> Field {
    Field { name, label, hint, kind }
}

pub(super) const GROUPS: &[Group] = &[
    Group {
        title: "Where and what",
        fields: &[
            field("url", "URL", Kind::Url, "Requests go there. It begins with https://."),
            field("description", "Description", Kind::Text, "A name by which people know it."),
            field(
                "events",
                "Event types",
                Kind::Lines,
                "One in each line. order.* stands for all that begin so, * for all.",
            ),
            field("profile", "Profile", Kind::Profile, "It gives every setting below a default."),
            field(
                "timing",
                "When",
                Kind::Choice(TIMINGS),
                "For events that the matrix leaves out.",
            ),
        ],
    },
    Group {
        title: "Requests",
        fields: &[
            field("format", "Format", Kind::Format, "How an event is written into the body."),
            field("rateLimit", "Rate limit", Kind::Rate, "As 10 per second, or 100 per minute."),
            field("timeoutSeconds", "Timeout in seconds", Kind::Number, "1 to 30."),
            field("maxEventsPerRequest", "Most events in a request", Kind::Number, "1 to 100."),
            field("maxRequestBytes", "Most bytes of a request", Kind::Number, "From 1024 on."),
            field(
                "headers",
                "Headers of your own",
                Kind::Headers,
                "One in each line, as X-Tenant: acme. New lines replace all that there are. Values \
                 are never shown again. Write none to remove them.",
            ),
            field(
                "slackTemplates",
                "Slack templates",
                Kind::Json,
                "JSON by event type, where the format is slack.",
            ),
        ],
    },
    Group {
        title: "Failures",
        fields: &[
            field("successStatuses", "Statuses of a success", Kind::Statuses, "2xx, or 200, 202."),
            field(
                "retrySchedule",
                "Waits before retries, in seconds",
                Kind::Numbers,
                "As 5, 300, 1800. Write none for no retry.",
            ),
            field(
                "maxRetryAfterSeconds",
                "Longest Retry-After in seconds",
                Kind::Number,
                "With 0 the header does not count.",
            ),
            field("disableOn410", "Disabled by an answer 410", Kind::YesNo, ""),
            field(
                "disableAfterDays",
                "Disabled after days of failures",
                Kind::Number,
                "0 stands for never.",
            ),
            field(
                "deadLetters",
                "Dead letters",
                Kind::YesNo,
                "Whether what has failed for good becomes one.",
            ),
            field(
                "rotationSignature",
                "Signature while a secret is changed",
                Kind::Choice(SIGNATURES),
                "Of X-Webhook-Signature, which has room for one.",
            ),
        ],
    },
];

/// Every field of the form.
pub(super) fn all() -> impl Iterator<Item = &'static Field> {
    GROUPS.iter().flat_map(|group| group.fields)
}

impl Kind {
    /// The lines that a text of several lines is shown with; none where one line does.
    pub(super) fn rows(self) -> Option<u8> {
        match self {
            Self::Text => Some(2),
            Self::Lines | Self::Headers | Self::Json => Some(4),
            _ => None,
        }
    }

    /// The values that can be chosen, with their texts; none where anything can be written.
    pub(super) fn choices(self) -> Option<Vec<(&'static str, &'static str)>> {
        match self {
            Self::YesNo => Some(vec![("true", "Yes"), ("false", "No")]),
            Self::Choice(choices) => Some(choices.to_vec()),
            Self::Profile => Some(Profile::NAMES.map(|(name, _)| (name, name)).to_vec()),
            Self::Format => Some(Format::NAMES.map(|(name, _)| (name, name)).to_vec()),
            _ => None,
        }
    }
}
