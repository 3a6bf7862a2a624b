//! The people, companies and processes that simulated events are about.

use super::dice::{About, Dice};

/// The number of customers that turn up in a simulation of many events.
pub(super) const CUSTOMERS: u32 = 20;

/// The processes that a customer can be in: their types and names.
const PROCESSES: [(&str, &str); 4] = [
    ("onboarding", "Business onboarding"),
    ("monitoring", "Quarterly monitoring"),
    ("risk", "Risk assessment"),
    ("loop", "Document refresh"),
];
const FIRST_NAMES: [&str; 12] = [
    "Amara", "Bastian", "Chiara", "Daniel", "Elif", "Freya", "Goran", "Hana", "Ines", "Jakub",
    "Keiko", "Liam",
];
const LAST_NAMES: [&str; 12] = [
    "Almeida",
    "Bergström",
    "Costa",
    "Dubois",
    "Eriksen",
    "Fischer",
    "Greco",
    "Horvat",
    "Ivanova",
    "Jansen",
    "Kowalski",
    "Lindqvist",
];
const COMPANIES: [&str; 12] = [
    "Aurora",
    "Bluewater",
    "Cobalt",
    "Driftwood",
    "Evergreen",
    "Foxglove",
    "Granite",
    "Harbour",
    "Ironbridge",
    "Juniper",
    "Kestrel",
    "Lighthouse",
];
const TRADES: [&str; 6] = ["Trading", "Logistics", "Foods", "Software", "Energy", "Textiles"];
/// Countries, and the legal form of a company there.
const COUNTRIES: [(&str, &str); 8] = [
    ("DE", "GmbH"),
    ("DK", "ApS"),
    ("ES", "S.L."),
    ("FR", "SAS"),
    ("GB", "Ltd"),
    ("IT", "S.r.l."),
    ("NL", "B.V."),
    ("SE", "AB"),
];
/// Alerts: their types and names.
const ALERTS: [(&str, &str); 4] = [
    ("manual_review", "Manual review required"),
    ("screening", "ComplyAdvantage PEP Alert"),
    ("screening", "Sanctions list match"),
    ("document", "Document has expired"),
];

/// A customer, and the run of a process that the customer is in.
#[derive(Debug, Clone)]
pub(super) struct Cast {
    /// The id of the customer at Spektr.
    pub(super) subject: String,
    /// The id of the customer at Dataspike.
    pub(super) applicant: String,
    pub(super) first_name: &'static str,
    pub(super) last_name: &'static str,
    pub(super) email: String,
    pub(super) company: String,
    pub(super) country: &'static str,
    pub(super) vat_number: String,
    pub(super) process_type: String,
    pub(super) process_name: String,
    pub(super) process_id: String,
    /// The id of the run.
    pub(super) context_id: String,
    pub(super) dataset_id: String,
    pub(super) token: String,
    pub(super) reference: String,
    pub(super) alert_id: String,
    pub(super) alert_type: &'static str,
    pub(super) alert_name: &'static str,
    /// The status that the customer had before the run.
    pub(super) old_status: &'static str,
    /// The status that the customer has after the run.
    pub(super) new_status: &'static str,
}

impl Cast {
    /// The nth customer of a seed.
    pub(super) fn of(seed: u32, nth: u32) -> Self {
        let mut dice = Dice::of(seed, About::Customer(nth));
        let (first_name, last_name) = (dice.one_of(FIRST_NAMES), dice.one_of(LAST_NAMES));
        let (country, form) = dice.one_of(COUNTRIES);
        let (name, trade) = (dice.one_of(COMPANIES), dice.one_of(TRADES));
        let process = dice.place_in(PROCESSES.len());
        let (process_type, process_name) = PROCESSES[process];
        // A workspace has few processes and many customers.
        let mut of_process = Dice::of(seed, About::Process(process as u32));
        let (alert_type, alert_name) = dice.one_of(ALERTS);
        let mailbox = ascii(&format!("{first_name}.{last_name}"));
        Self {
            subject: dice.object_id(),
            applicant: dice.uuid(),
            first_name,
            last_name,
            email: format!("{mailbox}@{}.example", name.to_ascii_lowercase()),
            company: format!("{name} {trade} {form}"),
            country,
            vat_number: format!("{country}{}", dice.between(100_000_000, 999_999_999)),
            process_type: process_type.to_owned(),
            process_name: process_name.to_owned(),
            process_id: of_process.object_id(),
            context_id: dice.object_id(),
            dataset_id: of_process.object_id(),
            token: format!("simulated-{}", dice.hex(32)),
            reference: format!("case-{}", dice.between(10_000, 99_999)),
            alert_id: dice.object_id(),
            alert_type,
            alert_name,
            old_status: dice.one_of(["pending", "in_review"]),
            new_status: dice.one_of(["approved", "approved", "rejected"]),
        }
    }
}

/// A name as it stands in an e-mail address.
fn ascii(name: &str) -> String {
    let letters = name.chars().map(|letter| if letter == 'ö' { 'o' } else { letter });
    letters.collect::<String>().to_ascii_lowercase()
}
