//! IAM roles say what a function may do.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    error::{Result, at},
    fields::Fields,
    model::Function,
    scope::Scope,
};

/// A statement permits or forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Effect {
    /// The statement permits the actions.
    Allow,
    /// The statement forbids the actions, even if another one permits them.
    Deny,
}

/// A statement of a policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Statement {
    /// The effect on calls that match the statement.
    pub effect: Effect,
    /// Patterns of actions, such as `sqs:*`.
    pub actions: Vec<String>,
    /// Patterns of the resources' ARNs.
    pub resources: Vec<String>,
    /// Patterns of partition keys, from the condition `ForAllValues:StringLike` on
    /// `dynamodb:LeadingKeys`. There are none without this condition.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub leading_keys: Vec<String>,
}

/// These calls name the partition keys of their items, so a condition on the keys is understood for
/// them.
const CALLS_BY_KEY: [&str; 8] = [
    "dynamodb:BatchGetItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
];

impl Statement {
    fn matches(&self, action: &str, resource: &str, keys: &[&str]) -> bool {
        let action = action.to_ascii_lowercase();
        // Actions are the same in upper and lower case, ARNs are not.
        self.actions.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), &action))
            && self.resources.iter().any(|pattern| matches(pattern, resource))
            && (self.leading_keys.is_empty()
                || keys
                    .iter()
                    .all(|key| self.leading_keys.iter().any(|pattern| matches(pattern, key))))
    }
}

impl Function {
    /// Tells if the function's role permits `action`, for example `sqs:SendMessage`, on the
    /// resource with this ARN, and on a table's items with these partition keys.
    ///
    /// IAM has no actions for SQS's batch calls and DynamoDB's transactions: those need the actions
    /// of their parts.
    pub fn allows(&self, action: &str, resource_arn: &str, leading_keys: &[&str]) -> bool {
        allows(&self.statements, action, resource_arn, leading_keys)
    }
}

/// Tells if a call is permitted: a statement has to permit it, and none may forbid it.
pub(crate) fn allows(
    statements: &[Statement],
    action: &str,
    resource: &str,
    keys: &[&str],
) -> bool {
    let mut is_permitted = false;
    for statement in statements.iter().filter(|statement| statement.matches(action, resource, keys))
    {
        match statement.effect {
            Effect::Deny => return false,
            Effect::Allow => is_permitted = true,
        }
    }
    is_permitted
}

/// Tells if `text` matches `pattern`, in which `*` is any text and `?` is any character.
fn matches(pattern: &str, text: &str) -> bool {
    let mut pattern_rest = pattern.chars();
    match (pattern_rest.next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            let rest = pattern_rest.as_str();
            (0..=text.len())
                .filter(|i| text.is_char_boundary(*i))
                .any(|i| matches(rest, &text[i..]))
        }
        (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
            matches(pattern_rest.as_str(), &text[found.len_utf8()..])
        }
        _ => false,
    }
}

/// Reads the statements of every role of the template, by the role's ARN.
pub(crate) fn read_all(scope: &Scope) -> Result<BTreeMap<String, Vec<Statement>>> {
    let roles = scope.of_type("AWS::IAM::Role")?;
    roles.into_iter().map(|(id, role)| Ok((scope.arn(id)?, read(role)?))).collect()
}

/// Reads the statements of one role. Lambda has to be able to assume it.
fn read(mut role: Fields) -> Result<Vec<Statement>> {
    let trust_path = role.path_of("AssumeRolePolicyDocument");
    if !trusts_lambda(role.object("AssumeRolePolicyDocument")?)? {
        return Err(at(trust_path, "lambda.amazonaws.com can't assume the role"));
    }
    let mut statements = Vec::new();
    for (path, policy) in role.list("Policies")? {
        let mut policy = Fields::of(policy, path)?;
        let document = policy.object("PolicyDocument")?;
        policy.required_text("PolicyName")?;
        policy.finish()?;
        statements.extend(read_document(document)?);
    }
    // Nothing refers to a role by these, and nobody reads them here.
    role.ignore(&["Description", "Path", "RoleName", "Tags"]);
    role.finish()?;
    Ok(statements)
}

fn read_document(mut document: Fields) -> Result<Vec<Statement>> {
    document.at_most("Version", "2012-10-17")?;
    let statements = document.list("Statement")?;
    document.finish()?;
    statements
        .into_iter()
        .map(|(path, statement)| read_statement(Fields::of(statement, path)?))
        .collect()
}

fn read_statement(mut statement: Fields) -> Result<Statement> {
    let effect_path = statement.path_of("Effect");
    let effect = match statement.required_text("Effect")?.as_str() {
        "Allow" => Effect::Allow,
        "Deny" => Effect::Deny,
        other => return Err(at(effect_path, format!("{other} is neither Allow nor Deny"))),
    };
    let actions = statement.some_texts("Action")?;
    let resources = statement.some_texts("Resource")?;
    let leading_keys = match statement.take("Condition") {
        Some(condition) => {
            read_condition(Fields::of(condition, statement.path_of("Condition"))?, &actions)?
        }
        None => Vec::new(),
    };
    // A statement's name.
    statement.ignore(&["Sid"]);
    statement.finish()?;
    Ok(Statement { effect, actions, resources, leading_keys })
}

/// Reads the one condition that is understood, which bounds the partition keys of the items.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html>
fn read_condition(mut condition: Fields, actions: &[String]) -> Result<Vec<String>> {
    let mut operator = condition.object("ForAllValues:StringLike")?;
    condition.finish()?;
    let keys = operator.some_texts("dynamodb:LeadingKeys")?;
    if let Some(other) = actions.iter().find(|action| !CALLS_BY_KEY.contains(&action.as_str())) {
        let path = operator.path_of("dynamodb:LeadingKeys");
        return Err(at(
            path,
            format!(
                "the local system supports it only for {}, not {other}",
                CALLS_BY_KEY.join(", ")
            ),
        ));
    }
    operator.finish()?;
    Ok(keys)
}

fn trusts_lambda(mut document: Fields) -> Result<bool> {
    document.at_most("Version", "2012-10-17")?;
    let mut trusts = false;
    for (path, statement) in document.list("Statement")? {
        let mut statement = Fields::of(statement, path)?;
        statement.exactly("Effect", "Allow")?;
        let mut principal = statement.object("Principal")?;
        let services = principal.texts("Service")?;
        principal.finish()?;
        let actions = statement.texts("Action")?;
        statement.finish()?;
        trusts |= services.iter().any(|service| service == "lambda.amazonaws.com")
            && actions.iter().any(|action| action == "sts:AssumeRole");
    }
    document.finish()?;
    Ok(trusts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_iam() {
        let cases = [
            ("a", "a", true),
            ("a", "ab", false),
            ("", "", true),
            ("*", "", true),
            ("*", "anything: at/all", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "abcd", false),
            ("a*b*c", "axxbyyc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("ä?*", "äöü", true),
            (
                "arn:aws:dynamodb:*:*:table/x/index/*",
                "arn:aws:dynamodb:us-east-1:1:table/x/index/due",
                true,
            ),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    fn statement(effect: Effect, action: &str, resource: &str) -> Statement {
        Statement {
            effect,
            actions: vec![action.to_owned()],
            resources: vec![resource.to_owned()],
            leading_keys: Vec::new(),
        }
    }

    #[test]
    fn a_denial_wins_and_what_nobody_permits_is_forbidden() {
        let statements = [
            statement(Effect::Allow, "sqs:*", "arn:q*"),
            statement(Effect::Deny, "sqs:Delete*", "arn:q1"),
        ];
        assert!(allows(&statements, "sqs:SendMessage", "arn:q1", &[]));
        assert!(allows(&statements, "SQS:sendmessage", "arn:q1", &[]));
        assert!(allows(&statements, "sqs:DeleteMessage", "arn:q2", &[]));
        assert!(!allows(&statements, "sqs:DeleteMessage", "arn:q1", &[]));
        assert!(!allows(&statements, "sqs:SendMessage", "arn:Q1", &[]));
        assert!(!allows(&statements, "dynamodb:GetItem", "arn:q1", &[]));
        assert!(!allows(&[], "sqs:SendMessage", "arn:q1", &[]));
    }

    #[test]
    fn a_condition_on_leading_keys_holds_for_all_keys_of_a_call() {
        let statement = Statement {
            effect: Effect::Allow,
            actions: vec!["dynamodb:PutItem".to_owned()],
            resources: vec!["arn:t".to_owned()],
            leading_keys: vec!["own#*".to_owned(), "shared".to_owned()],
        };
        let allowed = |keys: &[&str]| {
            allows(std::slice::from_ref(&statement), "dynamodb:PutItem", "arn:t", keys)
        };
        assert!(allowed(&["own#1"]) && allowed(&["shared"]) && allowed(&["own#1", "own#2"]));
        assert!(!allowed(&["other"]) && !allowed(&["own#1", "other"]) && !allowed(&[""]));
    }
}
