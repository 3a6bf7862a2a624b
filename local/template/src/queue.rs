//! The SQS queues of the template are read here.
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sqs-queue.html>

use std::collections::BTreeMap;

use crate::{
    error::{Result, at},
    fields::Fields,
    model::Queue,
    scope::Scope,
};

/// These properties are the queue's attributes of the same name.
const ATTRIBUTES: [&str; 6] = [
    "DelaySeconds",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "SqsManagedSseEnabled",
    "VisibilityTimeout",
];

/// The links of one queue to others.
struct Links {
    path: String,
    /// The ARN of the dead-letter queue.
    target: Option<String>,
    /// The ARNs of the queues that may name this one as their dead-letter queue. Any may if there
    /// is no list.
    sources: Option<Vec<String>>,
}

/// Reads the queues of the template, and puts each after its dead-letter queue.
pub(crate) fn read_all(scope: &Scope) -> Result<Vec<Queue>> {
    let mut waiting = Vec::new();
    for (id, properties) in scope.of_type("AWS::SQS::Queue")? {
        waiting.push(read(scope, id, properties)?);
    }
    check_links(&waiting)?;
    let mut queues: Vec<Queue> = Vec::new();
    while let Some(next) = waiting.iter().position(|(_, links)| {
        links.target.as_ref().is_none_or(|target| queues.iter().any(|queue| queue.arn == *target))
    }) {
        queues.push(waiting.remove(next).0);
    }
    match waiting.first() {
        Some((_, links)) => Err(at(&links.path, "its dead-letter queues form a circle")),
        None => Ok(queues),
    }
}

fn read(scope: &Scope, id: &str, mut properties: Fields) -> Result<(Queue, Links)> {
    let mut attributes = BTreeMap::new();
    for name in ATTRIBUTES {
        if let Some(value) = properties.text(name)? {
            attributes.insert(name.to_owned(), value);
        }
    }
    let path = properties.path_of("RedrivePolicy");
    let mut target = None;
    if let Some(policy) = properties.take("RedrivePolicy") {
        attributes.insert("RedrivePolicy".to_owned(), policy.to_string());
        let mut policy = Fields::of(policy, &path)?;
        target = Some(policy.required_text("deadLetterTargetArn")?);
        let count = policy.number("maxReceiveCount", 1..=1000)?;
        count.ok_or_else(|| at(policy.path_of("maxReceiveCount"), "is missing"))?;
        policy.finish()?;
    }
    let allow_path = properties.path_of("RedriveAllowPolicy");
    let mut sources = None;
    if let Some(policy) = properties.take("RedriveAllowPolicy") {
        attributes.insert("RedriveAllowPolicy".to_owned(), policy.to_string());
        let mut policy = Fields::of(policy, &allow_path)?;
        let named = policy.texts("sourceQueueArns")?;
        sources = match policy.required_text("redrivePermission")?.as_str() {
            "allowAll" => None,
            "denyAll" => Some(Vec::new()),
            "byQueue" => Some(named),
            other => {
                return Err(at(
                    policy.path_of("redrivePermission"),
                    format!("{other} is none of allowAll, denyAll, byQueue"),
                ));
            }
        };
        policy.finish()?;
    }
    // The name is read with the names of all resources; a tag changes nothing.
    properties.ignore(&["QueueName", "Tags"]);
    properties.finish()?;
    let name = scope.name(id)?;
    let url = scope.queue_url(&name);
    let queue = Queue { logical_id: id.to_owned(), arn: scope.arn(id)?, name, url, attributes };
    Ok((queue, Links { path, target, sources }))
}

/// Refuses a dead-letter queue that doesn't exist or doesn't allow it, as SQS does.
fn check_links(queues: &[(Queue, Links)]) -> Result<()> {
    for (queue, links) in queues {
        let Some(target) = &links.target else { continue };
        let Some((_, target_links)) = queues.iter().find(|(other, _)| other.arn == *target) else {
            return Err(at(&links.path, format!("the template has no queue {target}")));
        };
        if target_links.sources.as_ref().is_some_and(|sources| !sources.contains(&queue.arn)) {
            return Err(at(
                &links.path,
                format!("the RedriveAllowPolicy of {target} does not allow it"),
            ));
        }
    }
    Ok(())
}
