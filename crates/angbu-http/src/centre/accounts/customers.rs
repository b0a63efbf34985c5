//! Customers and their settings.

use angbu_accounts::{EmailAddress, Name, Reach};
use angbu_store::accounts::CustomerRow;
use angbu_store::{StoreError, Tx};
use angbu_units::{CustomerId, Language, Nanos, ProvenInstant};

use super::{BY_THE_CENTRE, CUSTOMER};
use crate::centre::{Centre, append_text, rng};
use crate::problem::Refusal;

/// The most addresses of one customer.
const MOST_CONTACTS: usize = 20;
/// How far a clock may be off: 1 µs to 1 day.
const TOLERANCES: std::ops::RangeInclusive<i64> = 1_000..=86_400_000_000_000;

/// Addresses to write to, each once.
#[derive(Default)]
pub(crate) struct Contacts(Vec<EmailAddress>);

impl Contacts {
    /// Reads addresses.
    pub(crate) fn read(texts: &[String]) -> Result<Self, Refusal> {
        if texts.len() > MOST_CONTACTS {
            return Err(Refusal::Invalid(format!("contacts are {MOST_CONTACTS} addresses at most")));
        }
        let mut contacts: Vec<EmailAddress> = Vec::new();
        for text in texts {
            let address = text.parse().map_err(|error| Refusal::Invalid(format!("contacts: {error}")))?;
            if !contacts.contains(&address) {
                contacts.push(address);
            }
        }
        Ok(Self(contacts))
    }

    fn texts(self) -> Vec<String> {
        self.0.into_iter().map(|address| address.as_str().to_owned()).collect()
    }
}

/// How far a clock may be off.
pub(crate) fn tolerance(nanos: i64) -> Result<Nanos, Refusal> {
    if TOLERANCES.contains(&nanos) {
        Ok(Nanos::new(nanos))
    } else {
        Err(Refusal::Invalid("tolerance_ns lies between 1000 (1 µs) and 86400000000000 (1 day)".into()))
    }
}

/// Settings that are wanted for a customer; what is `None` stays as it is.
#[derive(Default)]
pub(crate) struct CustomerWish {
    pub(crate) tolerance: Option<Nanos>,
    pub(crate) contacts: Option<Contacts>,
    pub(crate) language: Option<Language>,
    pub(crate) zone: Option<String>,
}

impl CustomerWish {
    /// Reads what was sent.
    pub(crate) fn read(
        tolerance_ns: Option<i64>,
        contacts: Option<&[String]>,
        language: Option<&str>,
        zone: Option<&str>,
    ) -> Result<Self, Refusal> {
        Ok(Self {
            tolerance: tolerance_ns.map(tolerance).transpose()?,
            contacts: contacts.map(Contacts::read).transpose()?,
            language: language.map(str::parse).transpose()?,
            zone: zone.map(read_zone).transpose()?,
        })
    }
}

/// The name of a time zone, as the database of zones spells it.
fn read_zone(name: &str) -> Result<String, Refusal> {
    let found = crate::centre::zone(name).map_err(|name| {
        Refusal::Invalid(format!("zone: there is no time zone '{name}'; write one like Asia/Seoul, or UTC"))
    })?;
    Ok(found.iana_name().unwrap_or("UTC").to_owned())
}

impl Centre {
    /// Makes a customer, as when the site is furnished from its configuration.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when there is one of this name.
    pub async fn make_customer(&self, name: &Name, tolerance: Nanos) -> Result<CustomerRow, StoreError> {
        let wish = CustomerWish { tolerance: Some(tolerance), ..CustomerWish::default() };
        self.add_customer(name, wish, BY_THE_CENTRE.to_owned()).await
    }

    /// Makes a customer.
    pub(crate) async fn add_customer(
        &self,
        name: &Name,
        wish: CustomerWish,
        by: String,
    ) -> Result<CustomerRow, StoreError> {
        let instant = self.instant();
        let id = CustomerId::random(&mut rng());
        let name = name.as_str().to_owned();
        self.store
            .write(move |tx| {
                let mut row = CustomerRow {
                    id,
                    name: name.clone(),
                    tolerance: wish.tolerance.unwrap_or_default(),
                    language: wish.language.unwrap_or(Language::English).code().to_owned(),
                    contacts: wish.contacts.map(Contacts::texts).unwrap_or_default(),
                    zone: wish.zone.unwrap_or_else(|| "UTC".to_owned()),
                    revision: 1,
                    settings_entry: angbu_units::EntryId::from_bytes([0; 16]),
                    version: 1,
                };
                row.settings_entry = write_down(tx, &row, instant, &by)?;
                tx.insert_customer(&row, instant.time)?;
                Ok(row)
            })
            .await
    }

    /// Changes a customer's settings: a new revision, unless nothing changes.
    pub(crate) async fn change_customer(
        &self,
        id: CustomerId,
        wish: CustomerWish,
        by: String,
    ) -> Result<CustomerRow, Refusal> {
        let instant = self.instant();
        let changed = self
            .store
            .write(move |tx| {
                let Some(row) = tx.customer(id)? else { return Ok::<_, StoreError>(None) };
                let mut changed = CustomerRow {
                    tolerance: wish.tolerance.unwrap_or(row.tolerance),
                    language: wish
                        .language
                        .map_or_else(|| row.language.clone(), |language| language.to_string()),
                    contacts: wish.contacts.map_or_else(|| row.contacts.clone(), Contacts::texts),
                    zone: wish.zone.unwrap_or_else(|| row.zone.clone()),
                    ..row.clone()
                };
                if changed == row {
                    return Ok(Some(row));
                }
                changed.revision += 1;
                changed.settings_entry = write_down(tx, &changed, instant, &by)?;
                tx.update_customer(&changed, instant.time)?;
                Ok(Some(changed))
            })
            .await?;
        self.recent_customers.forget();
        changed.ok_or_else(|| Refusal::unknown("customer", &id.to_string()))
    }

    /// The customer with this name or id.
    pub(crate) async fn customer(&self, name_or_id: &str) -> Result<CustomerRow, Refusal> {
        let wanted: String = name_or_id.chars().take(64).collect();
        let now = self.clock.read().monotonic;
        if let Some(customer) = self.recent_customers.get(&wanted, now) {
            return Ok(customer);
        }
        // What can be neither is not looked up: no database is asked about texts that it could not hold.
        let found = match (wanted.parse::<CustomerId>(), wanted.parse::<Name>()) {
            (Ok(id), _) => self.store.read(move |snapshot| snapshot.customer(id)).await?,
            (_, Ok(name)) => self.store.read(move |snapshot| snapshot.customer_named(name.as_str())).await?,
            _ => None,
        };
        let customer = found.ok_or_else(|| Refusal::unknown("customer", &wanted))?;
        self.recent_customers.put(wanted, customer.clone(), now);
        Ok(customer)
    }

    /// The customer with this name or id, if it lies within a caller's reach.
    pub(crate) async fn customer_within(
        &self,
        reach: Reach,
        name_or_id: &str,
    ) -> Result<CustomerRow, Refusal> {
        let customer = self.customer(name_or_id).await?;
        if reach.covers(customer.id) { Ok(customer) } else { Err(Refusal::unknown("customer", name_or_id)) }
    }

    /// A caller's reach narrowed to the customer with this name or id, where one is asked for.
    pub(crate) async fn narrow(&self, reach: Reach, name_or_id: Option<&str>) -> Result<Reach, Refusal> {
        match name_or_id {
            None => Ok(reach),
            Some(name) => Ok(Reach::Customer(self.customer_within(reach, name).await?.id)),
        }
    }
}

/// The `account.customer` entry that shows these settings.
fn write_down(
    tx: &mut Tx<'_>,
    row: &CustomerRow,
    instant: ProvenInstant,
    by: &str,
) -> Result<angbu_units::EntryId, StoreError> {
    let fields = [
        ("name", row.name.clone()),
        ("tolerance-ns", row.tolerance.count().to_string()),
        ("revision", row.revision.to_string()),
        ("language", row.language.clone()),
        ("contacts", row.contacts.join("\n")),
        ("zone", row.zone.clone()),
        ("by", by.to_owned()),
    ];
    append_text(tx, CUSTOMER, row.id, instant, fields)
}
