//! One line in CloudWatch's embedded metric format:
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{Labels, Metric, NAMESPACE, Teller, Value};

/// The part that CloudWatch reads first.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    timestamp: i64,
    cloud_watch_metrics: Vec<Directive>,
}

/// Metrics that have the same sets of dimensions.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: &'static [&'static [&'static str]],
    metrics: Vec<Definition>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    name: &'static str,
    unit: &'static str,
}

/// The line: dimensions, properties and values stand beside the metadata.
struct Line<'a> {
    metadata: Metadata,
    texts: Vec<(&'static str, &'a str)>,
    values: &'a BTreeMap<Metric, Value>,
}

pub(super) fn write(
    teller: Teller<'_>,
    labels: Labels,
    values: &BTreeMap<Metric, Value>,
    workspace: Option<&str>,
    now: Timestamp,
) -> String {
    let mut by_dimensions: BTreeMap<&[&[&str]], Vec<Definition>> = BTreeMap::new();
    for metric in values.keys() {
        let definition = Definition { name: metric.name(), unit: metric.unit() };
        by_dimensions.entry(metric.dimensions()).or_default().push(definition);
    }
    let mut cloud_watch_metrics = Vec::with_capacity(by_dimensions.len());
    for (dimensions, metrics) in by_dimensions {
        cloud_watch_metrics.push(Directive { namespace: NAMESPACE, dimensions, metrics });
    }
    let labelled = [
        ("Stage", Some(teller.stage)),
        ("Function", Some(teller.function)),
        ("Profile", labels.profile),
        ("Code", labels.code),
        ("Reason", labels.reason),
        ("workspace", workspace),
        ("requestId", Some(teller.request_id)),
    ];
    let texts = labelled.into_iter().filter_map(|(name, text)| Some((name, text?))).collect();
    let metadata = Metadata { timestamp: now.as_millisecond(), cloud_watch_metrics };
    serde_json::to_string(&Line { metadata, texts, values }).unwrap_or_default()
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("_aws", &self.metadata)?;
        for (name, text) in &self.texts {
            map.serialize_entry(name, text)?;
        }
        for (metric, value) in self.values {
            map.serialize_entry(metric.name(), value)?;
        }
        map.end()
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Spread(counts) => {
                if let (Some((value, 1)), 1) = (counts.first_key_value(), counts.len()) {
                    return serializer.serialize_u64(*value);
                }
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("Values", &counts.keys().collect::<Vec<_>>())?;
                map.serialize_entry("Counts", &counts.values().collect::<Vec<_>>())?;
                map.end()
            }
        }
    }
}
