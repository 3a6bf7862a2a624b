//! CloudFormation's functions are resolved to plain values.
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html>

use serde_json::{Map, Value};

use crate::{
    error::{Result, at, join, not_supported},
    fields::scalar,
    globals::is_intrinsic,
    scope::Scope,
};

impl Scope<'_> {
    /// Replaces every function in `value` by its result. `AWS::NoValue` has none.
    pub(crate) fn resolve(&self, value: &Value, path: &str) -> Result<Option<Value>> {
        match value {
            Value::Object(object) if is_intrinsic(object) => self.call(object, path),
            Value::Object(object) => {
                let entries = object.iter().filter_map(|(key, value)| {
                    let resolved = self.resolve(value, &join(path, key)).transpose()?;
                    Some(resolved.map(|value| (key.clone(), value)))
                });
                Ok(Some(Value::Object(entries.collect::<Result<Map<_, _>>>()?)))
            }
            Value::Array(items) => Ok(Some(Value::Array(self.resolve_items(items, path)?))),
            Value::String(text) if text.contains("{{resolve:") => Err(at(
                path,
                format!("{text}: dynamic references are not supported by the local system"),
            )),
            scalar => Ok(Some(scalar.clone())),
        }
    }

    fn resolve_items(&self, items: &[Value], path: &str) -> Result<Vec<Value>> {
        let items = items
            .iter()
            .enumerate()
            .filter_map(|(i, item)| self.resolve(item, &join(path, i)).transpose());
        items.collect()
    }

    fn call(&self, object: &Map<String, Value>, path: &str) -> Result<Option<Value>> {
        let Some((function, argument)) = object.iter().next() else { return Ok(None) };
        let path = &join(path, function);
        match function.as_str() {
            "Ref" => self.reference(string(argument, path)?, path),
            "Fn::GetAtt" => {
                let (id, attribute) = self.get_att(argument, path)?;
                Ok(Some(self.attribute(&id, &attribute, path)?.into()))
            }
            "Fn::Sub" => Ok(Some(self.sub(argument, path)?.into())),
            "Fn::If" => {
                let [condition, then, otherwise] = elements(argument, path)?;
                let holds = self.condition(string(condition, path)?, path)?;
                self.resolve(if holds { then } else { otherwise }, path)
            }
            "Fn::Join" => {
                let [separator, parts] = elements(argument, path)?;
                let parts: Vec<_> = self
                    .list(parts, path)?
                    .iter()
                    .map(|part| required_scalar(part, path))
                    .collect::<Result<_>>()?;
                Ok(Some(parts.join(string(separator, path)?).into()))
            }
            "Fn::Split" => {
                let [separator, whole] = elements(argument, path)?;
                let whole = self.text(whole, path)?;
                let parts = whole.split(string(separator, path)?).map(Value::from);
                Ok(Some(Value::Array(parts.collect())))
            }
            "Fn::Select" => {
                let [index, list] = elements(argument, path)?;
                let index = self.text(index, path)?;
                let list = self.list(list, path)?;
                let chosen = index.parse::<usize>().ok().and_then(|index| list.get(index));
                chosen
                    .cloned()
                    .map(Some)
                    .ok_or_else(|| at(path, format!("there is no item {index} of {}", list.len())))
            }
            "Fn::Equals" | "Fn::Not" | "Fn::And" | "Fn::Or" => {
                Err(at(path, "stands only in Conditions"))
            }
            _ => Err(not_supported(path)),
        }
    }

    /// Tells if the condition `name` holds.
    pub(crate) fn condition(&self, name: &str, path: &str) -> Result<bool> {
        let Some(expression) = self.conditions.get(name) else {
            return Err(at(path, format!("there is no condition {name}")));
        };
        self.without_cycle(name, path, || self.holds(expression, &join("Conditions", name)))
    }

    pub(crate) fn holds(&self, expression: &Value, path: &str) -> Result<bool> {
        let call = expression.as_object().filter(|object| object.len() == 1);
        let Some((function, argument)) = call.and_then(|object| object.iter().next()) else {
            return Err(at(path, "has to be a condition function"));
        };
        let path = &join(path, function);
        match function.as_str() {
            "Condition" => self.condition(string(argument, path)?, path),
            "Fn::Equals" => {
                let [left, right] = elements(argument, path)?;
                Ok(self.text(left, path)? == self.text(right, path)?)
            }
            "Fn::Not" => {
                let [inner] = elements(argument, path)?;
                Ok(!self.holds(inner, path)?)
            }
            "Fn::And" => {
                self.all_hold(argument, path).map(|all| all.into_iter().all(|holds| holds))
            }
            "Fn::Or" => self.all_hold(argument, path).map(|all| all.into_iter().any(|holds| holds)),
            _ => Err(not_supported(path)),
        }
    }

    fn all_hold(&self, argument: &Value, path: &str) -> Result<Vec<bool>> {
        match argument.as_array() {
            Some(items) if (2..=10).contains(&items.len()) => {
                items.iter().map(|item| self.holds(item, path)).collect()
            }
            _ => Err(at(path, "takes 2 to 10 conditions")),
        }
    }

    /// Reads the id and the attribute of `Fn::GetAtt`, which is `"Id.Attribute"` or `["Id",
    /// "Attribute"]`.
    fn get_att(&self, argument: &Value, path: &str) -> Result<(String, String)> {
        match argument {
            Value::String(text) => {
                let split = text
                    .split_once('.')
                    .map(|(id, attribute)| (id.to_owned(), attribute.to_owned()));
                split.ok_or_else(|| at(path, format!("{text} names no attribute")))
            }
            _ => {
                let [id, attribute] = elements(argument, path)?;
                Ok((string(id, path)?.to_owned(), self.text(attribute, path)?))
            }
        }
    }

    /// Resolves `Fn::Sub`: a text with `${Name}`, `${Id.Attribute}` and `${!Literal}`, alone or
    /// with a map of further names.
    fn sub(&self, argument: &Value, path: &str) -> Result<String> {
        let none = Map::new();
        let (template, names) = match argument {
            Value::String(template) => (template.as_str(), &none),
            _ => {
                let [template, names] = elements(argument, path)?;
                let names = names
                    .as_object()
                    .ok_or_else(|| at(path, "the second argument has to be an object"))?;
                (string(template, path)?, names)
            }
        };
        let mut result = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').ok_or_else(|| at(path, "a ${ has no }"))?;
            result.push_str(before);
            rest = after;
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str(&format!("${{{literal}}}"));
            } else if let Some(value) = names.get(name) {
                result.push_str(&self.text(value, &join(path, name))?);
            } else if let Some((id, attribute)) = name.split_once('.') {
                result.push_str(&self.attribute(id, attribute, path)?);
            } else {
                let value = self.reference(name, path)?.as_ref().and_then(scalar);
                result.push_str(&value.ok_or_else(|| at(path, format!("{name} is no text")))?);
            }
        }
        result.push_str(rest);
        if result.contains("{{resolve:") {
            return Err(at(
                path,
                format!("{result}: dynamic references are not supported by the local system"),
            ));
        }
        Ok(result)
    }

    fn text(&self, value: &Value, path: &str) -> Result<String> {
        let resolved = self.resolve(value, path)?;
        required_scalar(&resolved.unwrap_or_default(), path)
    }

    fn list(&self, value: &Value, path: &str) -> Result<Vec<Value>> {
        match self.resolve(value, path)? {
            Some(Value::Array(items)) => Ok(items),
            _ => Err(at(path, "takes a list")),
        }
    }
}

fn required_scalar(value: &Value, path: &str) -> Result<String> {
    scalar(value).ok_or_else(|| at(path, "takes a text"))
}

fn string<'v>(value: &'v Value, path: &str) -> Result<&'v str> {
    value.as_str().ok_or_else(|| at(path, "takes a text"))
}

/// Reads the arguments of a function that takes exactly `N`.
fn elements<'v, const N: usize>(argument: &'v Value, path: &str) -> Result<&'v [Value; N]> {
    let items =
        argument.as_array().and_then(|items| <&[Value; N]>::try_from(items.as_slice()).ok());
    items.ok_or_else(|| at(path, format!("takes a list of {N}")))
}
