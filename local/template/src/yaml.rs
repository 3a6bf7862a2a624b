//! The text of a template becomes JSON. CloudFormation's short tags get their long form: `!Ref X`
//! is `{"Ref": "X"}`.

use serde_json::{Map, Value, json};
use serde_yaml_ng::Value as Yaml;

use crate::error::{Result, at, join};

/// Reads `text`. A key that comes twice is an error.
pub(crate) fn parse(text: &str) -> Result<Value> {
    to_json(serde_yaml_ng::from_str(text)?, "")
}

fn to_json(yaml: Yaml, path: &str) -> Result<Value> {
    Ok(match yaml {
        Yaml::Null => return Err(at(path, "is empty; CloudFormation takes no null")),
        Yaml::Bool(flag) => flag.into(),
        Yaml::String(text) => text.into(),
        Yaml::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), ..) => number.into(),
            (_, Some(number), _) => number.into(),
            (.., number) => number.into(),
        },
        Yaml::Sequence(items) => {
            let items =
                items.into_iter().enumerate().map(|(i, item)| to_json(item, &join(path, i)));
            items.collect::<Result<_>>()?
        }
        Yaml::Mapping(entries) => {
            let entries = entries.into_iter().map(|(key, value)| {
                let key = key_text(key, path)?;
                let value = to_json(value, &join(path, &key))?;
                Ok((key, value))
            });
            Value::Object(entries.collect::<Result<Map<_, _>>>()?)
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let name = long_form(tag.trim_start_matches('!'));
            let argument = to_json(tagged.value, &join(path, &name))?;
            json!({ name: argument })
        }
    })
}

fn key_text(key: Yaml, path: &str) -> Result<String> {
    match key {
        Yaml::String(text) => Ok(text),
        Yaml::Number(number) => Ok(number.to_string()),
        Yaml::Bool(flag) => Ok(flag.to_string()),
        _ => Err(at(path, "a key has to be a text")),
    }
}

/// Returns the long name of a short tag. Only `Ref` and `Condition` have no `Fn::`.
fn long_form(tag: &str) -> String {
    if matches!(tag, "Ref" | "Condition") { tag.to_owned() } else { format!("Fn::{tag}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_tags_become_their_long_form() {
        let text = "a: !Ref X\nb: !GetAtt X.Arn\nc: !If [C, [!Ref X], !Sub '${X}-y']\nd: !Not \
            [!Condition C]\n";
        let expected = json!({
            "a": {"Ref": "X"},
            "b": {"Fn::GetAtt": "X.Arn"},
            "c": {"Fn::If": ["C", [{"Ref": "X"}], {"Fn::Sub": "${X}-y"}]},
            "d": {"Fn::Not": [{"Condition": "C"}]},
        });
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn scalars_keep_their_type() {
        let expected =
            json!({"n": 5, "m": -5, "x": 1.5, "t": "5", "d": "2012-10-17", "b": true, "200": 1});
        assert_eq!(
            parse("{n: 5, m: -5, x: 1.5, t: '5', d: 2012-10-17, b: true, 200: 1}").unwrap(),
            expected
        );
    }

    #[test]
    fn what_is_no_yaml_and_a_key_that_comes_twice_are_errors() {
        assert!(parse("a: [").unwrap_err().to_string().starts_with("the template is not YAML: "));
        assert!(
            parse("a: 1\na: 2").unwrap_err().to_string().contains("duplicate entry with key \"a\"")
        );
        assert_eq!(parse("a: {[b]: 1}").unwrap_err().to_string(), "a: a key has to be a text");
        assert_eq!(
            parse("a: {b: }").unwrap_err().to_string(),
            "a.b: is empty; CloudFormation takes no null"
        );
    }
}
