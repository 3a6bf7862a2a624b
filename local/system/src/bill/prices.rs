//! AWS's list prices are in `bench/prices.toml`, which this module reads.

use serde::Deserialize;

/// A list price, with its source.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The price of `per` units.
    pub dollars: f64,
    /// The number of units that cost `dollars` together.
    pub per: f64,
    /// One unit, in words.
    pub unit: String,
    /// The page that names the price.
    pub page: String,
    /// The day on which the price was looked up, and how.
    pub known: String,
}

impl Price {
    /// Multiplies the price of one unit.
    pub(super) fn of(&self, units: f64) -> f64 {
        units * self.dollars / self.per
    }
}

/// The prices of one region, each under the name of the service that asks for it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each price says its unit")]
pub struct Prices {
    pub region: String,
    pub http_api_request: Price,
    pub lambda_request: Price,
    pub lambda_gb_second: Price,
    pub sqs_request: Price,
    pub dynamodb_write: Price,
    pub dynamodb_read: Price,
    pub dynamodb_storage: Price,
    pub dynamodb_backup: Price,
    pub logs_ingestion: Price,
    pub logs_storage: Price,
    pub alarm_metric: Price,
    pub composite_alarm: Price,
    pub dashboard: Price,
    pub custom_metric: Price,
    pub secret: Price,
    pub secret_call: Price,
    pub data_out: Price,
}

impl Prices {
    /// Reads the prices of `bench/prices.toml`.
    ///
    /// # Errors
    /// The file lacks a price, or has one that nothing uses.
    pub fn known() -> anyhow::Result<Self> {
        Ok(toml::from_str(include_str!("../../../../bench/prices.toml"))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_write_units_cost_what_the_file_says() {
        let prices = Prices::known().unwrap();
        assert_eq!(prices.dynamodb_write.of(1e6), prices.dynamodb_write.dollars);
        assert_eq!(prices.secret_call.of(20_000.0), 2.0 * prices.secret_call.dollars);
        assert_eq!(prices.region, "us-east-1");
    }
}
