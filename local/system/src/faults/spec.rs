use std::{str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// Random faults are written as `seed=7,kill=500ms,duplicate=5%,reorder=20%,fail=5%,lose=1%,slow=2%,busy=2%`.
/// A fault that is not named does not happen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultSpec {
    /// The dice begin from this number, so that a run can be repeated.
    pub seed: u64,
    /// A busy process of a random function is killed once in each interval.
    #[serde(with = "interval_text")]
    pub kill: Option<Duration>,
    /// The chance that a message is handed out twice.
    pub duplicate: f64,
    /// The chance that a message is handed out that is not the next one in line.
    pub reorder: f64,
    /// The chance that a DynamoDB or SQS call fails or is throttled.
    pub fail: f64,
    /// The chance that such a call is carried out but its answer is lost.
    pub lose: f64,
    /// The chance that such a call takes up to two seconds longer.
    pub slow: f64,
    /// The chance that Lambda has no room for a call of the API.
    pub busy: f64,
}

impl FaultSpec {
    /// Reads the text, or the same as JSON: `{"seed": 7, "kill": "500ms", "duplicate": 0.05,
    /// "reorder": 0, "fail": 0.05, "lose": 0.01, "slow": 0, "busy": 0}`.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        if !text.trim_start().starts_with('{') {
            return text.parse().map_err(|error: FaultSpecError| error.to_string());
        }
        let spec: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let chances = [spec.duplicate, spec.reorder, spec.fail, spec.lose, spec.slow, spec.busy];
        match chances.into_iter().find(|chance| !(0.0..=1.0).contains(chance)) {
            Some(chance) => Err(format!("{chance} is no chance: it has to be 0 to 1")),
            None => Ok(spec),
        }
    }
}

/// An interval is written in JSON as it is in the text form.
mod interval_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        interval: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        interval.map(|interval| format!("{}ms", interval.as_millis())).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let Some(text) = text else { return Ok(None) };
        match super::interval(&text) {
            Some(interval) => Ok(Some(interval)),
            None => Err(D::Error::custom(format!("{text:?} is no interval as 500ms or 2s"))),
        }
    }
}

/// A part of the text that names no fault, or gives a fault a value that it can't have.
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
            if let Err(expected) = spec.read_part(part) {
                return Err(FaultSpecError { part: part.to_owned(), expected });
            }
        }
        Ok(spec)
    }
}

impl FaultSpec {
    /// Reads one `name=value`. The error says what it has to be.
    fn read_part(&mut self, part: &str) -> Result<(), &'static str> {
        let (name, value) = part.split_once('=').ok_or("it has to be name=value")?;
        match name {
            "seed" => self.seed = value.parse().map_err(|_| "a seed is a whole number")?,
            "kill" => self.kill = Some(interval(value).ok_or("an interval is as 500ms or 2s")?),
            "duplicate" => self.duplicate = chance(value)?,
            "reorder" => self.reorder = chance(value)?,
            "fail" => self.fail = chance(value)?,
            "lose" => self.lose = chance(value)?,
            "slow" => self.slow = chance(value)?,
            "busy" => self.busy = chance(value)?,
            _ => return Err("known are seed, kill, duplicate, reorder, fail, lose, slow and busy"),
        }
        Ok(())
    }
}

fn chance(text: &str) -> Result<f64, &'static str> {
    let percent = text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
    match percent {
        Some(percent) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
        _ => Err("a chance is 0% to 100%"),
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
        let spec: FaultSpec =
            "seed=7,kill=500ms,duplicate=5%,reorder=20%,fail=5%,lose=1%,slow=2%,busy=2%"
                .parse()
                .unwrap();
        let kill = Some(Duration::from_millis(500));
        let expected = FaultSpec {
            seed: 7,
            kill,
            duplicate: 0.05,
            reorder: 0.2,
            fail: 0.05,
            lose: 0.01,
            slow: 0.02,
            busy: 0.02,
        };
        assert_eq!(spec, expected);
        assert_eq!("".parse(), Ok(FaultSpec::default()));
        assert_eq!("kill=2s".parse::<FaultSpec>().unwrap().kill, Some(Duration::from_secs(2)));
    }

    #[test]
    fn json_says_the_same_and_what_is_shown_can_be_sent_back() {
        let spec: FaultSpec = "seed=7,kill=2s,fail=5%".parse().unwrap();
        let shown = serde_json::to_string(&spec).unwrap();
        assert_eq!(
            shown,
            concat!(
                r#"{"seed":7,"kill":"2000ms","duplicate":0.0,"reorder":0.0,"fail":0.05,"#,
                r#""lose":0.0,"slow":0.0,"busy":0.0}"#
            )
        );
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
