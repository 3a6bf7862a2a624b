use std::{str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// Random faults, as `seed=7,kill=500ms,duplicate=5%,fail=5%,lose=1%,busy=2%`. What is not named does not happen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultSpec {
    /// Where the dice begin.
    pub seed: u64,
    /// How often a random function is killed in mid-invocation.
    #[serde(with = "interval_text")]
    pub kill: Option<Duration>,
    /// The chance that a message is handed out twice.
    pub duplicate: f64,
    /// The chance that a DynamoDB or SQS call fails or is throttled.
    pub fail: f64,
    /// The chance that such a call is carried out and its answer lost.
    pub lose: f64,
    /// The chance that Lambda has no room for a call of the API.
    pub busy: f64,
}

impl FaultSpec {
    /// Reads the text, or the same as JSON: `{"seed": 7, "kill": "500ms", "duplicate": 0.05, "fail": 0.05, "lose": 0.01, "busy": 0}`.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        if !text.trim_start().starts_with('{') {
            return text.parse().map_err(|error: FaultSpecError| error.to_string());
        }
        let spec: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match [spec.duplicate, spec.fail, spec.lose, spec.busy].into_iter().find(|chance| !(0.0..=1.0).contains(chance))
        {
            Some(chance) => Err(format!("{chance} is no chance: it has to be 0 to 1")),
            None => Ok(spec),
        }
    }
}

/// An interval as it is written in the text form.
mod interval_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(interval: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        interval.map(|interval| format!("{}ms", interval.as_millis())).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let wrong = |text| D::Error::custom(format!("{text:?} is no interval as 500ms or 2s"));
        text.map(|text| super::interval(&text).ok_or_else(|| wrong(text))).transpose()
    }
}

/// A part that is no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part:?} is no fault: {expected}")]
pub struct FaultSpecError {
    part: String,
    expected: &'static str,
}

impl FromStr for FaultSpec {
    type Err = FaultSpecError;

    fn from_str(text: &str) -> Result<Self, FaultSpecError> {
        let mut spec = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let bad = |expected| FaultSpecError { part: part.to_owned(), expected };
            let (name, value) = part.split_once('=').ok_or_else(|| bad("it has to be name=value"))?;
            let percent = || {
                let number = value.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
                number
                    .filter(|number| (0.0..=100.0).contains(number))
                    .map(|number| number / 100.0)
                    .ok_or_else(|| bad("a chance is 0% to 100%"))
            };
            match name {
                "seed" => spec.seed = value.parse().map_err(|_| bad("a seed is a whole number"))?,
                "kill" => spec.kill = Some(interval(value).ok_or_else(|| bad("an interval is as 500ms or 2s"))?),
                "duplicate" => spec.duplicate = percent()?,
                "fail" => spec.fail = percent()?,
                "lose" => spec.lose = percent()?,
                "busy" => spec.busy = percent()?,
                _ => return Err(bad("known are seed, kill, duplicate, fail, lose and busy")),
            }
        }
        Ok(spec)
    }
}

fn interval(text: &str) -> Option<Duration> {
    let duration = match text.strip_suffix("ms") {
        Some(number) => Duration::from_millis(number.parse().ok()?),
        None => Duration::from_secs(text.strip_suffix('s')?.parse().ok()?),
    };
    (!duration.is_zero()).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_example() {
        let spec: FaultSpec = "seed=7,kill=500ms,duplicate=5%,fail=5%,lose=1%,busy=2%".parse().unwrap();
        let kill = Some(Duration::from_millis(500));
        let expected = FaultSpec { seed: 7, kill, duplicate: 0.05, fail: 0.05, lose: 0.01, busy: 0.02 };
        assert_eq!(spec, expected);
        assert_eq!("".parse(), Ok(FaultSpec::default()));
        assert_eq!("kill=2s".parse::<FaultSpec>().unwrap().kill, Some(Duration::from_secs(2)));
    }

    #[test]
    fn json_says_the_same_and_what_is_shown_can_be_sent_back() {
        let spec: FaultSpec = "seed=7,kill=2s,fail=5%".parse().unwrap();
        let shown = serde_json::to_string(&spec).unwrap();
        assert_eq!(shown, r#"{"seed":7,"kill":"2000ms","duplicate":0.0,"fail":0.05,"lose":0.0,"busy":0.0}"#);
        assert_eq!(FaultSpec::read(&shown).as_ref(), Ok(&spec));
        assert_eq!(FaultSpec::read(r#"{"seed": 7, "kill": "2s", "fail": 0.05}"#), Ok(spec));
        assert_eq!(FaultSpec::read(" {}"), Ok(FaultSpec::default()));
        for bad in [r#"{"fail": 5}"#, r#"{"kill": "5"}"#, r#"{"crash": 0.1}"#, "crash=1%"] {
            assert!(FaultSpec::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_fault_is_named() {
        for bad in ["kill", "kill=5", "kill=0ms", "fail=5", "fail=101%", "seed=x", "crash=1%"] {
            let error = format!("seed=1,{bad}").parse::<FaultSpec>().unwrap_err();
            assert!(error.to_string().contains(bad), "{error}");
        }
    }
}
